/**
 * The byte stream of the management port: session markers, and frames of channels between them.
 *
 *   marker   0xFF  id (16 lower-case hex digits)  LF
 *   frame    type (1)  channel (2)  length (2)  payload      big-endian, escaped
 *
 * Inside frames 0xFE travels as 0xFE 0x00 and 0xFF as 0xFE 0x01, so 0xFF always starts a marker, and whatever came
 * before a marker is forgotten: a serial port has no connections, and may hold the torn rest of an old frame.
 * Pure: bytes in, items out. Invariant: the items do not depend on how the stream was cut.
 * Limit: PAYLOAD_BYTES_MAX.
 */
import { assert } from "../base/assert.ts";

export const SESSION_ID_DIGITS = 16;
/** Small enough that channels take turns, large enough that a header costs nothing. */
export const PAYLOAD_BYTES_MAX: number = 16 * 1024;
const HEADER_BYTES = 5;
const MARKER_BYTE = 0xff;
const ESCAPE_BYTE = 0xfe;
const LF = 10;

export type FrameType = "hello" | "open" | "data" | "close" | "window";
const TYPES: readonly FrameType[] = ["hello", "open", "data", "close", "window"];

export type ManageItem =
  | { readonly kind: "marker"; readonly id: string }
  | {
      readonly kind: "frame";
      readonly type: FrameType;
      readonly channel: number;
      readonly payload: Buffer;
    }
  /** Nothing comes after this but a marker. */
  | { readonly kind: "violation"; readonly what: string };

/** Returns the bytes of a marker. */
export function encodeMarker(id: string): Buffer {
  assert(/^[0-9a-f]{16}$/.test(id), "a session id has 16 hex digits");
  return Buffer.concat([Buffer.from([MARKER_BYTE]), Buffer.from(`${id}\n`, "latin1")]);
}

/** Returns the bytes of a frame. */
export function encodeFrame(type: FrameType, channel: number, payload: Uint8Array): Buffer {
  assert(payload.length <= PAYLOAD_BYTES_MAX, "a payload is within its bound");
  const header = Buffer.alloc(HEADER_BYTES);
  header[0] = 1 + TYPES.indexOf(type);
  header.writeUInt16BE(channel, 1);
  header.writeUInt16BE(payload.length, 3);
  return escapeBytes(Buffer.concat([header, payload]));
}

function escapeBytes(plain: Buffer): Buffer {
  let count = 0;
  for (const byte of plain) if (byte >= ESCAPE_BYTE) count++;
  if (count === 0) return plain;
  const escaped = Buffer.allocUnsafe(plain.length + count);
  let at = 0;
  for (const byte of plain) {
    if (byte >= ESCAPE_BYTE) {
      escaped[at++] = ESCAPE_BYTE;
      escaped[at++] = byte - ESCAPE_BYTE;
    } else escaped[at++] = byte;
  }
  return escaped;
}

/** Turns the bytes of the port into markers, frames and violations. */
export class ManageDecoder {
  /** `lost`: drop until a marker. */
  #state: "lost" | "marker" | "frames" = "lost";
  #marker = "";
  #isEscaped = false;
  readonly #buffer = Buffer.alloc(HEADER_BYTES + PAYLOAD_BYTES_MAX);
  #filled = 0;

  /** Forgets everything; the next item is a marker. */
  reset(): void {
    this.#state = "lost";
    this.#marker = "";
    this.#startFrame();
  }

  /** Takes bytes; gives away what they complete, in order. `take` may call `reset`. */
  push(bytes: Uint8Array, take: (item: ManageItem) => void): void {
    for (const byte of bytes) {
      if (byte === MARKER_BYTE) {
        this.reset();
        this.#state = "marker";
      } else if (this.#state === "marker") this.#takeMarkerByte(byte, take);
      else if (this.#state === "frames") this.#takeFrameByte(byte, take);
    }
  }

  #startFrame(): void {
    this.#filled = 0;
    this.#isEscaped = false;
  }

  #takeMarkerByte(byte: number, take: (item: ManageItem) => void): void {
    const isDigit = (byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x66);
    if (this.#marker.length < SESSION_ID_DIGITS && isDigit) {
      this.#marker += String.fromCharCode(byte);
      return;
    }
    if (this.#marker.length < SESSION_ID_DIGITS || byte !== LF) {
      this.#violate("a marker is malformed", take);
      return;
    }
    this.#state = "frames";
    take({ kind: "marker", id: this.#marker });
  }

  #takeFrameByte(byte: number, take: (item: ManageItem) => void): void {
    if (!this.#isEscaped && byte === ESCAPE_BYTE) {
      this.#isEscaped = true;
      return;
    }
    const plain = this.#isEscaped ? ESCAPE_BYTE + byte : byte;
    const isMalformed = this.#isEscaped && byte > 1;
    this.#isEscaped = false;
    if (isMalformed) this.#violate("an escape is malformed", take);
    else this.#takePlainByte(plain, take);
  }

  #takePlainByte(byte: number, take: (item: ManageItem) => void): void {
    this.#buffer[this.#filled++] = byte;
    if (this.#filled < HEADER_BYTES) return;
    const length = this.#buffer.readUInt16BE(3);
    const type = TYPES[(this.#buffer[0] ?? 0) - 1];
    if (length > PAYLOAD_BYTES_MAX) this.#violate("a frame is too long", take);
    else if (type === undefined) this.#violate("a frame's type is unknown", take);
    else if (this.#filled === HEADER_BYTES + length) {
      const channel = this.#buffer.readUInt16BE(1);
      const payload = Buffer.from(this.#buffer.subarray(HEADER_BYTES, this.#filled));
      this.#startFrame();
      take({ kind: "frame", type, channel, payload });
    }
  }

  #violate(what: string, take: (item: ManageItem) => void): void {
    this.reset();
    take({ kind: "violation", what });
  }
}
