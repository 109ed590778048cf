/**
 * What the fast path's maps say about some host ports: segments, vNICs, slots, entries.
 *
 * Effect: reads through the maps it is given. 64-bit numbers are text.
 */

import {
  ACTION_BYTES,
  decodeAction,
  encodeIndex,
  KEY_BYTES,
  SLOT_TOTALS_BYTES,
} from "../../fast-path/bpf/layout.ts";
import type { FastPathDirection } from "../../fast-path/driver.ts";
import type { BpfMap } from "../../lib/bpf/bpf-map.ts";
import { formatMacBytes, type MacAddress } from "../../lib/inet/address.ts";

/** A key that packets can meet, and where it leads. */
export interface DumpedEntry {
  readonly state: number;
  readonly vmSlot: number;
  readonly isReply: boolean;
  readonly direction: FastPathDirection;
  /** The whole action as bytes: equal when nothing was changed. */
  readonly action: string;
  /** The key in the hash is the one the action repeats. */
  readonly isConsistent: boolean;
}

export interface DumpedSlot {
  readonly vmSlot: number;
  readonly deadlineNs: string;
  readonly fastPackets: number;
  readonly passedPackets: number;
}

export interface FastPathDump {
  /** Segment of each named port. */
  readonly segments: Readonly<Record<string, number>>;
  readonly vnics: readonly {
    readonly segmentId: number;
    readonly mac: MacAddress;
    readonly vmSlot: number;
  }[];
  readonly slots: readonly DumpedSlot[];
  readonly entries: readonly DumpedEntry[];
}

type OpenMap = (name: string) => BpfMap;

/** Reads everything once; entries that come or go meanwhile may or may not be there. */
export function readDump(
  open: OpenMap,
  ports: readonly { readonly port: string; readonly ifindex: number }[],
): FastPathDump {
  const ingresses = open("flow_ingresses");
  const segments: Record<string, number> = {};
  for (const { port, ifindex } of ports) {
    const value = ingresses.lookup(encodeIndex(ifindex));
    if (value !== undefined) segments[port] = bufferOf(value).readUInt32LE(4);
  }
  const segmentIds = new Set(Object.values(segments));
  const vnics = readVnics(open("flow_vnics"), segmentIds);
  const slotIds = new Set(vnics.map(({ vmSlot }) => vmSlot));
  const entries = readEntries(open).filter(
    ({ vmSlot, direction }) => slotIds.has(vmSlot) || segmentIds.has(direction.segmentId),
  );
  const readSlot = slotReader(open("flow_slots"), open("flow_slot_totals"));
  return { segments, vnics, slots: [...slotIds].map(readSlot), entries };
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function readVnics(map: BpfMap, segmentIds: ReadonlySet<number>): FastPathDump["vnics"][number][] {
  const vnics: FastPathDump["vnics"][number][] = [];
  map.forEachBatch(({ count, keys, values }) => {
    for (let position = 0; position < count; position++) {
      const key = bufferOf(keys).subarray(position * map.keyBytes);
      const segmentId = key.readUInt32LE(0);
      const vmSlot = bufferOf(values).readUInt32LE(position * map.valueBytes);
      const mac = formatMacBytes(key.subarray(4, 10));
      if (segmentIds.has(segmentId)) vnics.push({ segmentId, mac, vmSlot });
    }
    return true;
  });
  return vnics;
}

function readEntries(open: OpenMap): DumpedEntry[] {
  const keys = open("flow_keys");
  const states = open("flow_states");
  const actions = open("flow_actions");
  const entries: DumpedEntry[] = [];
  keys.forEachBatch((batch) => {
    for (let position = 0; position < batch.count; position++) {
      const key = bufferOf(batch.keys).subarray(position * KEY_BYTES, (position + 1) * KEY_BYTES);
      const index = bufferOf(batch.values).subarray(position * 4, position * 4 + 4);
      const state = states.lookup(index);
      const action = actions.lookup(index);
      if (state === undefined || action === undefined) continue;
      const bytes = bufferOf(action).subarray(0, ACTION_BYTES);
      const { vmSlot, isReply, direction } = decodeAction(bytes, 0);
      entries.push({
        state: bufferOf(state).readUInt32LE(0),
        vmSlot,
        isReply,
        direction,
        action: bytes.toString("hex"),
        isConsistent: bytes.subarray(0, KEY_BYTES).equals(key),
      });
    }
    return true;
  });
  return entries;
}

function slotReader(slots: BpfMap, totals: BpfMap): (vmSlot: number) => DumpedSlot {
  return (vmSlot) => {
    const slot = slots.lookup(encodeIndex(vmSlot));
    const counters = bufferOf(totals.lookup(encodeIndex(vmSlot)) ?? new Uint8Array(0));
    let fastPackets = 0n;
    let passedPackets = 0n;
    for (let at = 0; at < counters.length; at += SLOT_TOTALS_BYTES) {
      fastPackets += counters.readBigUInt64LE(at);
      passedPackets += counters.readBigUInt64LE(at + 16);
    }
    return {
      vmSlot,
      deadlineNs: slot === undefined ? "0" : String(bufferOf(slot).readBigUInt64LE(8)),
      fastPackets: Number(fastPackets),
      passedPackets: Number(passedPackets),
    };
  };
}
