/**
 * Driver values as bytes between controller and agent: handles, counters, outcomes; totals as JSON.
 *
 * Pure. Used by both ends of the agent's socket, which trust each other (same release, file permissions).
 * All numbers are little-endian; handles are doubles, which hold them exactly.
 */
import { assert } from "../lib/base/assert.ts";
import type { DirectionCounters, FlowCounters } from "../offload-protocol/messages.ts";
import type { DriverTotals, FlowHandle, InstallRefusal, WithdrawOutcome } from "./driver.ts";

const HANDLE_BYTES = 8;
/** fast packets, fast bytes, passed packets, passed bytes. */
const DIRECTION_BYTES = 32;
/** Original, reply, milliseconds since last used. */
const COUNTERS_BYTES: number = 2 * DIRECTION_BYTES + 8;
/** Handle, whether it was known, counters. */
const OUTCOME_BYTES: number = HANDLE_BYTES + 8 + COUNTERS_BYTES;
const REFUSAL_BYTES = 8;
const NONE: DirectionCounters = {
  fastPackets: 0n,
  fastBytes: 0n,
  passedPackets: 0n,
  passedBytes: 0n,
};

const REASONS: readonly InstallRefusal["reason"][] = [
  "table-full",
  "duplicate",
  "unsupported-by-driver",
  "driver-failed",
];

/** All handles that the driver holds are named by no bytes at all. */
export function encodeHandles(handles: readonly FlowHandle[] | "all"): Buffer {
  if (handles === "all") return Buffer.alloc(0);
  const bytes = Buffer.allocUnsafe((handles.length + 1) * HANDLE_BYTES);
  bytes.writeDoubleLE(handles.length, 0);
  handles.forEach((handle, place) => {
    bytes.writeDoubleLE(handle, (place + 1) * HANDLE_BYTES);
  });
  return bytes;
}

export function decodeHandles(bytes: Buffer): FlowHandle[] | "all" {
  if (bytes.length === 0) return "all";
  const count = bytes.readDoubleLE(0);
  assert(bytes.length === (count + 1) * HANDLE_BYTES, "handles are whole");
  return Array.from({ length: count }, (_, place) =>
    bytes.readDoubleLE((place + 1) * HANDLE_BYTES),
  );
}

export function encodeRefusals(refusals: readonly InstallRefusal[]): Buffer {
  const bytes = Buffer.allocUnsafe(refusals.length * REFUSAL_BYTES);
  refusals.forEach(({ place, reason }, index) => {
    bytes.writeUInt32LE(place, index * REFUSAL_BYTES);
    bytes.writeUInt32LE(REASONS.indexOf(reason), index * REFUSAL_BYTES + 4);
  });
  return bytes;
}

export function decodeRefusals(bytes: Buffer): InstallRefusal[] {
  return Array.from({ length: bytes.length / REFUSAL_BYTES }, (_, index) => {
    const reason = REASONS[bytes.readUInt32LE(index * REFUSAL_BYTES + 4)];
    assert(reason !== undefined, "both ends know the same reasons");
    return { place: bytes.readUInt32LE(index * REFUSAL_BYTES), reason };
  });
}

interface CountersOfHandle {
  readonly handle: FlowHandle;
  readonly counters: FlowCounters;
}

export function encodeOutcomes(outcomes: readonly (WithdrawOutcome | CountersOfHandle)[]): Buffer {
  const bytes = Buffer.alloc(outcomes.length * OUTCOME_BYTES);
  outcomes.forEach((outcome, index) => {
    const at = index * OUTCOME_BYTES;
    bytes.writeDoubleLE(outcome.handle, at);
    if (!("counters" in outcome)) return;
    bytes.writeUInt32LE(1, at + HANDLE_BYTES);
    const { original, reply, lastUsedMsAgo } = outcome.counters;
    const countersAt = at + HANDLE_BYTES + 8;
    writeDirection(original, bytes, countersAt);
    writeDirection(reply, bytes, countersAt + DIRECTION_BYTES);
    bytes.writeBigUInt64LE(lastUsedMsAgo, countersAt + 2 * DIRECTION_BYTES);
  });
  return bytes;
}

