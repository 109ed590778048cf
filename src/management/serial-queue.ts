/** Runs asynchronous work one after the other. Its callers are sessions, so their number bounds it. */
import { assert } from "../lib/base/assert.ts";

/** More waiting work than this is a bug: each session has one request under way. */
export const WAITING_MAX = 1024;

export class SerialQueue {
  #tail: Promise<unknown> = Promise.resolve();
  #waitingCount = 0;

  /** Runs `work` when all earlier work has ended, however it ended. */
  run<T>(work: () => Promise<T>): Promise<T> {
    assert(this.#waitingCount < WAITING_MAX, "work that waits stays within its bound");
    this.#waitingCount++;
    const result = this.#tail.then(work, work);
    const done = (): void => {
      this.#waitingCount--;
    };
    this.#tail = result.then(done, done);
    return result;
  }
}
