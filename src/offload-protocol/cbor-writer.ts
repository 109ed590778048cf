/**
 * Writes CBOR items into one growing buffer: integers in the shortest form, definite lengths.
 *
 * Pure but for its own buffer. Source: RFC 8949 §3, §4.2.1.
 * Limit: what is written between two `reserve` calls fits what was reserved.
 */

const MAJOR_NEGATIVE = 0x20;
const MAJOR_TEXT = 0x60;
const MAJOR_ARRAY = 0x80;
const MAJOR_MAP = 0xa0;
const FALSE = 0xf4;
const TRUE = 0xf5;
const NULL = 0xf6;
const INITIAL_BYTES = 65_536;
/** A shared buffer that had to grow beyond this is given back after use. */
const KEPT_BYTES_MAX: number = 4 * 1024 * 1024;
/** A length before an item. */
export const SIZE_BYTES = 4;
/** Head and longest UTF-8 of one UTF-16 unit. */
const HEAD_BYTES_MAX = 9;
const UTF8_PER_UNIT_MAX = 3;

export class CborWriter {
  #bytes: Buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  #at = 0;

  /** Forgets what was written. */
  begin(): void {
    this.#at = 0;
    if (this.#bytes.length > KEPT_BYTES_MAX) this.#bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  }

  /** Bytes written since `begin`. */
  get length(): number {
    return this.#at;
  }

  /** Returns a copy of what was written. */
  finish(): Buffer {
    const copy = Buffer.allocUnsafeSlow(this.#at);
    this.#bytes.copy(copy, 0, 0, this.#at);
    return copy;
  }

  /** Returns what was written, until the next `begin` or `reserve`. */
  view(): Buffer {
    return this.#bytes.subarray(0, this.#at);
  }

  /** Begins an item that is preceded by its length; returns what `endSized` wants. */
  beginSized(): number {
    this.reserve(SIZE_BYTES);
    this.#at += SIZE_BYTES;
    return this.#at;
  }

  endSized(start: number): void {
    this.#bytes.writeUInt32BE(this.#at - start, start - SIZE_BYTES);
  }

  /** Makes room for `bytes` more. */
  reserve(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(2 * this.#bytes.length, this.#at + bytes));
    this.#bytes.copy(grown, 0, 0, this.#at);
    this.#bytes = grown;
  }

  /** Writes a map key that is a SID delta from 0 to 255. */
  key(delta: number): void {
    const bytes = this.#bytes;
    if (delta < 24) bytes[this.#at++] = delta;
    else {
      bytes[this.#at++] = 24;
      bytes[this.#at++] = delta;
    }
  }

  /** Writes an unsigned integer up to 2^53 - 1. */
  uint(value: number): void {
    this.#head(0, value);
  }

  /** Writes an unsigned integer of 64 bits. */
  uint64(value: bigint): void {
    if (value <= 0x1f_ffff_ffff_ffffn) {
      this.#head(0, Number(value));
      return;
    }
    this.#bytes[this.#at++] = 27;
    this.#bytes.writeBigUInt64BE(value, this.#at);
    this.#at += 8;
  }

  /** Writes a key and an unsigned integer. */
  keyUint(delta: number, value: number): void {
    this.key(delta);
    this.#head(0, value);
  }

  keyUint64(delta: number, value: bigint): void {
    this.key(delta);
    this.uint64(value);
  }

  keyText(delta: number, value: string): void {
    this.key(delta);
    this.shortText(value);
  }

  negative(value: number): void {
    this.#head(MAJOR_NEGATIVE, -1 - value);
  }

  map(pairs: number): void {
    this.#head(MAJOR_MAP, pairs);
  }

  array(items: number): void {
    this.#head(MAJOR_ARRAY, items);
  }

  boolean(value: boolean): void {
    this.#bytes[this.#at++] = value ? TRUE : FALSE;
  }

  null(): void {
    this.#bytes[this.#at++] = NULL;
  }

  /** Writes an item that is encoded already, and reserves for it. */
  encoded(bytes: Buffer, start: number, end: number): void {
    this.reserve(end - start);
    bytes.copy(this.#bytes, this.#at, start, end);
    this.#at += end - start;
  }

  /** Writes text and reserves for it. */
  text(value: string): void {
    this.reserve(HEAD_BYTES_MAX + UTF8_PER_UNIT_MAX * value.length);
    this.shortText(value);
  }

  /** Writes text for which room was reserved. */
  shortText(value: string): void {
    const { length } = value;
    if (length < 24) {
      const bytes = this.#bytes;
      let at = this.#at;
      bytes[at++] = MAJOR_TEXT + length;
      let every = 0;
      for (let index = 0; index < length; index++) {
        const code = value.charCodeAt(index);
        every |= code;
        bytes[at++] = code;
      }
      if (every < 0x80) {
        this.#at = at;
        return;
      }
    }
    this.#head(MAJOR_TEXT, Buffer.byteLength(value));
    this.#at += this.#bytes.write(value, this.#at, "utf8");
  }

  #head(major: number, value: number): void {
    const bytes = this.#bytes;
    if (value < 24) bytes[this.#at++] = major + value;
    else if (value < 0x100) {
      bytes[this.#at++] = major + 24;
      bytes[this.#at++] = value;
    } else if (value < 0x1_0000) {
      bytes[this.#at++] = major + 25;
      bytes[this.#at++] = value >>> 8;
      bytes[this.#at++] = value & 0xff;
    } else if (value < 0x1_0000_0000) {
      bytes[this.#at++] = major + 26;
      this.#word(value);
    } else {
      bytes[this.#at++] = major + 27;
      this.#word(Math.floor(value / 0x1_0000_0000));
      this.#word(value % 0x1_0000_0000);
    }
  }

  #word(value: number): void {
    const bytes = this.#bytes;
    bytes[this.#at++] = (value >>> 24) & 0xff;
    bytes[this.#at++] = (value >>> 16) & 0xff;
    bytes[this.#at++] = (value >>> 8) & 0xff;
    bytes[this.#at++] = value & 0xff;
  }
}
