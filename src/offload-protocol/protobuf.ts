/**
 * The little of protobuf's wire format that the upstream needs: length-delimited fields.
 *
 * Pure. Source: protobuf encoding guide (varints, tags, wire types 0, 1, 2, 5).
 */
import { err, ok, type Result } from "../lib/base/result.ts";

const WIRE_VARINT = 0;
const WIRE_I64 = 1;
const WIRE_LEN = 2;
const WIRE_I32 = 5;
/** A length is below 2^31, so five groups of seven bits are enough. */
const VARINT_BYTES_MAX = 5;

export type ProtobufError = { readonly kind: "protobuf-malformed"; readonly message: string };

export interface ProtobufField {
  readonly number: number;
  readonly bytes: Uint8Array;
}

/** Returns one length-delimited field, tag included. */
export function encodeField(number: number, bytes: Uint8Array): Buffer {
  const head: number[] = [];
  pushVarint(head, number * 8 + WIRE_LEN);
  pushVarint(head, bytes.length);
  return Buffer.concat([Buffer.from(head), bytes]);
}

/** Returns the length-delimited fields in order; fields of other wire types are passed over. */
export function decodeFields(bytes: Uint8Array): Result<ProtobufField[], ProtobufError> {
  const fields: ProtobufField[] = [];
  let at = 0;
  while (at < bytes.length) {
    const tag = readVarint(bytes, at);
    if (tag === undefined) return malformed("a tag is cut off or too long");
    at = tag.next;
    const number = Math.floor(tag.value / 8);
    const wire = tag.value % 8;
    if (number === 0) return malformed("field number 0");
    const length = lengthOf(bytes, at, wire);
    if (length === undefined) return malformed(`field ${number} has a broken length`);
    if (length.end > bytes.length) return malformed(`field ${number} is cut off`);
    if (wire === WIRE_LEN) fields.push({ number, bytes: bytes.subarray(length.start, length.end) });
    at = length.end;
  }
  return ok(fields);
}

function lengthOf(
  bytes: Uint8Array,
  at: number,
  wire: number,
): { readonly start: number; readonly end: number } | undefined {
  if (wire === WIRE_I64) return { start: at, end: at + 8 };
  if (wire === WIRE_I32) return { start: at, end: at + 4 };
  if (wire === WIRE_VARINT) return skipVarint(bytes, at);
  if (wire !== WIRE_LEN) return undefined;
  const length = readVarint(bytes, at);
  return length === undefined ? undefined : { start: length.next, end: length.next + length.value };
}

/** A varint that nobody reads may be 64 bits wide. */
function skipVarint(bytes: Uint8Array, at: number): { start: number; end: number } | undefined {
  for (let end = at; end < at + 10; end++) {
    const byte = bytes[end];
    if (byte === undefined) return undefined;
    if (byte < 0x80) return { start: at, end: end + 1 };
  }
  return undefined;
}

function readVarint(bytes: Uint8Array, at: number): { value: number; next: number } | undefined {
  let value = 0;
  for (let index = 0; index < VARINT_BYTES_MAX; index++) {
    const byte = bytes[at + index];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return value < 2 ** 31 ? { value, next: at + index + 1 } : undefined;
  }
  return undefined;
}

function pushVarint(into: number[], value: number): void {
  let rest = value;
  while (rest >= 0x80) {
    into.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  into.push(rest);
}

function malformed(message: string): Result<never, ProtobufError> {
  return err({ kind: "protobuf-malformed", message: `The frame is malformed: ${message}` });
}
