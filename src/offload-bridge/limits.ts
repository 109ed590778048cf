/**
 * What one virtual machine may send through its serial port, and the buckets that measure it.
 *
 * Pure. A bucket holds up to its burst and fills with time; what does not find its tokens is refused.
 */
import { CHUNK_BYTES_MAX, MESSAGE_BYTES_MAX } from "../offload-protocol/messages.ts";

export interface VmLimits {
  readonly messageBytesMax: number;
  /** Messages and markers. */
  readonly messagesPerSec: number;
  readonly messagesBurst: number;
  readonly bytesPerSec: number;
  readonly bytesBurst: number;
}

/** Far above what a busy appliance needs: 20,000 flows/s are 27 MB/s in 200 messages/s. */
export const VM_LIMITS_DEFAULT: VmLimits = {
  messageBytesMax: MESSAGE_BYTES_MAX,
  messagesPerSec: 4_000,
  messagesBurst: 8_000,
  bytesPerSec: 64 * 1024 * 1024,
  bytesBurst: 32 * 1024 * 1024,
};

/** Returns the limit of a chunk that goes with the limit of a message. */
export function chunkBytesMaxOf(limits: VmLimits): number {
  return Math.min(CHUNK_BYTES_MAX, limits.messageBytesMax);
}

/** Tokens that fill with time. */
export class TokenBucket {
  readonly #perSec: number;
  readonly #burst: number;
  #tokens: number;
  #atMs: number;

  constructor(perSec: number, burst: number, nowMs: number) {
    this.#perSec = perSec;
    this.#burst = burst;
    this.#tokens = burst;
    this.#atMs = nowMs;
  }

  /** Returns whether `count` tokens are there; `take` takes them. */
  has(count: number, nowMs: number): boolean {
    const gained = ((nowMs - this.#atMs) / 1000) * this.#perSec;
    this.#tokens = Math.min(this.#burst, this.#tokens + Math.max(0, gained));
    this.#atMs = Math.max(this.#atMs, nowMs);
    return this.#tokens >= count;
  }

  take(count: number): void {
    this.#tokens -= count;
  }
}
