/**
 * A UDP datagram in an Ethernet frame, for traffic programs that write frames themselves.
 *
 * Pure. IPv4 and IPv6 without options. Source: RFC 791 §3.1, RFC 8200 §3 and §8.1, RFC 768, RFC 1071.
 */
import { assert } from "../base/assert.ts";
import { familyOf, type IpAddress, ipToBytes, type MacAddress, macToBytes } from "./address.ts";

export interface UdpFrame {
  readonly sourceMac: MacAddress;
  readonly destinationMac: MacAddress;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Buffer;
}

const ETHERNET_BYTES = 14;
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const UDP_BYTES = 8;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const TTL = 64;
const PROTOCOL_UDP = 17;

/** Returns the frame with right checksums, without the Ethernet one. */
export function encodeUdpFrame(frame: UdpFrame): Buffer {
  const family = familyOf(frame.source);
  assert(family === familyOf(frame.destination), "both ends are of one family");
  const udp = Buffer.concat([Buffer.alloc(UDP_BYTES), frame.payload]);
  udp.writeUInt16BE(frame.sourcePort, 0);
  udp.writeUInt16BE(frame.destinationPort, 2);
  udp.writeUInt16BE(udp.length, 4);
  const addresses = Buffer.concat([ipToBytes(frame.source), ipToBytes(frame.destination)]);
  // Length and protocol complete the pseudo-header (RFC 768, RFC 8200 §8.1); no sum may be 0.
  const pseudo = Buffer.from([0, PROTOCOL_UDP, udp.length >>> 8, udp.length & 0xff]);
  udp.writeUInt16BE(internetChecksum(Buffer.concat([addresses, pseudo, udp])) || 0xffff, 6);
  const ip = family === 4 ? ipv4Header(udp.length) : ipv6Header(udp.length);
  addresses.copy(ip, family === 4 ? 12 : 8);
  if (family === 4) ip.writeUInt16BE(internetChecksum(ip), 10);
  const ethernet = Buffer.alloc(ETHERNET_BYTES);
  ethernet.set(macToBytes(frame.destinationMac), 0);
  ethernet.set(macToBytes(frame.sourceMac), 6);
  ethernet.writeUInt16BE(family === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6, 12);
  return Buffer.concat([ethernet, ip, udp]);
}

/** Gives an IPv4 frame another source port, its checksum with it (RFC 1624 §3). */
export function setSourcePort(frame: Buffer, port: number): void {
  const at = ETHERNET_BYTES + IPV4_BYTES;
  const before = frame.readUInt16BE(at);
  let sum = (0xffff ^ frame.readUInt16BE(at + 6)) + (0xffff ^ before) + port;
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  frame.writeUInt16BE(port, at);
  frame.writeUInt16BE(0xffff ^ sum || 0xffff, at + 6);
}

function ipv4Header(payloadBytes: number): Buffer {
  const ip = Buffer.alloc(IPV4_BYTES);
  ip.writeUInt8(0x45, 0);
  ip.writeUInt16BE(IPV4_BYTES + payloadBytes, 2);
  ip.writeUInt8(TTL, 8);
  ip.writeUInt8(PROTOCOL_UDP, 9);
  return ip;
}

function ipv6Header(payloadBytes: number): Buffer {
  const ip = Buffer.alloc(IPV6_BYTES);
  ip.writeUInt8(0x60, 0);
  ip.writeUInt16BE(payloadBytes, 4);
  ip.writeUInt8(PROTOCOL_UDP, 6);
  ip.writeUInt8(TTL, 7);
  return ip;
}

/** Returns the Internet checksum (RFC 1071). */
function internetChecksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += (bytes.readUInt8(at) << 8) | (at + 1 < bytes.length ? bytes.readUInt8(at + 1) : 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return 0xffff ^ sum;
}
