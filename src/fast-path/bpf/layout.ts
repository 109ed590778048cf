/**
 * The bytes of the fast path's maps; flow-maps.h declares the same layout in C.
 *
 * Pure. Numbers are little-endian except addresses, ports and checksum differences, which are as in packets.
 * Invariant: FLOW_LAYOUT_VERSION changes with every change of either file.
 *
 * ```
 * key     0 segment u32 | 4 destination MAC | 10 family | 11 protocol | 12 source 16 | 28 destination 16
 *         44 source port | 46 destination port | 48
 * action  0 key 48 | 48 generation u64 | 56 handle u64 | 64 slot u32 | 68 egress port u32 | 72 MTU u32
 *         76 flags u32 | 80 new source 16 | 96 new destination 16 | 112 new source port | 114 new destination port
 *         116 new destination MAC | 122 new source MAC | 128 address difference u32 | 132 port difference u32 | 136
 * ```
 */
import {
  familyOf,
  formatIpBytes,
  formatMacBytes,
  type IpAddress,
  type MacAddress,
  macToBytes,
} from "../../lib/inet/address.ts";
import type { FastPathDirection } from "../driver.ts";
import { writeIp, writeMac } from "./address-bytes.ts";

export const FLOW_LAYOUT_VERSION = 2n;

export const KEY_BYTES = 48;
export const ACTION_BYTES = 136;
/** One CPU's share. */
export const FLOW_TOTALS_BYTES = 40;
export const SLOT_TOTALS_BYTES = 32;

export const STATE_FREE = 0;
export const STATE_ACTIVE = 1;
export const STATE_PAUSED = 2;
export const STATE_QUIESCING = 3;

const FLAG_CHANGES_ADDRESSES = 1;
const FLAG_CHANGES_PORTS = 2;
const FLAG_IS_REPLY = 4;
export const INGRESS_IS_VM_PORT = 1;
export const EGRESS_HAS_PEER = 2;

/** Names of the drop counters, by index. */
export const DROP_REASONS: readonly string[] = ["rewrite-failed"];

/** What one index of the arrays stands for. */
export interface ActionEntry {
  readonly handle: number;
  readonly vmSlot: number;
  readonly generation: number;
  readonly isReply: boolean;
  readonly direction: FastPathDirection;
}

/** Writes the key of a direction's match. */
export function encodeKey(direction: FastPathDirection, into: Buffer, at: number): void {
  into.fill(0, at, at + KEY_BYTES);
  into.writeUInt32LE(direction.segmentId, at);
  writeMac(direction.destinationMac, into, at + 4);
  into.writeUInt8(familyOf(direction.sourceAddress), at + 10);
  into.writeUInt8(direction.protocol, at + 11);
  writeIp(direction.sourceAddress, into, at + 12);
  writeIp(direction.destinationAddress, into, at + 28);
  into.writeUInt16BE(direction.sourcePort, at + 44);
  into.writeUInt16BE(direction.destinationPort, at + 46);
}

/** Writes what is done with the packets of a direction. */
export function encodeAction(entry: ActionEntry, into: Buffer, at: number): void {
  const { direction } = entry;
  encodeKey(direction, into, at);
  into.fill(0, at + KEY_BYTES, at + ACTION_BYTES);
  writeUInt53(entry.generation, into, at + 48);
  writeUInt53(entry.handle, into, at + 56);
  into.writeUInt32LE(entry.vmSlot, at + 64);
  into.writeUInt32LE(direction.egressPortId, at + 68);
  into.writeUInt32LE(direction.mtuBytes, at + 72);
  writeIp(direction.newSourceAddress, into, at + 80);
  writeIp(direction.newDestinationAddress, into, at + 96);
  into.writeUInt16BE(direction.newSourcePort, at + 112);
  into.writeUInt16BE(direction.newDestinationPort, at + 114);
  writeMac(direction.newDestinationMac, into, at + 116);
  writeMac(direction.newSourceMac, into, at + 122);
  // Unused bytes of addresses are zero on both sides, so whole fields may be summed.
  const changesAddresses = into.compare(into, at + 80, at + 112, at + 12, at + 44) !== 0;
  const changesPorts = into.compare(into, at + 112, at + 116, at + 44, at + 48) !== 0;
  const flags =
    (changesAddresses ? FLAG_CHANGES_ADDRESSES : 0) |
    (changesPorts ? FLAG_CHANGES_PORTS : 0) |
    (entry.isReply ? FLAG_IS_REPLY : 0);
  into.writeUInt32LE(flags, at + 76);
  if (changesAddresses) into.writeUInt16BE(differenceOf(into, at + 12, at + 80, 32), at + 128);
  if (changesPorts) into.writeUInt16BE(differenceOf(into, at + 44, at + 112, 4), at + 132);
}

