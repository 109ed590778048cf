/**
 * What time brings: deadlines of flows and messages, conntrack timeouts, the lease.
 *
 * Pure. A flow's conntrack entry lives as long as the fast path says that it is used; the fast path ends idle
 * ones, so an entry is never pinned by the absence of news for longer than SILENCE_MAX_MS.
 */

import { settle } from "./closing.ts";
import type { EngineCore } from "./core.ts";
import type { KeyedChange } from "./engine-types.ts";
import { type FlowRecord, isOutside } from "./flow-record.ts";
import { considerEntry } from "./intake.ts";
import { HOLD_MIN_MS, REASSERTIONS_PER_TURN_MAX, REPLY_DEADLINE_MS } from "./limits.ts";
import { reassertAtMs, schedule, stateDeadlineMs } from "./schedule.ts";
import { NEVER_MS } from "./timers.ts";
import { withdraw } from "./withdrawal.ts";

/** Does everything that is due. */
export function onTick(core: EngineCore): void {
  for (const [requestId, outstanding] of core.outstanding) {
    if (core.nowMs - outstanding.sentAtMs < REPLY_DEADLINE_MS) continue;
    core.outstanding.delete(requestId);
    core.resetSession(`no answer to ${outstanding.kind} within ${REPLY_DEADLINE_MS} ms`);
    break;
  }
  if (core.session !== "down" && core.nowMs >= core.leaseRenewAtMs) renewLease(core);
  if (core.session === "down" && !core.leaseHolds) lapse(core);
  const changes: KeyedChange[] = [];
  for (const record of core.timers.takeDue(core.nowMs, REASSERTIONS_PER_TURN_MAX)) {
    onDue(core, record, changes);
  }
  if (changes.length > 0) core.emit({ kind: "change", changes });
}

export function renewLease(core: EngineCore): void {
  core.leaseRenewAtMs = NEVER_MS; // Set again by the answer.
  core.send({ kind: "renew-lease", epoch: core.options.epoch }, { kind: "renew-lease" });
}

/** Returns when onTick() should run next. */
export function nextTickMs(core: EngineCore): number {
  let next = Math.min(core.timers.nextMs(), core.acknowledgeAtMs);
  for (const { sentAtMs } of core.outstanding.values()) {
    next = Math.min(next, sentAtMs + REPLY_DEADLINE_MS);
  }
  if (core.session !== "down") next = Math.min(next, core.leaseRenewAtMs);
  else if (core.leaseHolds) next = Math.min(next, core.leaseUntilMs);
  for (const { deadlineAtMs, isTold } of core.revocations.values()) {
    if (!isTold) next = Math.min(next, deadlineAtMs);
  }
  return next;
}

function onDue(core: EngineCore, record: FlowRecord, changes: KeyedChange[]): void {
  if (record.state === "waiting") {
    core.setState(record, "queued");
    schedule(core, record);
    return;
  }
  if (core.nowMs >= stateDeadlineMs(record)) {
    onStateOver(core, record);
    return;
  }
  if (core.nowMs >= reassertAtMs(record)) changes.push(reassert(core, record));
  schedule(core, record);
}

function onStateOver(core: EngineCore, record: FlowRecord): void {
  core.tally.count(`${record.state}-too-long`);
  if (record.state === "queued") core.forget(record);
  else withdraw(core, record, "rearm");
}

/** Gives the entry the life that it would have if the kernel saw the packets, and never less than a hold. */
function reassert(core: EngineCore, record: FlowRecord): KeyedChange {
  const byUse = record.lastUsedAtMs + 1000 * core.protocolSec(record.entry);
  record.expiresAtMs = Math.max(byUse, core.nowMs + 2 * HOLD_MIN_MS);
  const timeoutSec = Math.ceil((record.expiresAtMs - core.nowMs) / 1000);
  const { original, zone } = record.entry;
  core.tally.count("timeouts-reasserted");
  return { key: record.key, change: { original, zone, timeoutSec } };
}

/**
 * The lease is over and nobody renewed it: the data path forwards none of the flows any more, so all of them
 * are on the slow path. What the controller still remembers is sorted out at the next session.
 */
function lapse(core: EngineCore): void {
  if (core.countOutside() === 0) return;
  const lapsed = [...core.byKey.values()].filter(isOutside);
  core.tally.count("flows-lapsed", lapsed.length);
  for (const record of lapsed) {
    core.unidentify(record);
    record.flow = undefined;
    if (record.after === "delete") settle(core, record, "delete");
    else {
      core.forget(record);
      if (!record.ended && record.after === undefined) considerEntry(core, record.entry);
    }
  }
}
