/**
 * The little of DER that a certificate needs.
 *
 * Pure. Source: ITU-T X.690 §8, §10; RFC 5280 §4.1.2.5 (which time type for which year).
 */
import { assert } from "../base/assert.ts";

const TAG_BOOLEAN = 0x01;
const TAG_INTEGER = 0x02;
const TAG_BIT_STRING = 0x03;
const TAG_OCTET_STRING = 0x04;
const TAG_OBJECT_IDENTIFIER = 0x06;
const TAG_UTF8_STRING = 0x0c;
const TAG_UTC_TIME = 0x17;
const TAG_GENERALIZED_TIME = 0x18;
const TAG_SEQUENCE = 0x30;
const TAG_SET = 0x31;
const CONTEXT_SPECIFIC = 0x80;
const CONSTRUCTED = 0x20;

/** Returns tag, length and content. */
export function encodeTlv(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag]), encodeLength(content.length), content]);
}

function encodeLength(bytes: number): Buffer {
  if (bytes < 0x80) return Buffer.from([bytes]);
  const digits: number[] = [];
  for (let rest = bytes; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256);
  return Buffer.from([0x80 | digits.length, ...digits]);
}

export function encodeSequence(...parts: readonly Uint8Array[]): Buffer {
  return encodeTlv(TAG_SEQUENCE, ...parts);
}

export function encodeSet(...parts: readonly Uint8Array[]): Buffer {
  return encodeTlv(TAG_SET, ...parts);
}

/** Returns the integer whose magnitude is `bytes`; it is not negative. */
export function encodeUnsigned(bytes: Uint8Array): Buffer {
  let from = 0;
  while (from < bytes.length - 1 && bytes[from] === 0) from++;
  const magnitude = bytes.subarray(from);
  const needsSign = (magnitude[0] ?? 0) >= 0x80;
  return encodeTlv(TAG_INTEGER, needsSign ? Buffer.from([0]) : Buffer.alloc(0), magnitude);
}

export function encodeTrue(): Buffer {
  return encodeTlv(TAG_BOOLEAN, Buffer.from([0xff]));
}

export function encodeUtf8(text: string): Buffer {
  return encodeTlv(TAG_UTF8_STRING, Buffer.from(text, "utf8"));
}

export function encodeOctets(bytes: Uint8Array): Buffer {
  return encodeTlv(TAG_OCTET_STRING, bytes);
}

/** `unusedBits` are the low bits of the last byte that do not count. */
export function encodeBits(bytes: Uint8Array, unusedBits = 0): Buffer {
  return encodeTlv(TAG_BIT_STRING, Buffer.from([unusedBits]), bytes);
}

/** Returns an object identifier given in dotted decimal. */
export function encodeOid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes = [40 * first + second, ...rest.flatMap(base128)];
  return encodeTlv(TAG_OBJECT_IDENTIFIER, Buffer.from(bytes));
}

function base128(value: number): number[] {
  const digits = [value % 128];
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) {
    digits.unshift((rest % 128) + 128);
  }
  return digits;
}

/** `[number]`, explicit or of a constructed type. */
export function encodeConstructedContext(number: number, ...parts: readonly Uint8Array[]): Buffer {
  return encodeTlv(CONTEXT_SPECIFIC | CONSTRUCTED | number, ...parts);
}

/** `[number]` implicit, of a primitive type. */
export function encodeContext(number: number, bytes: Uint8Array): Buffer {
  return encodeTlv(CONTEXT_SPECIFIC | number, bytes);
}

/** Returns UTCTime up to 2049 and GeneralizedTime from 2050, as RFC 5280 asks. */
export function encodeTime(time: Date): Buffer {
  const digits = time.toISOString().replace(/[-:T]|\.\d+/g, "");
  assert(/^\d{14}Z$/.test(digits), "a certificate's year has four digits");
  return time.getUTCFullYear() < 2050
    ? encodeTlv(TAG_UTC_TIME, Buffer.from(digits.slice(2)))
    : encodeTlv(TAG_GENERALIZED_TIME, Buffer.from(digits));
}
