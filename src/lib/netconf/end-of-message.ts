/**
 * NETCONF end-of-message framing (`]]>]]>`), for base 1.0 sessions and for every hello.
 *
 * Pure: bytes in, messages out. Source: RFC 6242 §4.3, RFC 6241 §8.1.
 * Limit: a message, its mark excluded, has at most `messageBytesMax` bytes.
 */
import { err, ok, type Result } from "../base/result.ts";
import type { FramingError, FramingLimits, MessageDecoder } from "./framing.ts";
import { GrowingBuffer } from "./growing-buffer.ts";

const END_OF_MESSAGE: Buffer = Buffer.from("]]>]]>");

/** Decodes messages that end with `]]>]]>`. `single` stops after one: takeRest() has what follows. */
export class EndOfMessageDecoder implements MessageDecoder {
  readonly #limits: FramingLimits;
  readonly #single: boolean;
  readonly #message = new GrowingBuffer();
  #rest: Buffer = Buffer.alloc(0);
  #error: FramingError | undefined;

  constructor(limits: FramingLimits, single = false) {
    this.#limits = limits;
    this.#single = single;
  }

  get pendingBytes(): number {
    return this.#message.lengthBytes;
  }

  get failure(): FramingError | undefined {
    return this.#error;
  }

  takeRest(): Buffer {
    const rest = this.#rest;
    this.#rest = Buffer.alloc(0);
    return rest;
  }

  push(bytes: Uint8Array): Result<Buffer[], FramingError> {
    if (this.#error !== undefined) return err(this.#error);
    const messages: Buffer[] = [];
    let searchedBytes = Math.max(0, this.#message.lengthBytes - END_OF_MESSAGE.length + 1);
    this.#message.append(bytes);
    for (;;) {
      const end = this.#message.indexOf(END_OF_MESSAGE, searchedBytes);
      // An unfinished mark at the end may not belong to the message.
      const certainBytes = this.#message.lengthBytes - END_OF_MESSAGE.length + 1;
      if ((end < 0 ? certainBytes : end) > this.#limits.messageBytesMax) {
        return this.#fail(messages);
      }
      if (end < 0) return ok(messages);
      const whole = this.#message.take();
      const rest = whole.subarray(end + END_OF_MESSAGE.length);
      messages.push(whole.subarray(0, end));
      if (this.#single) {
        this.#rest = Buffer.from(rest);
        return ok(messages);
      }
      this.#message.append(rest);
      searchedBytes = 0;
    }
  }

  #fail(earlier: Buffer[]): Result<Buffer[], FramingError> {
    const message = `A message has more than ${this.#limits.messageBytesMax} bytes`;
    this.#error = { kind: "message-too-big", message };
    this.#message.take();
    return earlier.length > 0 ? ok(earlier) : err(this.#error);
  }
}

/** Returns the message with the end-of-message mark. */
export function encodeEndOfMessage(message: string | Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(message as Uint8Array), END_OF_MESSAGE]);
}
