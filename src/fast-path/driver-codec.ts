/**
 * Driver values as JSON: counters above 2^53 travel as decimal text, all else as numbers.
 *
 * Pure. Used by both ends of the agent's socket, which trust each other (same release, file permissions).
 */
import type { DirectionCounters, FlowCounters } from "../offload-protocol/messages.ts";
import type { DriverTotals, FlowHandle, WithdrawOutcome } from "./driver.ts";

/** A number where a double holds it exactly, else decimal text. */
type CountJson = number | string;
/** fast packets, fast bytes, passed packets, passed bytes. */
type DirectionJson = readonly [CountJson, CountJson, CountJson, CountJson];
/** original, reply, milliseconds since last used. */
type CountersJson = readonly [DirectionJson, DirectionJson, CountJson];

export type WithdrawJson = readonly [FlowHandle, CountersJson] | readonly [FlowHandle];
export type CountersOfJson = readonly [FlowHandle, CountersJson];
export interface TotalsJson {
  readonly flows: number;
  readonly slots: readonly (readonly [number, DirectionJson])[];
  readonly drops: Readonly<Record<string, string>>;
}

function encodeCount(count: bigint): CountJson {
  return count <= Number.MAX_SAFE_INTEGER ? Number(count) : String(count);
}

function encodeDirection(counters: DirectionCounters): DirectionJson {
  const { fastPackets, fastBytes, passedPackets, passedBytes } = counters;
  return [
    encodeCount(fastPackets),
    encodeCount(fastBytes),
    encodeCount(passedPackets),
    encodeCount(passedBytes),
  ];
}

function decodeDirection(json: DirectionJson): DirectionCounters {
  const [fastPackets, fastBytes, passedPackets, passedBytes] = json;
  return {
    fastPackets: BigInt(fastPackets),
    fastBytes: BigInt(fastBytes),
    passedPackets: BigInt(passedPackets),
    passedBytes: BigInt(passedBytes),
  };
}

function encodeCounters(counters: FlowCounters): CountersJson {
  const { original, reply, lastUsedMsAgo } = counters;
  return [encodeDirection(original), encodeDirection(reply), encodeCount(lastUsedMsAgo)];
}

function decodeCounters([original, reply, lastUsedMsAgo]: CountersJson): FlowCounters {
  return {
    original: decodeDirection(original),
    reply: decodeDirection(reply),
    lastUsedMsAgo: BigInt(lastUsedMsAgo),
  };
}

export function encodeWithdrawOutcome(outcome: WithdrawOutcome): WithdrawJson {
  if (outcome.outcome === "unknown") return [outcome.handle];
  return [outcome.handle, encodeCounters(outcome.counters)];
}

export function decodeWithdrawOutcome([handle, counters]: WithdrawJson): WithdrawOutcome {
  if (counters === undefined) return { handle, outcome: "unknown" };
  return { handle, outcome: "withdrawn", counters: decodeCounters(counters) };
}

export function encodeCountersOf(item: {
  readonly handle: FlowHandle;
  readonly counters: FlowCounters;
}): CountersOfJson {
  return [item.handle, encodeCounters(item.counters)];
}

export function decodeCountersOf([handle, counters]: CountersOfJson): {
  readonly handle: FlowHandle;
  readonly counters: FlowCounters;
} {
  return { handle, counters: decodeCounters(counters) };
}

export function encodeTotals(totals: DriverTotals): TotalsJson {
  return {
    flows: totals.flows,
    slots: totals.slots.map((slot) => [slot.vmSlot, encodeDirection(slot)]),
    drops: Object.fromEntries(
      Object.entries(totals.drops).map(([reason, count]) => [reason, `${count}`]),
    ),
  };
}

export function decodeTotals(json: TotalsJson): DriverTotals {
  return {
    flows: json.flows,
    slots: json.slots.map(([vmSlot, counters]) => ({ vmSlot, ...decodeDirection(counters) })),
    drops: Object.fromEntries(
      Object.entries(json.drops).map(([reason, count]) => [reason, BigInt(count)]),
    ),
  };
}
