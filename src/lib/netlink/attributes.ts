/**
 * Netlink messages and attributes as bytes: a cursor that reads and a builder that writes.
 *
 * Pure. Header fields are in host order (little-endian, asserted in socket.ts); payloads of netfilter are
 * in network order. Source: linux/netlink.h (struct nlmsghdr, struct nlattr).
 * Invariant: reading never leaves the given bytes and never throws, whatever the bytes are.
 *
 * ```
 *  0        4       6       8        12       16
 * +--------+-------+-------+--------+--------+---------···
 * | length | type  | flags | seq    | port   | payload, then attributes
 * +--------+-------+-------+--------+--------+---------···
 * attribute: length u16 (with header) | type u16 (two flag bits) | value | padding to 4
 * ```
 */
import { assert } from "../base/assert.ts";

export const NLMSG_HEADER_BYTES = 16;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_DUMP = 0x300;
export const NLM_F_CREATE = 0x400;

const ATTRIBUTE_HEADER_BYTES = 4;
const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;

/** Rounds up to the alignment of messages and attributes. */
export function align4(bytes: number): number {
  return (bytes + 3) & ~3;
}

/** Walks the attributes of one level; `offset` and `length` describe the present value. */
export class AttributeCursor {
  readonly view: DataView;
  #next: number;
  readonly #end: number;
  type = 0;
  offset = 0;
  length = 0;

  constructor(view: DataView, start: number, end: number) {
    this.view = view;
    this.#next = start;
    this.#end = Math.min(end, view.byteLength);
  }

  /** Moves to the next attribute; false at the end or at the first one that is malformed. */
  next(): boolean {
    const at = this.#next;
    if (at < 0 || at + ATTRIBUTE_HEADER_BYTES > this.#end) return false;
    const length = this.view.getUint16(at, true);
    if (length < ATTRIBUTE_HEADER_BYTES || at + length > this.#end) return false;
    this.type = this.view.getUint16(at + 2, true) & NLA_TYPE_MASK;
    this.offset = at + ATTRIBUTE_HEADER_BYTES;
    this.length = length - ATTRIBUTE_HEADER_BYTES;
    this.#next = at + align4(length);
    return true;
  }

  /** Returns a cursor over the present value's own attributes. */
  nested(): AttributeCursor {
    return new AttributeCursor(this.view, this.offset, this.offset + this.length);
  }

  /** Returns the value as bytes; they alias the message. */
  bytes(): Uint8Array {
    return new Uint8Array(this.view.buffer, this.view.byteOffset + this.offset, this.length);
  }

  /** The readers below return 0 when the value is shorter than what they read. */
  u8(): number {
    return this.length < 1 ? 0 : this.view.getUint8(this.offset);
  }

  u16be(): number {
    return this.length < 2 ? 0 : this.view.getUint16(this.offset, false);
  }

  u32be(): number {
    return this.length < 4 ? 0 : this.view.getUint32(this.offset, false);
  }

  u32le(): number {
    return this.length < 4 ? 0 : this.view.getUint32(this.offset, true);
  }

  u64be(): bigint {
    return this.length < 8 ? 0n : this.view.getBigUint64(this.offset, false);
  }

  /** Returns the text before the first zero byte. */
  text(): string {
    const bytes = this.bytes();
    const end = bytes.indexOf(0);
    return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
  }
}

/** One message's place inside a datagram. */
export interface MessageSpan {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Port of the socket whose request caused an event; 0 for what the kernel did by itself. */
  readonly port: number;
  /** Offset of the payload after the header. */
  readonly start: number;
  readonly end: number;
}

/** Calls `visit` for each whole message; stops at the first one that is malformed. */
export function forEachMessage(view: DataView, visit: (message: MessageSpan) => void): void {
  let at = 0;
  while (at + NLMSG_HEADER_BYTES <= view.byteLength) {
    const length = view.getUint32(at, true);
    if (length < NLMSG_HEADER_BYTES || at + length > view.byteLength) return;
    visit({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      port: view.getUint32(at + 12, true),
      start: at + NLMSG_HEADER_BYTES,
      end: at + length,
    });
    at += align4(length);
  }
}

const INITIAL_BYTES = 4096;

/** Writes one or more messages into one growing buffer. */
export class MessageBuilder {
  #bytes: Uint8Array = new Uint8Array(INITIAL_BYTES);
  #view: DataView = new DataView(this.#bytes.buffer);
  #at = 0;
  #messageStart = -1;

  /** Starts a message; its length is written by `endMessage`. */
  beginMessage(type: number, flags: number, sequence: number): void {
    assert(this.#messageStart < 0, "messages do not nest");
    this.#messageStart = this.#at;
    this.#reserve(NLMSG_HEADER_BYTES);
    this.#view.setUint32(this.#at, 0, true);
    this.#view.setUint16(this.#at + 4, type, true);
    this.#view.setUint16(this.#at + 6, flags, true);
    this.#view.setUint32(this.#at + 8, sequence, true);
    this.#view.setUint32(this.#at + 12, 0, true);
    this.#at += NLMSG_HEADER_BYTES;
  }

  endMessage(): void {
    assert(this.#messageStart >= 0, "a message was begun");
    this.#view.setUint32(this.#messageStart, this.#at - this.#messageStart, true);
    this.#messageStart = -1;
    this.#pad();
  }

  /** Writes raw payload, such as a family's own header, padded to 4. */
  payload(bytes: Uint8Array): void {
    this.#reserve(bytes.length + 3);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
    this.#pad();
  }

  attribute(type: number, value: Uint8Array): void {
    this.#header(type, value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
    this.#pad();
  }

  u8(type: number, value: number): void {
    this.#header(type, 1);
    this.#view.setUint8(this.#at, value);
    this.#at += 1;
    this.#pad();
  }

  u16be(type: number, value: number): void {
    this.#header(type, 2);
    this.#view.setUint16(this.#at, value, false);
    this.#at += 2;
    this.#pad();
  }

  u32be(type: number, value: number): void {
    this.#header(type, 4);
    this.#view.setUint32(this.#at, value >>> 0, false);
    this.#at += 4;
  }

  u32le(type: number, value: number): void {
    this.#header(type, 4);
    this.#view.setUint32(this.#at, value >>> 0, true);
    this.#at += 4;
  }

  /** Writes an attribute whose value is what `write` adds. */
  nested(type: number, write: () => void): void {
    const start = this.#at;
    this.#header(type | NLA_F_NESTED, 0);
    write();
    this.#view.setUint16(start, this.#at - start, true);
  }

  /** Returns everything written so far; the bytes stay valid until the next write. */
  finish(): Uint8Array {
    assert(this.#messageStart < 0, "the last message was ended");
    return this.#bytes.subarray(0, this.#at);
  }

  reset(): void {
    this.#at = 0;
    this.#messageStart = -1;
  }

  #header(type: number, valueBytes: number): void {
    this.#reserve(ATTRIBUTE_HEADER_BYTES + valueBytes + 3);
    this.#view.setUint16(this.#at, ATTRIBUTE_HEADER_BYTES + valueBytes, true);
    this.#view.setUint16(this.#at + 2, type, true);
    this.#at += ATTRIBUTE_HEADER_BYTES;
  }

  #pad(): void {
    if ((this.#at & 3) === 0) return;
    const end = align4(this.#at);
    this.#reserve(end - this.#at);
    this.#bytes.fill(0, this.#at, end);
    this.#at = end;
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#at + bytes));
    grown.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}