/** Writes a whole number below 2^53 as 64 bits. */
function writeUInt53(value: number, into: Buffer, at: number): void {
  into.writeUInt32LE(value % 0x1_0000_0000, at);
  into.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4);
}

/** Returns whether an action is that of a flow's reply. */
export function isReplyAt(from: Buffer, at: number): boolean {
  return (from.readUInt32LE(at + 76) & FLAG_IS_REPLY) !== 0;
}

/** Returns an action's handle; at most 2^53 - 1 when encodeAction() wrote it. */
export function handleAt(from: Buffer, at: number): number {
  return from.readUInt32LE(at + 60) * 0x1_0000_0000 + from.readUInt32LE(at + 56);
}

/** Returns what a driver's bounds are held against. */
export function boundsAt(
  from: Buffer,
  at: number,
): { readonly vmSlot: number; readonly egressPortId: number } {
  return { vmSlot: from.readUInt32LE(at + 64), egressPortId: from.readUInt32LE(at + 68) };
}

/** Reads back what encodeAction wrote. */
export function decodeAction(from: Buffer, at: number): ActionEntry {
  const family = from.readUInt8(at + 10);
  const address = (offset: number): IpAddress =>
    formatIpBytes(from.subarray(at + offset, at + offset + (family === 4 ? 4 : 16)));
  const mac = (offset: number): MacAddress =>
    formatMacBytes(from.subarray(at + offset, at + offset + 6));
  return {
    handle: handleAt(from, at),
    vmSlot: from.readUInt32LE(at + 64),
    generation: Number(from.readBigUInt64LE(at + 48)),
    isReply: isReplyAt(from, at),
    direction: {
      segmentId: from.readUInt32LE(at),
      destinationMac: mac(4),
      protocol: from.readUInt8(at + 11),
      sourceAddress: address(12),
      destinationAddress: address(28),
      sourcePort: from.readUInt16BE(at + 44),
      destinationPort: from.readUInt16BE(at + 46),
      newSourceAddress: address(80),
      newDestinationAddress: address(96),
      newSourcePort: from.readUInt16BE(at + 112),
      newDestinationPort: from.readUInt16BE(at + 114),
      newSourceMac: mac(122),
      newDestinationMac: mac(116),
      egressPortId: from.readUInt32LE(at + 68),
      mtuBytes: from.readUInt32LE(at + 72),
    },
  };
}

/** Returns the one's complement sum of (new - old), folded to 16 bits. */
function differenceOf(bytes: Buffer, oldAt: number, newAt: number, length: number): number {
  let sum = 0;
  for (let offset = 0; offset < length; offset += 2) {
    sum += ((bytes[newAt + offset] ?? 0) << 8) | (bytes[newAt + offset + 1] ?? 0);
    sum += 0xffff ^ (((bytes[oldAt + offset] ?? 0) << 8) | (bytes[oldAt + offset + 1] ?? 0));
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

/** Returns the four bytes of an index or id. */
export function encodeIndex(index: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(index, 0);
  return bytes;
}

/** Returns indexes as batch keys, or states as batch values. */
export function encodeIndexes(indexes: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * indexes.length);
  indexes.forEach((index, position) => {
    bytes.writeUInt32LE(index, 4 * position);
  });
  return bytes;
}

/** Returns the map key of a VM's vNIC. */
export function encodeVnic(segmentId: number, mac: MacAddress): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32LE(segmentId, 0);
  bytes.set(macToBytes(mac), 4);
  return bytes;
}

/** Returns the map value of an ingress interface. */
export function encodeIngress(portId: number, segmentId: number, isVmPort: boolean): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32LE(portId, 0);
  bytes.writeUInt32LE(segmentId, 4);
  bytes.writeUInt32LE(isVmPort ? INGRESS_IS_VM_PORT : 0, 8);
  return bytes;
}

/** Returns the map value of a port as a way out; ifindex 0 sends its packets to the VM. */
export function encodeEgress(ifindex: number, hasForeignPeer: boolean): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(ifindex, 0);
  bytes.writeUInt32LE(ifindex !== 0 && hasForeignPeer ? EGRESS_HAS_PEER : 0, 4);
  return bytes;
}

/** Returns the map value of a VM's slot. */
export function encodeSlot(generation: number, deadlineNs: bigint): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeBigUInt64LE(BigInt(generation), 0);
  bytes.writeBigUInt64LE(deadlineNs, 8);
  return bytes;
}
