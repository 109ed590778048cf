/**
 * One channel of the management port as a stream, with a window of its own.
 *
 * Invariant: at most WINDOW_BYTES that the other side has not read are under way in each direction, so one
 * reader that stands still holds up its own channel only.
 */
import { Duplex } from "node:stream";
import { PAYLOAD_BYTES_MAX } from "./frames.ts";

export const WINDOW_BYTES: number = 256 * 1024;
/** Room is told in steps, not for each frame. */
const GRANT_BYTES: number = WINDOW_BYTES / 4;

/** What a channel tells its multiplexer. */
export interface ChannelSink {
  sendData(bytes: Buffer): void;
  sendWindow(bytes: number): void;
  /** The channel is over on this side; called once. */
  closed(): void;
}

interface Waiting {
  readonly rest: Buffer;
  readonly done: (error?: Error | null) => void;
}

/** A stream; destroyed when either side closes it, or the port's session ends. */
export class ChannelStream extends Duplex {
  readonly #sink: ChannelSink;
  #mayBytes = WINDOW_BYTES;
  #waiting: Waiting | undefined;
  /** Bytes that were taken in and not granted again yet. */
  #ungranted = 0;
  /** Bytes that the other side may still send. */
  #expected = WINDOW_BYTES;

  constructor(sink: ChannelSink) {
    super({ allowHalfOpen: false, readableHighWaterMark: 64 * 1024 });
    this.#sink = sink;
  }

  /** Takes what the other side sent; returns false when it is more than it was allowed. */
  takeData(bytes: Buffer): boolean {
    if (bytes.length > this.#expected) return false;
    this.#expected -= bytes.length;
    this.#ungranted += bytes.length;
    this.push(bytes);
    return true;
  }

  /** The other side has made room; returns false when it is more than there can be. */
  takeWindow(bytes: number): boolean {
    if (this.#mayBytes + bytes > WINDOW_BYTES) return false;
    this.#mayBytes += bytes;
    this.#sendWaiting();
    return true;
  }

  /** The other side has closed: what it sent can still be read. */
  takeClose(): void {
    this.push(null);
  }

  override _read(): void {
    if (this.#ungranted < GRANT_BYTES || this.destroyed) return;
    this.#expected += this.#ungranted;
    this.#sink.sendWindow(this.#ungranted);
    this.#ungranted = 0;
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#waiting = { rest: chunk, done };
    this.#sendWaiting();
  }

  /** Nothing is half open: who has written everything has nothing left to read. */
  override _final(done: (error?: Error | null) => void): void {
    this.#sink.closed();
    this.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.done(error);
    this.#sink.closed();
    done(error);
  }

  #sendWaiting(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    let { rest } = waiting;
    while (rest.length > 0 && this.#mayBytes > 0) {
      const part = rest.subarray(0, Math.min(rest.length, PAYLOAD_BYTES_MAX, this.#mayBytes));
      this.#mayBytes -= part.length;
      rest = rest.subarray(part.length);
      this.#sink.sendData(part);
    }
    if (rest.length > 0) {
      this.#waiting = { rest, done: waiting.done };
      return;
    }
    this.#waiting = undefined;
    waiting.done();
  }
}
