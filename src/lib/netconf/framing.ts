/**
 * NETCONF chunked framing over a byte stream.
 *
 * Pure: bytes in, messages out; a decoder keeps only the message that is not complete yet.
 * Source: RFC 6242 §4.2.
 * Limit: each decoder is given its own bounds; what breaks them is an error, never a bigger buffer.
 */
import { assert } from "../base/assert.ts";
import { err, ok, type Result } from "../base/result.ts";
import { GrowingBuffer } from "./growing-buffer.ts";

/** RFC 6242 §4.2: chunk-size is at most 4294967295. */
export const CHUNK_BYTES_MAX_RFC = 4_294_967_295;
/** The largest message of a management session. */
export const MESSAGE_BYTES_MAX: number = 64 * 1024 * 1024;
/** How we cut what we send. */
export const CHUNK_BYTES_SENT = 65_536;

const END_OF_CHUNKS: Buffer = Buffer.from("\n##\n");
const LF = 10;
const HASH = 35;
const ZERO = 48;
const NINE = 57;

export interface FramingLimits {
  /** The largest chunk that a peer may announce. */
  readonly chunkBytesMax: number;
  /** The largest message, chunks added up. */
  readonly messageBytesMax: number;
}

export const MANAGEMENT_LIMITS: FramingLimits = {
  chunkBytesMax: MESSAGE_BYTES_MAX,
  messageBytesMax: MESSAGE_BYTES_MAX,
};

export type FramingError = {
  readonly kind: "framing-malformed" | "chunk-too-big" | "message-too-big";
  readonly message: string;
};

/** What both decoders can do. After an error a decoder stays broken: the stream has no boundary left. */
export interface MessageDecoder {
  /** Takes bytes; returns the messages that they complete. */
  push(bytes: Uint8Array): Result<Buffer[], FramingError>;
  /** Bytes of the message that is not complete. */
  readonly pendingBytes: number;
  /** Why the decoder is broken; the messages before are returned first. */
  readonly failure: FramingError | undefined;
  /** Returns bytes taken but not used, so that another decoder can continue with them. */
  takeRest(): Buffer;
}

type ChunkState = "lf" | "hash" | "size-first" | "size" | "data" | "end-lf";

/** Decodes `LF # size LF data … LF # # LF` (RFC 6242 §4.2), at any cut of the stream. */
export class ChunkDecoder implements MessageDecoder {
  readonly #limits: FramingLimits;
  #state: ChunkState = "lf";
  #size = 0;
  #leftBytes = 0;
  readonly #message = new GrowingBuffer();
  #error: FramingError | undefined;

  constructor(limits: FramingLimits) {
    assert(limits.chunkBytesMax <= CHUNK_BYTES_MAX_RFC, "a chunk fits RFC 6242's chunk-size");
    this.#limits = limits;
  }

  get pendingBytes(): number {
    return this.#message.lengthBytes;
  }

  /** Why the decoder is broken; `push` reports it at once, or after the messages that came before. */
  get failure(): FramingError | undefined {
    return this.#error;
  }

  /** True between two messages: nothing of a next one has come. */
  get atBoundary(): boolean {
    return this.#state === "lf" && this.#message.lengthBytes === 0;
  }

  /** Forgets the partial chunk and message, and an earlier error. */
  reset(): void {
    this.#state = "lf";
    this.#forgetMessage();
    this.#error = undefined;
  }

  takeRest(): Buffer {
    return Buffer.alloc(0); // Every byte pushed was used.
  }

  push(bytes: Uint8Array): Result<Buffer[], FramingError> {
    if (this.#error !== undefined) return err(this.#error);
    const input = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const messages: Buffer[] = [];
    let at = 0;
    while (at < input.length) {
      if (this.#state === "data") {
        at = this.#takeData(input, at);
        continue;
      }
      const problem = this.#step(input[at] ?? 0, messages);
      if (problem !== undefined) {
        this.#error = problem;
        this.#forgetMessage();
        return messages.length > 0 ? ok(messages) : err(problem);
      }
      at++;
    }
    return ok(messages);
  }

  #takeData(input: Buffer, at: number): number {
    const end = Math.min(input.length, at + this.#leftBytes);
    this.#message.append(input.subarray(at, end));
    this.#leftBytes -= end - at;
    if (this.#leftBytes === 0) this.#state = "lf";
    return end;
  }

  #step(byte: number, messages: Buffer[]): FramingError | undefined {
    switch (this.#state) {
      case "lf":
        return this.#expect(byte, LF, "hash");
      case "hash":
        return this.#expect(byte, HASH, "size-first");
      case "size-first":
        if (byte === HASH && this.#message.lengthBytes > 0) {
          this.#state = "end-lf";
          return undefined;
        }
        if (byte === ZERO || byte < ZERO || byte > NINE)
          return malformed("a chunk-size starts 1-9");
        this.#size = byte - ZERO;
        this.#state = "size";
        return this.#checkSize();
      case "size":
        if (byte === LF) return this.#startData();
        if (byte < ZERO || byte > NINE) return malformed("a chunk-size has digits only");
        this.#size = this.#size * 10 + (byte - ZERO);
        return this.#checkSize();
      case "end-lf":
        if (byte !== LF) return malformed("end-of-chunks is LF # # LF");
        messages.push(this.#message.take());
        this.#state = "lf";
        return undefined;
      default:
        return malformed("data is not stepped");
    }
  }

  #expect(byte: number, wanted: number, next: ChunkState): FramingError | undefined {
    if (byte !== wanted) return malformed("a chunk starts LF #");
    this.#state = next;
    return undefined;
  }

  #checkSize(): FramingError | undefined {
    const { chunkBytesMax, messageBytesMax } = this.#limits;
    if (this.#size > chunkBytesMax) {
      return { kind: "chunk-too-big", message: `A chunk has more than ${chunkBytesMax} bytes` };
    }
    if (this.#message.lengthBytes + this.#size > messageBytesMax) {
      return {
        kind: "message-too-big",
        message: `A message has more than ${messageBytesMax} bytes`,
      };
    }
    return undefined;
  }

  #startData(): undefined {
    this.#leftBytes = this.#size;
    this.#state = "data";
  }

  #forgetMessage(): void {
    this.#message.take();
    this.#leftBytes = 0;
    this.#size = 0;
  }
}

function malformed(rule: string): FramingError {
  return { kind: "framing-malformed", message: `The chunk framing is broken: ${rule}` };
}

/** Returns the message in chunks of at most `chunkBytes` (RFC 6242 §4.2). */
export function encodeChunked(
  message: string | Uint8Array,
  chunkBytes: number = CHUNK_BYTES_SENT,
): Buffer {
  const bytes = Buffer.from(message as Uint8Array);
  assert(bytes.length > 0, "a message has at least one byte");
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    const chunk = bytes.subarray(at, at + chunkBytes);
    parts.push(Buffer.from(`\n#${chunk.length}\n`), chunk);
  }
  parts.push(END_OF_CHUNKS);
  return Buffer.concat(parts);
}
