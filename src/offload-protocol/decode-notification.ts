/**
 * Notifications from XML.
 *
 * Pure. Source: yang/flowlift-offload.yang.
 */
import { finishCounters, readCountersChild } from "./decode-counters.ts";
import type { Collecting } from "./decode-direction.ts";
import { DIRECTIONS } from "./decode-flow.ts";
import { REFUSAL_REASONS } from "./decode-reply.ts";
import type {
  CloseCause,
  Directions,
  FlowCounters,
  FlowEvent,
  FlowStatistic,
  OffloadNotification,
  RefusalReason,
} from "./messages.ts";
import { failMissing, failUnknown } from "./xml-failures.ts";
import { nextData, readEnum, readEpoch, readUint, readUint64, UINT32_MAX } from "./xml-leaf.ts";
import type { XmlReader } from "./xml-reader.ts";

export const CLOSE_CAUSES: readonly [CloseCause, ...CloseCause[]] = [
  "unspecified",
  "withdrawn",
  "idle",
  "evicted",
  "lease-expired",
  "neighbour-moved",
  "not-entitled-any-more",
  "operator",
];

/** Reads the notification whose element was opened last; undefined when there is none of that name. */
export function decodeNotificationBody(
  reader: XmlReader,
  local: string,
): OffloadNotification | undefined {
  switch (local) {
    case "flow-events":
      return { kind: "flow-events", events: readEntries(reader, "event", decodeEvent) };
    case "flow-statistics":
      return { kind: "flow-statistics", flows: readEntries(reader, "flow", decodeStatistic) };
    case "credit":
      return { kind: "credit", flows: decodeCredit(reader) };
    default:
      return undefined;
  }
}

function readEntries<T>(reader: XmlReader, name: string, decode: (reader: XmlReader) => T): T[] {
  const entries: T[] = [];
  for (let local = nextData(reader); local !== undefined; local = nextData(reader)) {
    if (local === name) entries.push(decode(reader));
    else failUnknown(reader, local);
  }
  return entries;
}

function decodeEvent(reader: XmlReader): FlowEvent {
  const event: Collecting<FlowEvent> = {};
  for (let local = nextData(reader); local !== undefined; local = nextData(reader)) {
    switch (local) {
      case "sequence":
        reader.once(event.sequence);
        event.sequence = readUint64(reader);
        break;
      case "epoch":
        reader.once(event.epoch);
        event.epoch = readEpoch(reader);
        break;
      case "flow-id":
        reader.once(event.flowId);
        event.flowId = readUint64(reader);
        break;
      case "activated":
        reader.once(event.what);
        event.what = { kind: "activated", directions: decodeActivated(reader) };
        break;
      case "refused-late":
        reader.once(event.what);
        event.what = { kind: "refused-late", reason: decodeRefusedLate(reader) };
        break;
      case "closed":
        reader.once(event.what);
        event.what = decodeClosed(reader);
        break;
      default:
        failUnknown(reader, local);
    }
  }
  if (event.sequence === undefined) failMissing(reader, "sequence");
  if (event.epoch === undefined) failMissing(reader, "epoch");
  if (event.flowId === undefined) failMissing(reader, "flow-id");
  if (event.what === undefined) failMissing(reader, "what");
  return event as FlowEvent; // Complete, or a failure is kept and nobody looks.
}

function decodeActivated(reader: XmlReader): Directions {
  let directions: Directions | undefined;
  for (let local = nextData(reader); local !== undefined; local = nextData(reader)) {
    if (local === "directions") {
      reader.once(directions);
      directions = readEnum(reader, DIRECTIONS);
    } else failUnknown(reader, local);
  }
  if (directions === undefined) failMissing(reader, "directions");
  return directions ?? "unspecified";
}

function decodeRefusedLate(reader: XmlReader): RefusalReason {
  let reason: RefusalReason | undefined;
  for (let local = nextData(reader); local !== undefined; local = nextData(reader)) {
    if (local === "reason") {
      reader.once(reason);
      reason = readEnum(reader, REFUSAL_REASONS);
    } else failUnknown(reader, local);
  }
  if (reason === undefined) failMissing(reader, "reason");
  return reason ?? "unspecified";
}

function decodeClosed(reader: XmlReader): FlowEvent["what"] {
  let cause: CloseCause | undefined;
  const counters: Collecting<FlowCounters> = {};
  for (let local = nextData(reader); local !== undefined; local = nextData(reader)) {
    if (local === "cause") {
      reader.once(cause);
      cause = readEnum(reader, CLOSE_CAUSES);
    } else if (!readCountersChild(reader, local, counters)) failUnknown(reader, local);
  }
  if (cause === undefined) failMissing(reader, "cause");
  return {
    kind: "closed",
    cause: cause ?? "unspecified",
    counters: finishCounters(reader, counters),
  };
}

function decodeStatistic(reader: XmlReader): FlowStatistic {
  const statistic: Collecting<FlowStatistic> = {};
  const counters: Collecting<FlowCounters> = {};
  for (let local = nextData(reader); local !== undefined; local = nextData(reader)) {
    if (local === "epoch") {
      reader.once(statistic.epoch);
      statistic.epoch = readEpoch(reader);
    } else if (local === "flow-id") {
      reader.once(statistic.flowId);
      statistic.flowId = readUint64(reader);
    } else if (!readCountersChild(reader, local, counters)) failUnknown(reader, local);
  }
  if (statistic.epoch === undefined) failMissing(reader, "epoch");
  if (statistic.flowId === undefined) failMissing(reader, "flow-id");
  statistic.counters = finishCounters(reader, counters);
  return statistic as FlowStatistic; // As above.
}

function decodeCredit(reader: XmlReader): number {
  let flows: number | undefined;
  for (let local = nextData(reader); local !== undefined; local = nextData(reader)) {
    if (local === "flows") {
      reader.once(flows);
      flows = readUint(reader, UINT32_MAX);
    } else failUnknown(reader, local);
  }
  if (flows === undefined) failMissing(reader, "flows");
  return flows ?? 0;
}
