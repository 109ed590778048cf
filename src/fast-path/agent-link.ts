/**
 * Calls, answers and events between controller and agent as binary frames over a Unix stream socket.
 *
 * Effect: one connection. What comes thousands of times a second is bytes (driver-codec.ts, packed-flows.ts); the rest is JSON.
 * Limit: FRAME_BYTES_MAX for each frame, PENDING_CALLS_MAX calls without an answer, CALL_TIMEOUT_MS for each.
 *
 * ```
 *  0          4      5         9
 * +----------+------+---------+------------
 * | length   | kind | call    | body          length: of everything behind it
 * +----------+------+---------+------------
 * ```
 */
import type { Socket } from "node:net";
import { assert } from "../lib/base/assert.ts";
import { type ErrorCode, FlowliftError } from "../lib/base/errors.ts";

/** Holds a million flows. */
export const FRAME_BYTES_MAX: number = 512 * 1024 * 1024;
export const PENDING_CALLS_MAX = 4096;
export const CALL_TIMEOUT_MS = 30_000;
const LENGTH_BYTES = 4;
const HEADER_BYTES = 9;

export const FRAME_CALL = 1;
export const FRAME_INSTALL = 2;
export const FRAME_WITHDRAW = 3;
export const FRAME_READ_COUNTERS = 4;
export const FRAME_ANSWER = 5;
export const FRAME_ERROR = 6;
export const FRAME_EVENT = 7;

interface PendingCall {
  resolve(body: Buffer): void;
  reject(error: Error): void;
  readonly timer: NodeJS.Timeout;
}

/** One end. Errors of a call: LOCAL_RPC_CLOSED, LOCAL_RPC_TIMEOUT, or the peer's own. */
export class AgentLink {
  readonly #socket: Socket;
  readonly #pending = new Map<number, PendingCall>();
  #rest: Buffer[] = [];
  #restBytes = 0;
  #nextCall = 1;
  #closed = false;
  /** Called for each call of the peer; its answer goes back by `answer` or `fail`. */
  onCall: (kind: number, call: number, body: Buffer) => void = () => {};
  onEvent: (body: Buffer) => void = () => {};
  /** Called once, when the connection is gone. */
  onClose: () => void = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("error", () => this.close());
    socket.on("close", () => this.close());
  }

  /** Bytes that the kernel has not taken yet. */
  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  /** Resolves to the answer's body. */
  call(kind: number, body: Uint8Array): Promise<Buffer> {
    if (this.#closed) return Promise.reject(closedError());
    const withinBound = this.#pending.size < PENDING_CALLS_MAX;
    assert(withinBound, "calls without an answer stay within their bound");
    const call = this.#nextCall;
    this.#nextCall = (this.#nextCall + 1) >>> 0;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(call);
        reject(new FlowliftError("LOCAL_RPC_TIMEOUT", `No answer within ${CALL_TIMEOUT_MS} ms`));
      }, CALL_TIMEOUT_MS);
      this.#pending.set(call, { resolve, reject, timer });
      this.#write(kind, call, body);
    });
  }

  answer(call: number, body: Uint8Array): void {
    if (!this.#closed) this.#write(FRAME_ANSWER, call, body);
  }

  fail(call: number, code: ErrorCode, message: string): void {
    if (!this.#closed) this.#write(FRAME_ERROR, call, encodeJson({ code, message }));
  }

  /** Nothing comes back; dropped when the connection is gone. */
  emit(body: Uint8Array): void {
    if (!this.#closed) this.#write(FRAME_EVENT, 0, body);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.destroy();
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(closedError());
    }
    this.#pending.clear();
    this.onClose();
  }

  #write(kind: number, call: number, body: Uint8Array): void {
    const frame = Buffer.allocUnsafe(HEADER_BYTES + body.length);
    frame.writeUInt32LE(frame.length - LENGTH_BYTES, 0);
    frame.writeUInt8(kind, 4);
    frame.writeUInt32LE(call, 5);
    frame.set(body, HEADER_BYTES);
    this.#socket.write(frame);
  }

  /** Chunks are joined only when they hold a whole frame. */
  #receive(chunk: Buffer): void {
    this.#rest.push(chunk);
    this.#restBytes += chunk.length;
    while (!this.#closed) {
      const lengthBytes = this.#peek(LENGTH_BYTES);
      if (lengthBytes === undefined) return;
      const length = lengthBytes.readUInt32LE(0);
      if (length > FRAME_BYTES_MAX || length < HEADER_BYTES - LENGTH_BYTES) {
        this.close();
        return;
      }
      const frame = this.#peek(LENGTH_BYTES + length);
      if (frame === undefined) return;
      const all = this.#rest[0] ?? frame;
      const after = all.subarray(LENGTH_BYTES + length);
      this.#rest = after.length > 0 ? [after, ...this.#rest.slice(1)] : this.#rest.slice(1);
      this.#restBytes -= LENGTH_BYTES + length;
      const body = frame.subarray(HEADER_BYTES, LENGTH_BYTES + length);
      this.#take(frame.readUInt8(4), frame.readUInt32LE(5), body);
    }
  }

  /** Returns the first chunk when it has so many bytes, after joining what is needed. */
  #peek(bytes: number): Buffer | undefined {
    if (this.#restBytes < bytes) return undefined;
    const [first] = this.#rest;
    if (first !== undefined && first.length >= bytes) return first;
    const joined = Buffer.concat(this.#rest);
    this.#rest = [joined];
    return joined;
  }

  #take(kind: number, call: number, body: Buffer): void {
    if (kind === FRAME_EVENT) this.onEvent(body);
    else if (kind !== FRAME_ANSWER && kind !== FRAME_ERROR) this.onCall(kind, call, body);
    else {
      const pending = this.#pending.get(call);
      if (pending === undefined) return; // Its time was over.
      this.#pending.delete(call);
      clearTimeout(pending.timer);
      if (kind === FRAME_ANSWER) pending.resolve(body);
      else {
        const { code, message } = decodeJson(body) as { code: ErrorCode; message: string };
        pending.reject(new FlowliftError(code, message));
      }
    }
  }
}

export function encodeJson(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value ?? null));
}

export function decodeJson(body: Buffer): unknown {
  return JSON.parse(body.toString());
}

function closedError(): FlowliftError {
  return new FlowliftError("LOCAL_RPC_CLOSED", "The connection to the agent closed");
}