export function decodeWithdrawals(bytes: Buffer): WithdrawOutcome[] {
  return decodeEach(
    bytes,
    (handle, counters): WithdrawOutcome =>
      counters === undefined
        ? { handle, outcome: "unknown" }
        : { handle, outcome: "withdrawn", counters },
  );
}

export function decodeCounters(bytes: Buffer): CountersOfHandle[] {
  return decodeEach(bytes, (handle, counters) => {
    assert(counters !== undefined, "counters are those of held flows");
    return { handle, counters };
  });
}

function decodeEach<T>(
  bytes: Buffer,
  make: (handle: FlowHandle, counters: FlowCounters | undefined) => T,
): T[] {
  assert(bytes.length % OUTCOME_BYTES === 0, "outcomes are whole");
  const items: T[] = [];
  for (let at = 0; at < bytes.length; at += OUTCOME_BYTES) {
    const countersAt = at + HANDLE_BYTES + 8;
    const isKnown = bytes.readUInt32LE(at + HANDLE_BYTES) === 1;
    const counters = isKnown ? readCounters(bytes, countersAt) : undefined;
    items.push(make(bytes.readDoubleLE(at), counters));
  }
  return items;
}

function writeDirection(counters: DirectionCounters, into: Buffer, at: number): void {
  if (counters.fastPackets === 0n && counters.passedPackets === 0n) return;
  into.writeBigUInt64LE(counters.fastPackets, at);
  into.writeBigUInt64LE(counters.fastBytes, at + 8);
  into.writeBigUInt64LE(counters.passedPackets, at + 16);
  into.writeBigUInt64LE(counters.passedBytes, at + 24);
}

function readCounters(from: Buffer, at: number): FlowCounters {
  return {
    original: readDirection(from, at),
    reply: readDirection(from, at + DIRECTION_BYTES),
    lastUsedMsAgo: from.readBigUInt64LE(at + 2 * DIRECTION_BYTES),
  };
}

function readDirection(from: Buffer, at: number): DirectionCounters {
  const fastPackets = from.readBigUInt64LE(at);
  const passedPackets = from.readBigUInt64LE(at + 16);
  if (fastPackets === 0n && passedPackets === 0n) return NONE;
  return {
    fastPackets,
    fastBytes: from.readBigUInt64LE(at + 8),
    passedPackets,
    passedBytes: from.readBigUInt64LE(at + 24),
  };
}

type CountsJson = readonly [string, string, string, string];

export interface TotalsJson {
  readonly flows: number;
  readonly slots: readonly (readonly [number, CountsJson])[];
  readonly drops: Readonly<Record<string, string>>;
}

export function encodeTotals(totals: DriverTotals): TotalsJson {
  return {
    flows: totals.flows,
    slots: totals.slots.map(({ vmSlot, ...counters }) => [
      vmSlot,
      [
        `${counters.fastPackets}`,
        `${counters.fastBytes}`,
        `${counters.passedPackets}`,
        `${counters.passedBytes}`,
      ],
    ]),
    drops: Object.fromEntries(
      Object.entries(totals.drops).map(([reason, count]) => [reason, `${count}`]),
    ),
  };
}

export function decodeTotals(json: TotalsJson): DriverTotals {
  return {
    flows: json.flows,
    slots: json.slots.map(([vmSlot, [fastPackets, fastBytes, passedPackets, passedBytes]]) => ({
      vmSlot,
      fastPackets: BigInt(fastPackets),
      fastBytes: BigInt(fastBytes),
      passedPackets: BigInt(passedPackets),
      passedBytes: BigInt(passedBytes),
    })),
    drops: Object.fromEntries(
      Object.entries(json.drops).map(([reason, count]) => [reason, BigInt(count)]),
    ),
  };
}
