/** Which indexes of the arrays are free. Pure. */
import { assert } from "../../lib/base/assert.ts";

export class IndexPool {
  readonly #max: number;
  readonly #free: number[] = [];
  /** Indexes at or above it were never used. */
  #unusedFrom = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Those were taken before this pool was made. */
  adopt(used: ReadonlySet<number>): void {
    for (const index of used) this.#unusedFrom = Math.max(this.#unusedFrom, index + 1);
    for (let index = 0; index < this.#unusedFrom; index++) {
      if (!used.has(index)) this.#free.push(index);
    }
  }

  take(): number {
    const index = this.#free.pop() ?? this.#unusedFrom++;
    assert(index < this.#max, "there is an index for each direction of flowsMax flows");
    return index;
  }

  put(index: number): void {
    this.#free.push(index);
  }
}
