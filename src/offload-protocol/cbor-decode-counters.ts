/**
 * Counters from CBOR: the grouping `both-counters`, whose nodes stand among others.
 *
 * Pure. Source: yang/flowlift-offload.yang, cbor-sids.ts.
 */
import { once } from "./cbor-leaf.ts";
import type { CborReader } from "./cbor-reader.ts";
import { BOTH_COUNTERS, COUNTERS } from "./cbor-sids.ts";
import type { DirectionCounters, FlowCounters } from "./messages.ts";

/** Counters whose nodes stand among others, as they are found. */
export interface CountersParts {
  original?: DirectionCounters;
  reply?: DirectionCounters;
  lastUsedMsAgo?: bigint;
}

/** Reads one node of `both-counters`, which begins at the delta `base`; false when it is none. */
export function readCountersPair(
  reader: CborReader,
  key: number,
  base: number,
  parts: CountersParts,
): boolean {
  if (key === base + BOTH_COUNTERS.original) parts.original = readDirectionCounters(reader);
  else if (key === base + BOTH_COUNTERS.reply) parts.reply = readDirectionCounters(reader);
  else if (key === base + BOTH_COUNTERS.lastUsed) parts.lastUsedMsAgo = reader.uint64();
  else return false;
  return true;
}

/** Returns the counters; every part has to be there. */
export function finishCounters(reader: CborReader, parts: CountersParts): FlowCounters {
  const { original, reply, lastUsedMsAgo } = parts;
  if (original === undefined || reply === undefined || lastUsedMsAgo === undefined) {
    return reader.refuse();
  }
  return { original, reply, lastUsedMsAgo };
}

function readDirectionCounters(reader: CborReader): DirectionCounters {
  let seen = 0;
  let fastPackets = 0n;
  let fastBytes = 0n;
  let passedPackets = 0n;
  let passedBytes = 0n;
  if (reader.map() !== 4) reader.refuse();
  for (let pairs = 4; pairs > 0; pairs--) {
    const key = reader.key();
    seen = once(reader, seen, key);
    if (key === COUNTERS.fastPackets) fastPackets = reader.uint64();
    else if (key === COUNTERS.fastBytes) fastBytes = reader.uint64();
    else if (key === COUNTERS.passedPackets) passedPackets = reader.uint64();
    else if (key === COUNTERS.passedBytes) passedBytes = reader.uint64();
    else reader.refuse();
  }
  return { fastPackets, fastBytes, passedPackets, passedBytes };
}
