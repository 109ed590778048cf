/**
 * What the fast path does with a frame, as bytes in TypeScript: the model that the BPF program is compared to.
 *
 * Pure. Reads the frame, says whether it may be forwarded, and rewrites it. Checksums of what is rewritten
 * are computed from the whole packet, not adjusted, so that the two ways check each other.
 * Source: RFC 791, RFC 8200, RFC 9293, RFC 768.
 */
import {
  formatIpBytes,
  formatMacBytes,
  ipToBytes,
  type MacAddress,
  macToBytes,
} from "../../lib/inet/address.ts";
import type { FastPathDirection } from "../driver.ts";
import { PROTOCOL_TCP, PROTOCOL_UDP } from "../flow-registry.ts";

const ETHERNET_BYTES = 14;
const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;
const TYPE_IPV4 = 0x0800;
const TYPE_IPV6 = 0x86dd;
const IPV4_FRAGMENT_BITS = 0xbfff;
const IPV4_OFFSET_BITS = 0x3fff;
const TCP_FIN_SYN_RST = 0x07;
const TCP_ACK = 0x10;

/** A frame's match without its segment, as text comparable by `frameMatchOf`. */
export interface FrameFacts {
  readonly destinationMac: MacAddress;
  /** Absent when the packet cannot belong to a flow. */
  readonly match?: string;
  readonly mayGoFast: boolean;
  readonly l3Bytes: number;
  readonly headerBytes: number;
}

type Draft = { -readonly [K in keyof FrameFacts]: FrameFacts[K] };

/** Returns a direction's match as `readFrame` gives it. */
export function frameMatchOf(direction: FastPathDirection): string {
  const { protocol, sourceAddress, destinationAddress, sourcePort, destinationPort } = direction;
  return `${protocol} ${sourceAddress}>${destinationAddress} ${sourcePort}>${destinationPort}`;
}

/** Reads an Ethernet frame; undefined when it carries neither IPv4 nor IPv6. */
export function readFrame(bytes: Buffer, isSegmented: boolean): FrameFacts | undefined {
  if (bytes.length < ETHERNET_BYTES) return undefined;
  const type = bytes.readUInt16BE(12);
  if (type !== TYPE_IPV4 && type !== TYPE_IPV6) return undefined;
  const facts: Draft = {
    destinationMac: formatMacBytes(bytes.subarray(0, 6)),
    mayGoFast: false,
    l3Bytes: bytes.length - ETHERNET_BYTES,
    headerBytes: 0,
  };
  const packet = bytes.subarray(ETHERNET_BYTES);
  if (type === TYPE_IPV4) readIpv4(packet, isSegmented, facts);
  else readIpv6(packet, isSegmented, facts);
  return facts;
}

function readIpv4(packet: Buffer, isSegmented: boolean, facts: Draft): void {
  if (packet.length < IPV4_HEADER_BYTES) return;
  const headerBytes = (packet.readUInt8(0) & 15) * 4;
  if (packet.readUInt8(0) >> 4 !== 4 || headerBytes < IPV4_HEADER_BYTES) return;
  const total = packet.readUInt16BE(2);
  facts.headerBytes = headerBytes;
  if (!isSegmented) {
    if (total < headerBytes || total > packet.length) return;
    facts.l3Bytes = total;
  }
  const fragment = packet.readUInt16BE(6);
  facts.mayGoFast =
    packet.readUInt8(8) > 1 &&
    (fragment & IPV4_FRAGMENT_BITS) === 0 &&
    headerBytes === IPV4_HEADER_BYTES;
  if ((fragment & IPV4_OFFSET_BITS) !== 0) return;
  const addresses = `${address(packet, 12, 4)}>${address(packet, 16, 4)}`;
  readTransport(packet, headerBytes, packet.readUInt8(9), addresses, facts, isSegmented);
}

function readIpv6(packet: Buffer, isSegmented: boolean, facts: Draft): void {
  if (packet.length < IPV6_HEADER_BYTES || packet.readUInt8(0) >> 4 !== 6) return;
  const total = packet.readUInt16BE(4) + IPV6_HEADER_BYTES;
  facts.headerBytes = IPV6_HEADER_BYTES;
  if (!isSegmented) {
    if (total > packet.length) return;
    facts.l3Bytes = total;
  }
  facts.mayGoFast = packet.readUInt8(7) > 1;
  const addresses = `${address(packet, 8, 16)}>${address(packet, 24, 16)}`;
  readTransport(packet, IPV6_HEADER_BYTES, packet.readUInt8(6), addresses, facts, isSegmented);
}

