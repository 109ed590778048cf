/**
 * A new policy: every live flow is judged again, and what it forbids is cut on both paths.
 *
 * Pure. Order for each forbidden flow: off the fast path, answered; then its conntrack entry is deleted. The
 * judge changes first, so a flow that is asked for meanwhile is judged by the new policy or found here.
 * Flows that an earlier policy kept on the slow path are asked for if the new one lets them go.
 */
import type { ConntrackEntry } from "../lib/conntrack/entry.ts";
import type { JudgeFlow } from "../lib/service/provider.ts";
import type { EngineCore, Revocation } from "./core.ts";
import { type FlowRecord, formatTuple, isOutside, keyOf } from "./flow-record.ts";
import { considerEntry } from "./intake.ts";
import { schedule } from "./schedule.ts";
import { withdraw } from "./withdrawal.ts";

export function onPolicy(
  core: EngineCore,
  policy: {
    readonly token: number;
    readonly judge: JudgeFlow;
    readonly policyEpoch: bigint;
    readonly deadlineMs: number;
  },
): void {
  core.judge = policy.judge;
  core.policyEpoch = policy.policyEpoch;
  const revocation: Revocation = {
    token: policy.token,
    deadlineAtMs: core.nowMs + policy.deadlineMs,
    remaining: new Map(),
    scanned: false,
    isTold: false,
    cut: new Set(),
    cutOffloadedFlows: 0,
  };
  dropTold(core);
  core.revocations.set(policy.token, revocation);
  for (const record of [...core.byKey.values()]) judgeAgain(core, record, revocation);
}

/** The new policy has a list of its own to come: late ones before it need not look any further. */
function dropTold(core: EngineCore): void {
  for (const { token, isTold } of core.revocations.values()) {
    if (isTold) core.revocations.delete(token);
  }
}

function judgeAgain(core: EngineCore, record: FlowRecord, revocation: Revocation): void {
  const judgement = core.judgeEntry(record.entry);
  if (!judgement.allowed) {
    cut(core, record, revocation);
    return;
  }
  if (!judgement.eligible) {
    if (isOutside(record) || record.state === "preparing") {
      revocation.remaining.set(record.key, record);
    }
    withdraw(core, record, "restore");
    return;
  }
  record.judgement = judgement;
  comeBack(record);
  if (record.state === "refused") {
    record.attempts = 0;
    core.setState(record, "queued");
    schedule(core, record);
  }
}

/** An earlier policy took the flow off the fast path, and this one lets it go there again. */
function comeBack(record: FlowRecord): void {
  if (record.after !== "restore" || record.ended) return;
  record.after = record.state === "preparing" ? undefined : "requeue";
}

/** Counts the flow and ends it; it stays in `remaining` until nothing of it is left. */
function cut(core: EngineCore, record: FlowRecord, revocation: Revocation): void {
  revocation.remaining.set(record.key, record);
  revocation.cut.add(record.key);
  if (isOutside(record)) revocation.cutOffloadedFlows += 1;
  withdraw(core, record, "delete");
}

/** Takes a part of the kernel's table, read after the new judge was set. */
export function onPolicyEntries(
  core: EngineCore,
  token: number,
  entries: readonly ConntrackEntry[],
): void {
  const revocation = core.revocations.get(token);
  if (revocation === undefined) return; // A later policy looks at all entries again.
  for (const entry of entries) {
    const record = core.findByTuple(entry);
    if (core.judgeEntry(entry).allowed) {
      // A flow that the old policy kept back makes no event of its own.
      if (record === undefined) considerEntry(core, entry);
      continue;
    }
    if (record === undefined) {
      revocation.cut.add(keyOf(entry));
      core.emit({ kind: "delete", entry });
    } else if (record.after !== "delete") cut(core, record, revocation);
  }
}

export function onPolicyScanned(core: EngineCore, token: number): void {
  const revocation = core.revocations.get(token);
  if (revocation !== undefined) revocation.scanned = true;
}

/**
 * Reports policy changes that are complete or late. A late one goes on: what its list still brings is judged
 * and cut all the same.
 */
export function flushRevocations(core: EngineCore): void {
  for (const revocation of core.revocations.values()) {
    const complete = revocation.scanned && revocation.remaining.size === 0;
    if (complete) core.revocations.delete(revocation.token);
    if (revocation.isTold || (!complete && core.nowMs < revocation.deadlineAtMs)) continue;
    revocation.isTold = true;
    core.emit({
      kind: "policy-done",
      token: revocation.token,
      outcome: {
        cutFlows: revocation.cut.size,
        cutOffloadedFlows: revocation.cutOffloadedFlows,
        late: listLate(revocation),
      },
    });
  }
}

function listLate({ remaining, scanned }: Revocation): string[] {
  const late = Array.from(remaining.values(), (record) => formatTuple(record.entry.original));
  return scanned ? late : [...late, "flows that were not looked at in time"];
}
