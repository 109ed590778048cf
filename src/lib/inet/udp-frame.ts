/**
 * A UDP datagram over IPv4 in an Ethernet frame, for traffic programs that write frames themselves.
 *
 * Pure. Source: RFC 791 §3.1, RFC 768, RFC 1071.
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
  readonly payloadBytes: number;
}

const ETHERNET_BYTES = 14;
const IPV4_BYTES = 20;
const UDP_BYTES = 8;
const TTL = 64;
const PROTOCOL_UDP = 17;

/** Returns the frame, without the Ethernet checksum; the payload is zeros. */
export function encodeUdpFrame(frame: UdpFrame): Buffer {
  assert(familyOf(frame.source) === 4 && familyOf(frame.destination) === 4, "both ends are IPv4");
  const udpBytes = UDP_BYTES + frame.payloadBytes;
  const bytes = Buffer.alloc(ETHERNET_BYTES + IPV4_BYTES + udpBytes);
  bytes.set(macToBytes(frame.destinationMac), 0);
  bytes.set(macToBytes(frame.sourceMac), 6);
  bytes.writeUInt16BE(0x0800, 12);
  const ip = bytes.subarray(ETHERNET_BYTES, ETHERNET_BYTES + IPV4_BYTES);
  ip.writeUInt8(0x45, 0);
  ip.writeUInt16BE(IPV4_BYTES + udpBytes, 2);
  ip.writeUInt8(TTL, 8);
  ip.writeUInt8(PROTOCOL_UDP, 9);
  ip.set(ipToBytes(frame.source), 12);
  ip.set(ipToBytes(frame.destination), 16);
  ip.writeUInt16BE(sumComplement([ip]), 10);
  const udp = bytes.subarray(ETHERNET_BYTES + IPV4_BYTES);
  udp.writeUInt16BE(frame.sourcePort, 0);
  udp.writeUInt16BE(frame.destinationPort, 2);
  udp.writeUInt16BE(udpBytes, 4);
  const pseudo = Buffer.alloc(4);
  pseudo.writeUInt16BE(PROTOCOL_UDP, 0);
  pseudo.writeUInt16BE(udpBytes, 2);
  udp.writeUInt16BE(sumComplement([ip.subarray(12), pseudo, udp]) || 0xffff, 6);
  return bytes;
}

function sumComplement(parts: readonly Buffer[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let at = 0; at < part.length; at += 2) {
      sum += (part.readUInt8(at) << 8) | (at + 1 < part.length ? part.readUInt8(at + 1) : 0);
    }
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return 0xffff ^ sum;
}
