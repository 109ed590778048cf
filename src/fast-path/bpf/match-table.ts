/**
 * Which matches are held: a hash table of indexes over the bytes of their keys.
 *
 * Pure over the words that it is given, and makes no objects. Linear probing; removal closes the gap.
 * Invariant: no two indexes in the table have the same key; the key of an index in it does not change.
 * Limit: `entriesMax` indexes, which fill the table by half at most.
 */
import { assert } from "../../lib/base/assert.ts";

const EMPTY = -1;

export interface MatchTableOptions {
  readonly entriesMax: number;
  /** The key of index i begins at word i * strideWords. */
  readonly words: Int32Array;
  readonly strideWords: number;
  readonly keyWords: number;
  /** Random, so that nobody outside can choose keys that meet. */
  readonly seed: number;
}

export class MatchTable {
  readonly #slots: Int32Array;
  readonly #mask: number;
  readonly #options: MatchTableOptions;
  #count = 0;

  constructor(options: MatchTableOptions) {
    this.#options = options;
    const slots = 2 ** Math.ceil(Math.log2(2 * Math.max(2, options.entriesMax)));
    this.#slots = new Int32Array(slots).fill(EMPTY);
    this.#mask = slots - 1;
  }

  get count(): number {
    return this.#count;
  }

  /** Takes the index, unless an equal key is held; returns whether it did. */
  add(index: number): boolean {
    assert(this.#count < this.#options.entriesMax, "the table has room for every index");
    let slot = this.#hashOf(index) & this.#mask;
    for (let held = this.#at(slot); held !== EMPTY; held = this.#at(slot)) {
      if (this.#isSameKey(held, index)) return false;
      slot = (slot + 1) & this.#mask;
    }
    this.#slots[slot] = index;
    this.#count += 1;
    return true;
  }

  /** Takes an index out that is in the table. */
  remove(index: number): void {
    let gap = this.#hashOf(index) & this.#mask;
    while (this.#at(gap) !== index) {
      assert(this.#at(gap) !== EMPTY, "an index that is removed is held");
      gap = (gap + 1) & this.#mask;
    }
    this.#count -= 1;
    // Whoever was pushed beyond the gap moves into it.
    for (
      let slot = (gap + 1) & this.#mask;
      this.#at(slot) !== EMPTY;
      slot = (slot + 1) & this.#mask
    ) {
      const home = this.#hashOf(this.#at(slot)) & this.#mask;
      const isPushed = ((slot - home) & this.#mask) >= ((slot - gap) & this.#mask);
      if (!isPushed) continue;
      this.#slots[gap] = this.#at(slot);
      gap = slot;
    }
    this.#slots[gap] = EMPTY;
  }

  #at(slot: number): number {
    return this.#slots[slot] ?? EMPTY;
  }

  #isSameKey(left: number, right: number): boolean {
    const { words, strideWords, keyWords } = this.#options;
    const a = left * strideWords;
    const b = right * strideWords;
    for (let word = 0; word < keyWords; word++) {
      if (words[a + word] !== words[b + word]) return false;
    }
    return true;
  }

  /** MurmurHash3's mixing steps. */
  #hashOf(index: number): number {
    const { words, strideWords, keyWords, seed } = this.#options;
    const from = index * strideWords;
    let hash = seed;
    for (let at = from; at < from + keyWords; at++) {
      let word = Math.imul(words[at] ?? 0, 0xcc9e2d51);
      word = Math.imul((word << 15) | (word >>> 17), 0x1b873593);
      hash ^= word;
      hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
    }
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return hash ^ (hash >>> 16);
  }
}