function readTransport(
  packet: Buffer,
  at: number,
  protocol: number,
  addresses: string,
  facts: Draft,
  isSegmented: boolean,
): void {
  const isTcp = protocol === PROTOCOL_TCP;
  if (!isTcp && protocol !== PROTOCOL_UDP) return;
  if (packet.length < at + (isTcp ? 20 : 8)) return;
  const ports = `${packet.readUInt16BE(at)}>${packet.readUInt16BE(at + 2)}`;
  facts.match = `${protocol} ${addresses} ${ports}`;
  if (isTcp) {
    const bytes = (packet.readUInt8(at + 12) >> 4) * 4;
    const flags = packet.readUInt8(at + 13);
    facts.headerBytes += bytes;
    if (bytes < 20 || (flags & TCP_FIN_SYN_RST) !== 0 || (flags & TCP_ACK) === 0) {
      facts.mayGoFast = false;
    }
  } else {
    facts.headerBytes += 8;
    if (packet.readUInt8(0) >> 4 === 6 && packet.readUInt16BE(at + 6) === 0) {
      facts.mayGoFast = false;
    }
    if (!isSegmented && packet.readUInt16BE(at + 4) !== facts.l3Bytes - at) {
      facts.mayGoFast = false;
    }
  }
  if (facts.l3Bytes < facts.headerBytes) delete facts.match;
}

function address(packet: Buffer, at: number, length: number): string {
  return formatIpBytes(packet.subarray(at, at + length));
}

/** Returns the frame as it leaves. Only for frames that `readFrame` lets go fast. */
export function rewriteFrame(bytes: Buffer, direction: FastPathDirection): Buffer {
  const frame = Buffer.from(bytes);
  frame.set(macToBytes(direction.newDestinationMac), 0);
  frame.set(macToBytes(direction.newSourceMac), 6);
  const packet = frame.subarray(ETHERNET_BYTES);
  const isIpv4 = frame.readUInt16BE(12) === TYPE_IPV4;
  const at = isIpv4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
  const stated = isIpv4 ? packet.readUInt16BE(2) : packet.readUInt16BE(4) + IPV6_HEADER_BYTES;
  // A segmented frame's length field may say anything (0 above 64 kB): its segments get their own.
  const total = stated < at ? packet.length : stated;
  const checkAt = at + (direction.protocol === PROTOCOL_TCP ? 16 : 6);
  const hadChecksum = packet.readUInt16BE(checkAt) !== 0;
  if (isIpv4) {
    packet.writeUInt8(packet.readUInt8(8) - 1, 8);
    packet.set(ipToBytes(direction.newSourceAddress), 12);
    packet.set(ipToBytes(direction.newDestinationAddress), 16);
    packet.writeUInt16BE(0, 10);
    packet.writeUInt16BE(checksumOf(packet.subarray(0, at)), 10);
  } else {
    packet.writeUInt8(packet.readUInt8(7) - 1, 7);
    packet.set(ipToBytes(direction.newSourceAddress), 8);
    packet.set(ipToBytes(direction.newDestinationAddress), 24);
  }
  packet.writeUInt16BE(direction.newSourcePort, at);
  packet.writeUInt16BE(direction.newDestinationPort, at + 2);
  if (direction.protocol === PROTOCOL_UDP && !hadChecksum) return frame;
  packet.writeUInt16BE(0, checkAt);
  const check = transportChecksum(packet.subarray(0, total), at, direction.protocol);
  packet.writeUInt16BE(
    direction.protocol === PROTOCOL_UDP && check === 0 ? 0xffff : check,
    checkAt,
  );
  return frame;
}

/** Returns the checksum over pseudo-header and segment; 0 over a packet whose checksum is right. */
export function transportChecksum(packet: Buffer, at: number, protocol: number): number {
  const addresses = at === IPV6_HEADER_BYTES ? packet.subarray(8, 40) : packet.subarray(12, 20);
  const pseudo = Buffer.alloc(8);
  pseudo.writeUInt32BE(packet.length - at, 0);
  pseudo.writeUInt32BE(protocol, 4);
  return checksumOf(Buffer.concat([addresses, pseudo, packet.subarray(at)]));
}

/** Returns the Internet checksum (RFC 1071). */
export function checksumOf(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at + 1 < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  if (bytes.length % 2 === 1) sum += bytes.readUInt8(bytes.length - 1) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return 0xffff ^ sum;
}
