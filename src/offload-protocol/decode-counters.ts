/**
 * Counters from XML: the grouping `both-counters`, whose leaves stand among others.
 *
 * Pure. Source: yang/flowlift-offload.yang.
 */
import type { Collecting } from "./decode-direction.ts";
import type { DirectionCounters, FlowCounters } from "./messages.ts";
import { failMissing, failUnknown } from "./xml-failures.ts";
import { nextData, readUint64 } from "./xml-leaf.ts";
import type { XmlReader } from "./xml-reader.ts";

/** Reads the element opened last into `counters`; returns false when it is none of the grouping. */
export function readCountersChild(
  reader: XmlReader,
  local: string,
  counters: Collecting<FlowCounters>,
): boolean {
  if (local === "original-counters") {
    reader.once(counters.original);
    counters.original = decodeDirectionCounters(reader);
    return true;
  }
  if (local === "reply-counters") {
    reader.once(counters.reply);
    counters.reply = decodeDirectionCounters(reader);
    return true;
  }
  if (local !== "last-used-milliseconds-ago") return false;
  reader.once(counters.lastUsedMsAgo);
  counters.lastUsedMsAgo = readUint64(reader);
  return true;
}

/** Returns the counters once their parent was closed; every part has to be there. */
export function finishCounters(
  reader: XmlReader,
  counters: Collecting<FlowCounters>,
): FlowCounters {
  if (counters.original === undefined) failMissing(reader, "original-counters");
  if (counters.reply === undefined) failMissing(reader, "reply-counters");
  if (counters.lastUsedMsAgo === undefined) failMissing(reader, "last-used-milliseconds-ago");
  return counters as FlowCounters; // Complete, or a failure is kept and nobody looks.
}

function decodeDirectionCounters(reader: XmlReader): DirectionCounters {
  const counters: Collecting<DirectionCounters> = {};
  for (let local = nextData(reader); local !== undefined; local = nextData(reader)) {
    if (local === "fast-packets") {
      reader.once(counters.fastPackets);
      counters.fastPackets = readUint64(reader);
    } else if (local === "fast-bytes") {
      reader.once(counters.fastBytes);
      counters.fastBytes = readUint64(reader);
    } else if (local === "passed-packets") {
      reader.once(counters.passedPackets);
      counters.passedPackets = readUint64(reader);
    } else if (local === "passed-bytes") {
      reader.once(counters.passedBytes);
      counters.passedBytes = readUint64(reader);
    } else failUnknown(reader, local);
  }
  if (counters.fastPackets === undefined) failMissing(reader, "fast-packets");
  if (counters.fastBytes === undefined) failMissing(reader, "fast-bytes");
  if (counters.passedPackets === undefined) failMissing(reader, "passed-packets");
  if (counters.passedBytes === undefined) failMissing(reader, "passed-bytes");
  return counters as DirectionCounters; // As above.
}
