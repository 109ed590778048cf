/**
 * Bytes collected piece by piece in one buffer that doubles.
 *
 * Pure. Invariant: memory stays below twice the bytes held (plus a floor), however small the pieces
 * are; a list of pieces would cost a hostile peer one byte and us a hundred.
 */

const CAPACITY_BYTES_MIN = 4096;

/** A buffer that copies what it is given. */
export class GrowingBuffer {
  #bytes: Buffer = Buffer.alloc(0);
  #lengthBytes = 0;

  get lengthBytes(): number {
    return this.#lengthBytes;
  }

  append(piece: Uint8Array): void {
    const needed = this.#lengthBytes + piece.length;
    if (needed > this.#bytes.length) {
      const bigger = Buffer.allocUnsafe(
        Math.max(CAPACITY_BYTES_MIN, needed, 2 * this.#bytes.length),
      );
      this.#bytes.copy(bigger, 0, 0, this.#lengthBytes);
      this.#bytes = bigger;
    }
    this.#bytes.set(piece, this.#lengthBytes);
    this.#lengthBytes = needed;
  }

  /** Returns the index of `mark` at or after `from`, or -1. */
  indexOf(mark: Uint8Array, from: number): number {
    return this.#bytes.subarray(0, this.#lengthBytes).indexOf(mark, Math.max(0, from));
  }

  /** Returns what was collected and starts again empty; the caller owns the result. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#lengthBytes);
    this.#bytes = Buffer.alloc(0);
    this.#lengthBytes = 0;
    return taken;
  }
}
