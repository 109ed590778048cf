/**
 * The byte stream of the serial port: session markers and NETCONF 1.1 chunks.
 *
 *   marker   0xFF  id (16 lower-case hex digits)  LF          18 bytes
 *   message  ( LF # size LF data )+  LF # # LF                RFC 6242 §4.2
 *
 * Pure: bytes in, items out. Source: RFC 6242 §4.2; docs/offload-binding.md §4.
 * Invariant: the items do not depend on how the stream was cut. 0xFF always starts a marker: UTF-8
 * never contains it, and what is not UTF-8 is escaped: 0xFE as 0xFE 0x00, 0xFF as 0xFE 0x01. Sizes of chunks
 * and limits count bytes on the wire, which are never fewer. Whatever came before a marker is forgotten, partial chunk and message included.
 * Limit: MESSAGE_BYTES_MAX, CHUNK_BYTES_MAX, or what the caller gives below them.
 */
import { assert } from "../lib/base/assert.ts";
import { ChunkDecoder, encodeChunked, type FramingError } from "../lib/netconf/framing.ts";
import { CHUNK_BYTES_MAX, MESSAGE_BYTES_MAX } from "./messages.ts";

/** What stands before 0x00 for itself, and before 0x01 for the marker byte. */
export const ESCAPE_BYTE = 0xfe;
/** Occurs nowhere on the wire but at the start of a marker. */
export const MARKER_BYTE = 0xff;
export const SESSION_ID_DIGITS = 16;
/** 0xFF, the digits, LF. */
export const MARKER_BYTES: number = 1 + SESSION_ID_DIGITS + 1;

const LF = 10;
/** A receiver that gives up in the middle of a flood has read at most this much more of it. */
const STEP_BYTES = 4096;

/** 16 lower-case hexadecimal digits, drawn at random by the side that starts a session. */
export type SessionId = string & { readonly brand: "SessionId" };

export type FrameViolation = FramingError["kind"] | "marker-malformed" | "escape-malformed";

export type FrameItem =
  | { readonly kind: "marker"; readonly sessionId: SessionId }
  | { readonly kind: "message"; readonly bytes: Buffer }
  /** Nothing comes after this but a marker. */
  | { readonly kind: "violation"; readonly what: FrameViolation };

export interface FrameLimits {
  readonly messageBytesMax: number;
  readonly chunkBytesMax: number;
}

export const PROTOCOL_LIMITS: FrameLimits = {
  messageBytesMax: MESSAGE_BYTES_MAX,
  chunkBytesMax: CHUNK_BYTES_MAX,
};

/** Returns the id, or undefined when the text is none. */
export function parseSessionId(text: string): SessionId | undefined {
  return /^[0-9a-f]{16}$/.test(text) ? (text as SessionId) : undefined;
}

/** Turns the bytes of a serial port into markers, messages and violations. */
export class FrameDecoder {
  readonly #chunks: ChunkDecoder;
  /** `lost`: drop until a marker. `marker`: inside one. */
  #state: "lost" | "marker" | "chunks" = "lost";
  #marker = "";
  #droppedBytes = 0;

  constructor(limits: FrameLimits = PROTOCOL_LIMITS) {
    assert(limits.messageBytesMax <= MESSAGE_BYTES_MAX, "a limit is not above the protocol's");
    this.#chunks = new ChunkDecoder(limits);
  }

  /** Bytes passed over while looking for a marker; for counters. */
  get droppedBytes(): number {
    return this.#droppedBytes;
  }

  /** Forgets everything; the next item is a marker. */
  reset(): void {
    this.#state = "lost";
    this.#marker = "";
    this.#chunks.reset();
  }

  /** Drops until the next marker, at the cost of a search; a marker that has begun goes on. */
  skipToMarker(): void {
    if (this.#state !== "marker") this.reset();
  }

  /** Takes bytes; returns what they complete, in order. */
  push(input: Uint8Array): FrameItem[] {
    const items: FrameItem[] = [];
    this.decode(input, (item) => items.push(item));
    return items;
  }

  /** Takes bytes; gives each item away at once. `take` may call `skipToMarker` or `reset`. */
  decode(input: Uint8Array, take: (item: FrameItem) => void): void {
    const bytes = Buffer.from(input.buffer, input.byteOffset, input.byteLength);
    let at = 0;
    while (at < bytes.length) {
      if (bytes[at] === MARKER_BYTE) {
        this.#startMarker();
        at++;
      } else if (this.#state === "marker") {
        this.#takeMarkerByte(bytes[at] ?? 0, take);
        at++;
      } else {
        const marker = bytes.indexOf(MARKER_BYTE, at);
        const end = marker < 0 ? bytes.length : marker;
        this.#takeChunks(bytes.subarray(at, end), take);
        at = end;
      }
    }
  }

  #startMarker(): void {
    this.#state = "marker";
    this.#marker = "";
    this.#chunks.reset();
  }

