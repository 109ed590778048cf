/**
 * How many flows may be asked for now.
 *
 * Pure. A notice counts everything that the controller had answered when it wrote it, so flows that are
 * still unanswered are taken off it again.
 * Invariant: flows asked for and not yet answered never exceed what the latest notice allowed.
 */
import { assert } from "../lib/base/assert.ts";

export class CreditAccount {
  #remaining = 0;
  #unanswered = 0;

  get available(): number {
    return Math.max(0, this.#remaining);
  }

  get unanswered(): number {
    return this.#unanswered;
  }

  /** A session begins: nothing may be asked for before the first notice. */
  reset(): void {
    this.#remaining = 0;
    this.#unanswered = 0;
  }

  notified(flows: number): void {
    this.#remaining = flows - this.#unanswered;
  }

  reserve(flows: number): void {
    assert(flows <= this.available, "a request stays within its credit");
    this.#remaining -= flows;
    this.#unanswered += flows;
  }

  /** `notGranted` of the answered flows hold nothing at the controller. */
  answered(flows: number, notGranted: number): void {
    assert(flows <= this.#unanswered, "only reserved flows are answered");
    this.#unanswered -= flows;
    this.#remaining += notGranted;
  }
}
