/**
 * Runs pieces of work one after the other, a bounded number of them waiting.
 *
 * Pure but for the promises. A piece that fails does not stop those behind it.
 */

export interface SerialQueue {
  /** Runs `work` after everything asked before; undefined when too many wait already. */
  add<T>(work: () => Promise<T>): Promise<T> | undefined;
  /** Resolves when nothing waits or runs. */
  idle(): Promise<void>;
}

/** Returns a queue in which at most `waitingMax` pieces wait or run. */
export function createSerialQueue(waitingMax: number): SerialQueue {
  let tail: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  return {
    add(work) {
      if (waiting >= waitingMax) return undefined;
      waiting++;
      const result = tail.then(work);
      const done = (): void => {
        waiting--;
      };
      tail = result.then(done, done);
      return result;
    },
    async idle() {
      await tail;
    },
  };
}
