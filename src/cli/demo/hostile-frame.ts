/**
 * Ethernet frames with one UDP datagram each, marked so that they are known again whatever was rewritten.
 *
 * Pure. IPv4 and IPv6 without options, with right checksums.
 */
import {
  familyOf,
  formatIpBytes,
  formatMacBytes,
  type IpAddress,
  ipToBytes,
  type MacAddress,
  macToBytes,
} from "../../lib/inet/address.ts";

const ETHERNET_BYTES = 14;
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const UDP_BYTES = 8;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
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
  const udp = Buffer.alloc(UDP_BYTES + payload.length);
  udp.writeUInt16BE(datagram.sourcePort, 0);
  udp.writeUInt16BE(datagram.destinationPort, 2);
  udp.writeUInt16BE(udp.length, 4);
  payload.copy(udp, UDP_BYTES);
  const isIpv4 = familyOf(datagram.sourceAddress) === 4;
  const addresses = Buffer.concat([
    ipToBytes(datagram.sourceAddress),
    ipToBytes(datagram.destinationAddress),
  ]);
  // Length and protocol complete the pseudo-header (RFC 768, RFC 8200 §8.1); no sum may be 0.
  const pseudo = Buffer.from([0, PROTOCOL_UDP, udp.length >>> 8, udp.length & 0xff]);
  udp.writeUInt16BE(checksumOf(Buffer.concat([addresses, pseudo, udp])) || 0xffff, 6);
  const ip = isIpv4 ? ipv4Header(udp.length) : ipv6Header(udp.length);
  addresses.copy(ip, isIpv4 ? 12 : 8);
  if (isIpv4) ip.writeUInt16BE(checksumOf(ip), 10);
  const ethernet = Buffer.alloc(ETHERNET_BYTES);
  ethernet.set(macToBytes(datagram.destinationMac), 0);
  ethernet.set(macToBytes(datagram.sourceMac), 6);
  ethernet.writeUInt16BE(isIpv4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6, 12);
  return Buffer.concat([ethernet, ip, udp]);
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

/** Where things are in an IP header. */
interface IpShape {
  readonly bytes: number;
  readonly protocolAt: number;
  readonly addressesAt: number;
  readonly addressBytes: number;
}

const IPV4: IpShape = { bytes: IPV4_BYTES, protocolAt: 9, addressesAt: 12, addressBytes: 4 };
const IPV6: IpShape = { bytes: IPV6_BYTES, protocolAt: 6, addressesAt: 8, addressBytes: 16 };

function shapeOf(frame: Buffer): IpShape | undefined {
  if (frame.length <= ETHERNET_BYTES) return undefined;
  const type = frame.readUInt16BE(12);
  const first = frame.readUInt8(ETHERNET_BYTES);
  if (type === ETHERTYPE_IPV4 && first === 0x45) return IPV4;
  return type === ETHERTYPE_IPV6 && first >>> 4 === 6 ? IPV6 : undefined;
}

/** Returns a marked datagram, or undefined for any other frame. */
export function decodeDatagram(frame: Buffer): Datagram | undefined {
  const shape = shapeOf(frame);
  if (shape === undefined) return undefined;
  const ip = frame.subarray(ETHERNET_BYTES);
  const udp = ip.subarray(shape.bytes);
  if (udp.length < UDP_BYTES || ip[shape.protocolAt] !== PROTOCOL_UDP) return undefined;
  const payload = udp.subarray(UDP_BYTES, udp.readUInt16BE(4)).toString();
  if (!payload.startsWith(MARK)) return undefined;
  const addresses = ip.subarray(shape.addressesAt);
  return {
    destinationMac: formatMacBytes(frame.subarray(0, 6)),
    sourceMac: formatMacBytes(frame.subarray(6, 12)),
    sourceAddress: formatIpBytes(addresses.subarray(0, shape.addressBytes)),
    destinationAddress: formatIpBytes(
      addresses.subarray(shape.addressBytes, 2 * shape.addressBytes),
    ),
    sourcePort: udp.readUInt16BE(0),
    destinationPort: udp.readUInt16BE(2),
    tag: payload.slice(MARK.length),
  };
}

/** The Internet checksum; a last odd byte counts as the higher one (RFC 1071). */
function checksumOf(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
