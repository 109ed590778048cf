/** Bounds and durations of the offload engine. Pure. */

/** Flows with a record, in whatever state; beyond, flows stay on the slow path and are counted. */
export const FLOWS_TRACKED_MAX = 262_144;
/** Flows waiting for a credit. */
export const FLOWS_QUEUED_MAX = 65_536;
/** How long a flow waits for a credit before it is left on the slow path. */
export const QUEUED_MAX_MS = 30_000;
/** Unanswered messages of each sort; more work waits and makes the next message longer. */
export const REQUESTS_IN_FLIGHT_MAX = 4;
export const WITHDRAWALS_IN_FLIGHT_MAX = 4;
export const UPDATES_IN_FLIGHT_MAX = 64;
/** A message without an answer for so long ends the session; resynchronisation follows. */
export const REPLY_DEADLINE_MS = 10_000;
/** From the grant to the notice that the flow is active; then it is withdrawn. */
export const PENDING_MAX_MS = 10_000;
/** Repetitions after a refusal that may pass. */
export const RETRIES_MAX = 5;
export const RETRY_FIRST_MS = 250;
export const RETRY_LAST_MS = 8_000;
/** Beyond its idle timeout an active flow must have been heard of within this time. */
export const SILENCE_MAX_MS = 30_000;
/** A conntrack entry whose flow is on the fast path never has less than this left. */
export const HOLD_MIN_MS = 30_000;
/** Conntrack timeouts set in one turn; the rest follow in the next. */
export const REASSERTIONS_PER_TURN_MAX = 4_096;
/** What an entry gets that stayed established after a reset was seen. */
export const CLOSING_TIMEOUT_SEC = 10;
/** A lease is renewed after this part of it. */
export const LEASE_RENEWALS = 3;
/** Notifications that are kept while the engine resynchronises. */
export const EVENTS_HELD_MAX = 65_536;
/** Settled events are acknowledged together: after this time, or when there are so many. */
export const ACKNOWLEDGE_AFTER_MS = 20;
export const ACKNOWLEDGE_EVENTS = 1_024;
/** Pages of get-flows in one resynchronisation. */
export const PAGES_MAX = 1_024;
/** A renewal that failed is repeated after this time. */
export const RENEWAL_RETRY_MS = 1_000;
/** Deadlines are kept to this precision. */
export const TIMER_GRAIN_MS = 50;
export const IDLE_TIMEOUT_TCP_MS = 60_000;
export const IDLE_TIMEOUT_UDP_MS = 30_000;

/** Returns the pause before repetition `attempt` (from 1). */
export function retryDelayMs(attempt: number): number {
  return Math.min(RETRY_LAST_MS, RETRY_FIRST_MS * 2 ** Math.min(attempt - 1, 16));
}
