/**
 * Ethernet frames with one UDP datagram each, marked so that they are known again whatever was rewritten.
 *
 * Pure. IPv4 only; the UDP checksum is 0, which says that there is none (RFC 768).
 */
import {
  formatIpBytes,
  formatMacBytes,
  type IpAddress,
  ipToBytes,
  type MacAddress,
  macToBytes,
} from "../../lib/inet/address.ts";

const ETHERNET_BYTES = 14;
const IPV4_BYTES = 20;
const UDP_BYTES = 8;
const PAYLOAD_AT: number = ETHERNET_BYTES + IPV4_BYTES + UDP_BYTES;
const ETHERTYPE_IPV4 = 0x0800;
const PROTOCOL_UDP = 17;
const TTL = 64;
const MARK = "flowlift-probe ";

export interface Datagram {
  readonly sourceMac: MacAddress;
  readonly destinationMac: MacAddress;
  readonly sourceAddress: IpAddress;
  readonly destinationAddress: IpAddress;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** Which packet it is; travels as payload. */
  readonly tag: string;
}

/** Returns the frame. */
export function encodeDatagram(datagram: Datagram): Buffer {
  const payload = Buffer.from(MARK + datagram.tag);
  const frame = Buffer.alloc(PAYLOAD_AT + payload.length);
  frame.set(macToBytes(datagram.destinationMac), 0);
  frame.set(macToBytes(datagram.sourceMac), 6);
  frame.writeUInt16BE(ETHERTYPE_IPV4, 12);
  const ip = frame.subarray(ETHERNET_BYTES);
  ip.writeUInt8(0x45, 0);
  ip.writeUInt16BE(IPV4_BYTES + UDP_BYTES + payload.length, 2);
  ip.writeUInt8(TTL, 8);
  ip.writeUInt8(PROTOCOL_UDP, 9);
  ip.set(ipToBytes(datagram.sourceAddress), 12);
  ip.set(ipToBytes(datagram.destinationAddress), 16);
  ip.writeUInt16BE(checksumOf(ip.subarray(0, IPV4_BYTES)), 10);
  const udp = ip.subarray(IPV4_BYTES);
  udp.writeUInt16BE(datagram.sourcePort, 0);
  udp.writeUInt16BE(datagram.destinationPort, 2);
  udp.writeUInt16BE(UDP_BYTES + payload.length, 4);
  payload.copy(frame, PAYLOAD_AT);
  return frame;
}

/** Returns a marked datagram, or undefined for any other frame. */
export function decodeDatagram(frame: Buffer): Datagram | undefined {
  if (frame.length < PAYLOAD_AT + MARK.length) return undefined;
  if (frame.readUInt16BE(12) !== ETHERTYPE_IPV4 || frame[ETHERNET_BYTES] !== 0x45) return undefined;
  const ip = frame.subarray(ETHERNET_BYTES);
  if (ip[9] !== PROTOCOL_UDP) return undefined;
  const udp = ip.subarray(IPV4_BYTES);
  const payload = frame.subarray(PAYLOAD_AT, ETHERNET_BYTES + ip.readUInt16BE(2)).toString();
  if (!payload.startsWith(MARK)) return undefined;
  return {
    destinationMac: formatMacBytes(frame.subarray(0, 6)),
    sourceMac: formatMacBytes(frame.subarray(6, 12)),
    sourceAddress: formatIpBytes(ip.subarray(12, 16)),
    destinationAddress: formatIpBytes(ip.subarray(16, 20)),
    sourcePort: udp.readUInt16BE(0),
    destinationPort: udp.readUInt16BE(2),
    tag: payload.slice(MARK.length),
  };
}

function checksumOf(header: Buffer): number {
  let sum = 0;
  for (let at = 0; at < header.length; at += 2) sum += header.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
