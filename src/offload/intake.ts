/**
 * What conntrack events mean for flows: candidates, closings, ends.
 *
 * Pure. Events may repeat, come late, or tell of our own changes; the entry's id tells one life of a tuple
 * from the next.
 */
import type { ConntrackEntry, ConntrackEvent } from "../lib/conntrack/entry.ts";
import { MARK_CLOSING } from "../lib/conntrack/mark-bits.ts";
import type { EngineCore } from "./core.ts";
import { type FlowRecord, isCandidate, isOutside } from "./flow-record.ts";
import { FLOWS_QUEUED_MAX, FLOWS_TRACKED_MAX } from "./limits.ts";
import { schedule } from "./schedule.ts";
import { withdraw } from "./withdrawal.ts";

/** Takes one batch of events. */
export function onConntrack(core: EngineCore, events: readonly ConntrackEvent[]): void {
  for (const event of events) {
    if (event.kind === "overrun") {
      core.tally.count("event-overruns");
      core.emit({ kind: "read-snapshot" });
    } else if (event.kind === "destroy") onDestroyed(core, event.entry);
    else onEntry(core, event.entry);
  }
}

/** Takes the present state of a live entry, from an event or from a dump. */
export function onEntry(core: EngineCore, entry: ConntrackEntry): void {
  const record = core.findByTuple(entry);
  if (record === undefined) {
    considerEntry(core, entry);
    return;
  }
  if (record.entry.id !== entry.id) {
    onReincarnation(core, record, entry);
    return;
  }
  const wasClosing = (record.entry.mark & MARK_CLOSING) !== 0;
  record.entry = keepWhatEventsOmit(record.entry, entry);
  record.seenAtMs = core.nowMs;
  if (entry.timeoutSec !== undefined) {
    record.expiresAtMs = core.nowMs + 1000 * entry.timeoutSec;
    // A timer that comes earlier stands; one that would come too late is moved.
    if (isOutside(record)) schedule(core, record);
  }
  if (!wasClosing && (entry.mark & MARK_CLOSING) !== 0) {
    core.tally.count("closings");
    withdraw(core, record, "closing");
  }
}

/** An update that tells of a mark leaves out the protocol's state. */
function keepWhatEventsOmit(before: ConntrackEntry, now: ConntrackEntry): ConntrackEntry {
  if (before.helper === undefined && !before.hasSequenceAdjustment) return now;
  return {
    ...now,
    ...(before.helper !== undefined && { helper: before.helper }),
    hasSequenceAdjustment: before.hasSequenceAdjustment || now.hasSequenceAdjustment,
  };
}

/** Asks for the flow if it may and if there is room. */
export function considerEntry(core: EngineCore, entry: ConntrackEntry): void {
  if (!isCandidate(entry, core.options.requiredMark)) return;
  if (core.byKey.size >= (core.options.flowsTrackedMax ?? FLOWS_TRACKED_MAX)) {
    core.tally.count("not-tracked-table-full");
    return;
  }
  if (core.queue.size >= FLOWS_QUEUED_MAX) {
    core.tally.count("not-queued-queue-full");
    return;
  }
  const judgement = core.judgeEntry(entry);
  if (!judgement.allowed) core.tally.count("not-allowed");
  else if (!judgement.eligible) core.tally.count("not-eligible");
  else schedule(core, core.create(entry, judgement, "queued"));
}

/** The entry is gone from the kernel. */
export function onDestroyed(core: EngineCore, entry: ConntrackEntry): void {
  const record = core.findByTuple(entry);
  if (record === undefined) return;
  if (record.entry.id === entry.id) endRecord(core, record);
  else if (record.successor?.id === entry.id) record.successor = undefined;
}

/** Ends what is known of an entry that no longer exists. */
export function endRecord(core: EngineCore, record: FlowRecord): void {
  if (record.ended) return;
  record.ended = true;
  if (isOutside(record)) core.tally.count("entries-ended-while-offloaded");
  withdraw(core, record, "restore");
}

/** The tuple lives again as another entry: the flow that we know ended without an event. */
function onReincarnation(core: EngineCore, record: FlowRecord, entry: ConntrackEntry): void {
  if (record.successor?.id !== entry.id) core.tally.count("tuples-reused");
  record.successor = entry;
  endRecord(core, record);
}
