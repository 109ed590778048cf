/**
 * When a flow must be looked at next: every state has a deadline.
 *
 * Pure. "requested" and "withdrawing" are bounded by their message's own deadline (REPLY_DEADLINE_MS) and by
 * the lease; "refused" ends with the conntrack entry or at the next policy change.
 */
import type { EngineCore } from "./core.ts";
import { type FlowRecord, isOutside } from "./flow-record.ts";
import { HOLD_MIN_MS, PENDING_MAX_MS, QUEUED_MAX_MS, SILENCE_MAX_MS } from "./limits.ts";
import { NEVER_MS } from "./timers.ts";

/** Returns when the state itself is over. */
export function stateDeadlineMs(record: FlowRecord): number {
  switch (record.state) {
    case "queued":
      return record.sinceMs + QUEUED_MAX_MS;
    case "pending":
      return record.sinceMs + PENDING_MAX_MS;
    case "active":
      return Math.max(record.lastUsedAtMs, record.sinceMs) + record.idleTimeoutMs + SILENCE_MAX_MS;
    case "waiting":
      return record.dueAtMs;
    default:
      return NEVER_MS;
  }
}

/** Returns when the conntrack entry needs a longer life. */
export function reassertAtMs(record: FlowRecord): number {
  return isOutside(record) && !record.ended ? record.expiresAtMs - HOLD_MIN_MS : NEVER_MS;
}

/** Sets the record's timer for its present state. */
export function schedule(core: EngineCore, record: FlowRecord): void {
  core.timers.set(record, Math.min(stateDeadlineMs(record), reassertAtMs(record)));
}
