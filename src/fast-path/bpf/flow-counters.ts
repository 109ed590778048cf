/**
 * Counters of many flows, read from the maps.
 *
 * Effect: bpf(2). Many indexes that lie close together are read by one walk, others one by one.
 */
import type { FlowCounters } from "../../offload-protocol/messages.ts";
import type { FlowHandle } from "../driver.ts";
import type { FlowMaps, IndexCounters } from "./flow-maps.ts";

const NS_PER_MS = 1_000_000;
/** From this many flows on, reading a range of the counter array is cheaper than reading single elements. */
const SWEEP_FLOWS_MIN = 256;
const NO_COUNTERS = { fastPackets: 0n, fastBytes: 0n, passedPackets: 0n, passedBytes: 0n };

/** Where a flow's counters are. */
export interface FlowPlace {
  readonly handle: FlowHandle;
  /** Original, then reply. */
  readonly indexes: readonly number[];
  /** CLOCK_MONOTONIC. */
  readonly installedMs: number;
}

/** Returns the counters by handle; `nowMs` on CLOCK_MONOTONIC. */
export function readFlows(
  maps: FlowMaps,
  flows: readonly FlowPlace[],
  nowMs: number,
): Map<FlowHandle, FlowCounters> {
  const read = readerOf(maps, flows);
  return new Map(
    flows.map(({ handle, indexes, installedMs }) => {
      const [original, reply] = indexes.map(read);
      return [handle, countersOf(original, reply, installedMs, nowMs)];
    }),
  );
}

function readerOf(maps: FlowMaps, flows: readonly FlowPlace[]): (index: number) => IndexCounters {
  if (flows.length < SWEEP_FLOWS_MIN) return (index) => maps.readIndex(index);
  let first = Number.POSITIVE_INFINITY;
  let last = -1;
  for (const { indexes } of flows) {
    for (const index of indexes) {
      if (index < first) first = index;
      if (index > last) last = index;
    }
  }
  return maps.readRange(first, last);
}

function countersOf(
  original: IndexCounters | undefined,
  reply: IndexCounters | undefined,
  installedMs: number,
  nowMs: number,
): FlowCounters {
  const there = original?.lastUsedNs ?? 0n;
  const back = reply?.lastUsedNs ?? 0n;
  const lastUsedNs = there > back ? there : back;
  const lastUsedMs = lastUsedNs === 0n ? installedMs : Number(lastUsedNs) / NS_PER_MS;
  return {
    original: original?.counters ?? NO_COUNTERS,
    reply: reply?.counters ?? NO_COUNTERS,
    lastUsedMsAgo: BigInt(Math.max(0, Math.floor(nowMs - lastUsedMs))),
  };
}
