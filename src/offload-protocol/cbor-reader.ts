/**
 * Reads CBOR items one after the other, straight from the message.
 *
 * Pure. Source: RFC 8949 §3. Strict: shortest form of every integer and length, definite lengths, no tags,
 * no floating point. Anything else is thrown as CBOR_REFUSED, which travels no further than the codec.
 */
import { isUtf8 } from "node:buffer";

/** What stops a decoder; `codec-cbor.ts` finds out what to tell. */
export const CBOR_REFUSED: unique symbol = Symbol("refused");

export const MAJOR_UINT = 0;
export const MAJOR_NEGATIVE = 1;
export const MAJOR_TEXT = 3;
export const MAJOR_ARRAY = 4;
export const MAJOR_MAP = 5;
const SIMPLE_FALSE = 0xf4;
const SIMPLE_TRUE = 0xf5;
const SIMPLE_NULL = 0xf6;
/** Numbers whose head is all there is: one of each is enough. */
const SMALL: readonly bigint[] = Array.from({ length: 24 }, (_, value) => BigInt(value));
/** What YANG's strings, like XML, cannot carry; tab, CR and LF they can. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are meant
const NOT_YANG_TEXT = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufdd0-\ufdef\ufffe\uffff]/;

export class CborReader {
  readonly bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  refuse(): never {
    throw CBOR_REFUSED;
  }

  /** Nothing may follow. */
  end(): void {
    if (this.at !== this.bytes.length) this.refuse();
  }

  /** The major type of what comes next. */
  peekMajor(): number {
    if (this.at >= this.bytes.length) this.refuse();
    return (this.bytes[this.at] ?? 0) >>> 5;
  }

  /** Reads a map's count of pairs. */
  map(): number {
    return this.#count(MAJOR_MAP);
  }

  array(): number {
    return this.#count(MAJOR_ARRAY);
  }

  /** Reads the key of a map with SIDs: an unsigned integer. */
  key(): number {
    const first = this.bytes[this.at] ?? 0xff;
    if (first < 24) {
      this.at++;
      return first;
    }
    return this.uint(Number.MAX_SAFE_INTEGER);
  }

  /** Reads an unsigned integer up to `max`, which a double holds. */
  uint(max: number): number {
    const value = this.argument(MAJOR_UINT);
    if (value > max) this.refuse();
    return value;
  }

  /** Reads an unsigned integer of 64 bits. */
  uint64(): bigint {
    const { bytes, at } = this;
    const small = SMALL[bytes[at] ?? SMALL.length];
    if (small !== undefined) {
      this.at++;
      return small;
    }
    if (bytes[at] !== 27 || ((bytes[at + 1] ?? 0) === 0 && (bytes[at + 2] ?? 0) < 0x20)) {
      return BigInt(this.argument(MAJOR_UINT));
    }
    if (at + 9 > bytes.length) this.refuse();
    this.at = at + 9;
    return bytes.readBigUInt64BE(at + 1);
  }

  /** Reads text whose characters YANG allows. */
  text(): string {
    const length = this.#count(MAJOR_TEXT);
    const start = this.at;
    const end = start + length;
    this.at = end;
    const slice = this.bytes.subarray(start, end);
    if (!isUtf8(slice)) this.refuse();
    const text = slice.toString("utf8");
    if (NOT_YANG_TEXT.test(text)) this.refuse();
    return text;
  }

  /** Reads the head of text and returns its length; the text stands at `at`. */
  textLength(): number {
    return this.#count(MAJOR_TEXT);
  }

  boolean(): boolean {
    const byte = this.bytes[this.at++];
    if (byte !== SIMPLE_TRUE && byte !== SIMPLE_FALSE) this.refuse();
    return byte === SIMPLE_TRUE;
  }

  get isNull(): boolean {
    return this.bytes[this.at] === SIMPLE_NULL;
  }

  null(): void {
    if (this.bytes[this.at++] !== SIMPLE_NULL) this.refuse();
  }

  /** Reads one of the names that an enumeration gives to 0, 1, 2, … */
  enumeration<T extends string>(names: readonly T[]): T {
    const name = names[this.argument(MAJOR_UINT)];
    if (name === undefined) this.refuse();
    return name as T;
  }

  /** A count of bytes or items, none of which can lie beyond the message's end. */
  #count(major: number): number {
    const count = this.argument(major);
    if (count > this.bytes.length - this.at) this.refuse();
    return count;
  }

  /** Reads the head of an item of `major` and returns its argument, at most 2^53 - 1. */
  argument(major: number): number {
    const { bytes } = this;
    const head = bytes[this.at];
    if (head === undefined || head >>> 5 !== major) this.refuse();
    const info = (head as number) & 31;
    if (info < 24) {
      this.at++;
      return info;
    }
    if (info > 27) this.refuse();
    const width = 1 << (info - 24);
    const end = this.at + 1 + width;
    if (end > bytes.length) this.refuse();
    let value = 0;
    for (let at = this.at + 1; at < end; at++) value = value * 256 + (bytes[at] ?? 0);
    const isShortest =
      width === 1 ? value >= 24 : value >= (width === 2 ? 0x100 : width === 4 ? 0x1_0000 : 2 ** 32);
    if (!isShortest || value > Number.MAX_SAFE_INTEGER) this.refuse();
    this.at = end;
    return value;
  }
}
