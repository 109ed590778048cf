/**
 * Grace periods shared by all who wait: one that started earlier is no use, one that is about to start is.
 *
 * Pure but for the wait that is passed in.
 */
export class GracePeriods {
  readonly #waitOnce: () => Promise<void>;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(waitOnce: () => Promise<void>) {
    this.#waitOnce = waitOnce;
  }

  /** Resolves after a whole grace period that began after this call. */
  wait(): Promise<void> {
    if (this.#running === undefined) return this.#start();
    this.#next ??= this.#running.then(
      () => this.#start(),
      () => this.#start(),
    );
    return this.#next;
  }

  #start(): Promise<void> {
    this.#next = undefined;
    const running = this.#waitOnce().finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }
}