  #takeMarkerByte(byte: number, take: (item: FrameItem) => void): void {
    if (this.#marker.length < SESSION_ID_DIGITS) {
      if (isLowerHexDigit(byte)) this.#marker += String.fromCharCode(byte);
      else this.#violate("marker-malformed", take);
      return;
    }
    if (byte !== LF) {
      this.#violate("marker-malformed", take);
      return;
    }
    this.#state = "chunks";
    take({ kind: "marker", sessionId: this.#marker as SessionId });
  }

  /** Takes bytes without a marker, step by step, so that skipping takes effect soon. */
  #takeChunks(bytes: Buffer, take: (item: FrameItem) => void): void {
    let at = 0;
    while (at < bytes.length && this.#state === "chunks") {
      const end = Math.min(bytes.length, at + STEP_BYTES);
      const messages = this.#chunks.push(bytes.subarray(at, end));
      const failure = this.#chunks.failure;
      at = end;
      if (messages.ok) for (const message of messages.value) this.#deliver(message, take);
      if (failure !== undefined) this.#violate(failure.kind, take);
    }
    this.#droppedBytes += bytes.length - at;
  }

  #deliver(message: Buffer, take: (item: FrameItem) => void): void {
    if (this.#state !== "chunks") return; // Whoever took the message before wants no more.
    const bytes = unescapeMessage(message);
    if (bytes === undefined) this.#violate("escape-malformed", take);
    else take({ kind: "message", bytes });
  }

  #violate(what: FrameViolation, take: (item: FrameItem) => void): void {
    this.reset();
    take({ kind: "violation", what });
  }
}

function isLowerHexDigit(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x66);
}

/** Returns the 18 bytes of a marker. */
export function encodeMarker(sessionId: SessionId): Buffer {
  const marker = Buffer.alloc(MARKER_BYTES);
  marker[0] = MARKER_BYTE;
  marker.write(sessionId, 1, "latin1");
  marker[MARKER_BYTES - 1] = LF;
  return marker;
}

/** Returns the chunks of a message. In UTF-8 there is nothing to escape. */
export function encodeMessage(message: string | Uint8Array): Buffer {
  if (typeof message === "string") return encodeChunked(message, CHUNK_BYTES_MAX);
  return encodeChunked(escapeMessage(message), CHUNK_BYTES_MAX);
}

/** Returns the bytes that travel: without the marker byte. */
export function escapeMessage(message: Uint8Array): Buffer {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  let count = 0;
  const places: number[] = [];
  for (const byte of [ESCAPE_BYTE, MARKER_BYTE]) {
    for (let at = bytes.indexOf(byte); at >= 0; at = bytes.indexOf(byte, at + 1)) places.push(at);
  }
  if (places.length === 0) return bytes;
  places.sort((a, b) => a - b);
  const escaped = Buffer.allocUnsafe(bytes.length + places.length);
  let from = 0;
  for (const at of places) {
    bytes.copy(escaped, from + count, from, at);
    escaped[at + count] = ESCAPE_BYTE;
    count++;
    escaped[at + count] = (bytes[at] ?? 0) - ESCAPE_BYTE;
    from = at + 1;
  }
  bytes.copy(escaped, from + count, from);
  return escaped;
}

/** Returns the message, or undefined when an escape byte stands before anything but 0x00 and 0x01. */
export function unescapeMessage(bytes: Buffer): Buffer | undefined {
  const first = bytes.indexOf(ESCAPE_BYTE);
  if (first < 0) return bytes;
  let from = 0;
  let length = 0;
  // In place: what is written never overtakes what is read.
  for (let at = first; at >= 0; at = bytes.indexOf(ESCAPE_BYTE, from)) {
    const code = bytes[at + 1];
    if (code !== 0 && code !== 1) return undefined;
    bytes.copyWithin(length, from, at);
    length += at - from;
    bytes[length++] = ESCAPE_BYTE + code;
    from = at + 2;
  }
  bytes.copyWithin(length, from);
  return bytes.subarray(0, length + bytes.length - from);
}
