/**
 * A new session: what the controller holds, what the kernel holds and what we remember are made one again.
 *
 * Pure. (controller holds, kernel has it, we know it) => adopt, forget or withdraw:
 *   held, known          => goes on in the state that the controller tells
 *   held, live, unknown  => adopted under its own (epoch, flow id) if it is what we would ask for
 *   held, otherwise      => withdrawn
 *   not held, known      => it fell off: asked for again if it is still a candidate
 */
import type { ConntrackEntry } from "../lib/conntrack/entry.ts";
import type {
  FlowDirection,
  HeldFlow,
  OffloadFlow,
  OffloadReply,
} from "../offload-protocol/messages.ts";
import { FLOWS_PER_PAGE_MAX } from "../offload-protocol/messages.ts";
import { finishFlow } from "./closing.ts";
import type { EngineCore } from "./core.ts";
import { findPath } from "./flow-path.ts";
import { type FlowRecord, isCandidate, isOutside, keyOf } from "./flow-record.ts";
import { endRecord, onEntry } from "./intake.ts";
import { PAGES_MAX } from "./limits.ts";
import { activate, applyNotification } from "./notices.ts";
import { schedule } from "./schedule.ts";
import { NEVER_MS } from "./timers.ts";
import { renewLease } from "./upkeep.ts";

export function onSessionUp(core: EngineCore): void {
  if (core.session !== "down") onSessionDown(core);
  core.session = "resynchronising";
  core.outstanding.clear();
  core.credit.reset();
  core.tally.count("sessions");
  renewLease(core);
  startResync(core);
}

export function onSessionDown(core: EngineCore): void {
  core.session = "down";
  core.resync = undefined;
  core.leaseRenewAtMs = NEVER_MS;
  core.outstanding.clear();
  core.credit.reset();
  for (const record of core.byKey.values()) {
    if (record.state === "withdrawing") core.toWithdraw.add(record);
  }
  core.orphans.clear(); // The next session's dump tells of them.
}

function startResync(core: EngineCore): void {
  core.resync = {
    held: [],
    pages: 0,
    heldDone: false,
    asOfSequence: 0n,
    snapshot: undefined,
    notices: [],
    noticeEvents: 0,
  };
  askPage(core, undefined);
  core.emit({ kind: "read-snapshot" });
}

function askPage(core: EngineCore, last: HeldFlow | undefined): void {
  const after = last && { epoch: last.epoch, flowId: last.flow.flowId };
  core.send(
    { kind: "get-flows", limit: FLOWS_PER_PAGE_MAX, ...(after && { after }) },
    { kind: "get-flows" },
  );
}

export function onHeldPage(core: EngineCore, page: OffloadReply & { kind: "get-flows" }): void {
  const { resync } = core;
  if (resync === undefined) return;
  resync.held.push(...page.flows);
  resync.pages += 1;
  resync.asOfSequence = page.asOfSequence;
  if (page.more && resync.pages < PAGES_MAX) {
    askPage(core, page.flows.at(-1));
    return;
  }
  resync.heldDone = true;
  finishWhenComplete(core);
}

/** A dump of the kernel's table: part of a resynchronisation, or the repair after lost events. */
export function onSnapshot(
  core: EngineCore,
  snapshot: { readonly startedAtMs: number; readonly entries: readonly ConntrackEntry[] },
): void {
  if (core.resync !== undefined) {
    core.resync.snapshot = snapshot;
    finishWhenComplete(core);
    return;
  }
  const live = endMissing(core, snapshot);
  takeEntries(core, live, snapshot.startedAtMs);
}

/** Ends what the kernel has no more; returns the live entries by key. */
function endMissing(
  core: EngineCore,
  snapshot: { readonly startedAtMs: number; readonly entries: readonly ConntrackEntry[] },
): Map<string, ConntrackEntry> {
  const live = new Map(snapshot.entries.map((entry) => [keyOf(entry), entry]));
  for (const record of [...core.byKey.values()]) {
    // Entries that an event told of since the dump began are not missing from it.
    if (!live.has(record.key) && record.seenAtMs < snapshot.startedAtMs) endRecord(core, record);
  }
  return live;
}

/** Takes what the dump tells, but for flows of which an event told something newer. */
function takeEntries(
  core: EngineCore,
  live: ReadonlyMap<string, ConntrackEntry>,
  startedAtMs: number,
): void {
  for (const [key, entry] of live) {
    const record = core.byKey.get(key);
    if (record === undefined || record.seenAtMs < startedAtMs) onEntry(core, entry);
  }
}

