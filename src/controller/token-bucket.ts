/** A bound on how often something may happen. Pure: time is an argument. */

/** Holds at most `burst` tokens and regains `perSec` of them each second. */
export class TokenBucket {
  #tokens: number;
  #atMs: number;
  #perSec: number;
  #burst: number;

  constructor(perSec: number, burst: number, nowMs: number) {
    this.#perSec = perSec;
    this.#burst = burst;
    this.#tokens = burst;
    this.#atMs = nowMs;
  }

  /** Changes the limits; tokens above the new burst are lost. */
  configure(perSec: number, burst: number): void {
    this.#perSec = perSec;
    this.#burst = burst;
    this.#tokens = Math.min(this.#tokens, burst);
  }

  /** Takes up to `wanted` tokens and returns how many there were. */
  take(wanted: number, nowMs: number): number {
    const gained = (Math.max(0, nowMs - this.#atMs) * this.#perSec) / 1000;
    this.#tokens = Math.min(this.#burst, this.#tokens + gained);
    this.#atMs = Math.max(this.#atMs, nowMs);
    const taken = Math.min(wanted, Math.floor(this.#tokens));
    this.#tokens -= taken;
    return taken;
  }
}