function finishWhenComplete(core: EngineCore): void {
  const { resync } = core;
  if (resync?.snapshot === undefined || !resync.heldDone) return;
  const live = endMissing(core, resync.snapshot);
  if (resync.asOfSequence < core.settledSequence) {
    core.settledSequence = resync.asOfSequence; // The controller counts anew.
  }
  core.acknowledgedSequence = 0n;
  const held = new Set<FlowRecord>();
  for (const each of resync.held) {
    const record = matchHeld(core, each, live);
    if (record === undefined) core.addOrphan(each.epoch, each.flow.flowId);
    else held.add(record);
  }
  for (const record of [...core.byKey.values()]) {
    if (isOutside(record) && !held.has(record)) fellOff(core, record);
  }
  core.resync = undefined;
  core.session = "up";
  takeEntries(core, live, resync.snapshot.startedAtMs);
  for (const notice of resync.notices) applyNotification(core, notice);
}

/** Returns the record that goes on as the held flow, or undefined when it must be withdrawn. */
function matchHeld(
  core: EngineCore,
  held: HeldFlow,
  live: ReadonlyMap<string, ConntrackEntry>,
): FlowRecord | undefined {
  const known = core.find(held.epoch, held.flow.flowId);
  if (known !== undefined) {
    resume(core, known, held);
    return known;
  }
  const { match } = held.flow.original;
  const entry = live.get(keyOf({ original: match, zone: 0 }));
  if (entry === undefined || held.state === "quiescing") return undefined;
  return adopt(core, held, entry);
}

function resume(core: EngineCore, record: FlowRecord, held: HeldFlow): void {
  record.counters = held.counters;
  record.flow = held.flow;
  if (record.state === "withdrawing") core.toWithdraw.add(record);
  else if (held.state === "active") activate(core, record);
  else if (held.state === "pending") core.setState(record, "pending");
  record.lastUsedAtMs = core.nowMs - Number(held.counters.lastUsedMsAgo);
  schedule(core, record);
}

/** Takes over a flow that an earlier life of this process asked for. */
function adopt(core: EngineCore, held: HeldFlow, entry: ConntrackEntry): FlowRecord | undefined {
  if (!isCandidate(entry, core.options.requiredMark)) return undefined;
  const existing = core.byKey.get(keyOf(entry));
  if (existing !== undefined) {
    if (isOutside(existing) || existing.state === "preparing") return undefined;
    core.forget(existing);
  }
  const judgement = core.judgeEntry(entry);
  if (!judgement.allowed || !judgement.eligible) return undefined;
  const path = findPath(entry, core.interfaces, core.options.locate);
  if (path.kind !== "path" || !sameWays(held.flow, path)) return undefined;
  const record = core.create(entry, judgement, held.state === "active" ? "active" : "pending");
  core.identify(record, { epoch: held.epoch, flowId: held.flow.flowId });
  record.idleTimeoutMs = held.flow.idleTimeoutMs;
  core.tally.count("flows-adopted");
  resume(core, record, held);
  return record;
}

function sameWays(
  flow: OffloadFlow,
  path: { readonly original: FlowDirection; readonly reply: FlowDirection },
): boolean {
  return (
    flow.directions === "both" &&
    flow.reply !== undefined &&
    sameWay(flow.original, path.original) &&
    sameWay(flow.reply, path.reply)
  );
}

const MATCH_FIELDS = [
  "vnic",
  "protocol",
  "sourceAddress",
  "destinationAddress",
  "sourcePort",
  "destinationPort",
] as const;
const REWRITE_FIELDS = [
  "sourceAddress",
  "destinationAddress",
  "sourcePort",
  "destinationPort",
] as const;

/** Returns whether two directions do the same to the same packets. An absent rewrite changes nothing. */
export function sameWay(left: FlowDirection, right: FlowDirection): boolean {
  return (
    MATCH_FIELDS.every((field) => left.match[field] === right.match[field]) &&
    REWRITE_FIELDS.every(
      (field) =>
        (left.rewrite[field] ?? left.match[field]) === (right.rewrite[field] ?? right.match[field]),
    ) &&
    left.egress.vnic === right.egress.vnic &&
    left.egress.nextHop === right.egress.nextHop &&
    left.egress.mtuBytes === right.egress.mtuBytes
  );
}

/** The controller does not hold it any more, and an event that says why may have been lost with it. */
function fellOff(core: EngineCore, record: FlowRecord): void {
  core.tally.count("flows-fell-off");
  if (record.state === "withdrawing") {
    finishFlow(core, record, "withdrawn", undefined);
    return;
  }
  core.unidentify(record);
  record.flow = undefined;
  if (record.ended || !isCandidate(record.entry, core.options.requiredMark)) core.forget(record);
  else {
    core.setState(record, "queued");
    schedule(core, record);
  }
}
