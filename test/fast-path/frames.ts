/** Builds Ethernet frames for tests, with right checksums unless told otherwise. */
import { checksumOf, transportChecksum } from "../../src/fast-path/memory/frame.ts";
import {
  familyOf,
  type IpAddress,
  ipToBytes,
  type MacAddress,
  macToBytes,
  parseIpAddress,
  parseMacAddress,
} from "../../src/lib/inet/address.ts";

export const TCP_ACK = 0x10;

export interface FrameShape {
  readonly destinationMac: MacAddress;
  readonly sourceMac?: MacAddress;
  readonly protocol?: number;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly ttl?: number;
  readonly tcpFlags?: number;
  readonly payloadBytes?: number;
  /** IPv4 options, a multiple of 4 bytes. */
  readonly options?: Buffer;
  /** The 16 bits of flags and fragment offset. */
  readonly fragment?: number;
  readonly zeroUdpChecksum?: boolean;
}

export function ip(text: string): IpAddress {
  return parseIpAddress(text)!;
}

export function mac(text: string): MacAddress {
  return parseMacAddress(text)!;
}

export function buildFrame(shape: FrameShape): Buffer {
  const protocol = shape.protocol ?? 6;
  const payload = Buffer.from(
    Array.from({ length: shape.payloadBytes ?? 11 }, (_, index) => (index * 37 + 5) & 0xff),
  );
  const transport = Buffer.concat([
    protocol === 6 ? tcpHeader(shape) : udpHeader(shape, payload),
    payload,
  ]);
  const isIpv4 = familyOf(shape.source) === 4;
  const header = isIpv4
    ? ipv4Header(shape, protocol, transport)
    : ipv6Header(shape, protocol, transport);
  const packet = Buffer.concat([header, transport]);
  if ((protocol === 6 || protocol === 17) && shape.zeroUdpChecksum !== true) {
    const checkAt = header.length + (protocol === 6 ? 16 : 6);
    packet.writeUInt16BE(checkOf(packet, header.length, protocol), checkAt);
  }
  const ethernet = Buffer.concat([
    macToBytes(shape.destinationMac),
    macToBytes(shape.sourceMac ?? mac("02:00:00:00:00:99")),
    Buffer.from(isIpv4 ? [0x08, 0x00] : [0x86, 0xdd]),
  ]);
  return Buffer.concat([ethernet, packet]);
}

function checkOf(packet: Buffer, at: number, protocol: number): number {
  const check = transportChecksum(packet, at, protocol);
  return protocol === 17 && check === 0 ? 0xffff : check;
}

function tcpHeader(shape: FrameShape): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt16BE(shape.sourcePort, 0);
  header.writeUInt16BE(shape.destinationPort, 2);
  header.writeUInt32BE(0x1234_5678, 4);
  header.writeUInt32BE(0x9abc_def0, 8);
  header.writeUInt8(5 << 4, 12);
  header.writeUInt8(shape.tcpFlags ?? TCP_ACK, 13);
  header.writeUInt16BE(512, 14);
  return header;
}

function udpHeader(shape: FrameShape, payload: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(shape.sourcePort, 0);
  header.writeUInt16BE(shape.destinationPort, 2);
  header.writeUInt16BE(8 + payload.length, 4);
  return header;
}

function ipv4Header(shape: FrameShape, protocol: number, transport: Buffer): Buffer {
  const options = shape.options ?? Buffer.alloc(0);
  const header = Buffer.concat([Buffer.alloc(20), options]);
  header.writeUInt8(0x40 | (header.length / 4), 0);
  header.writeUInt16BE(header.length + transport.length, 2);
  header.writeUInt16BE(0x4242, 4);
  header.writeUInt16BE(shape.fragment ?? 0x4000, 6);
  header.writeUInt8(shape.ttl ?? 64, 8);
  header.writeUInt8(protocol, 9);
  header.set(ipToBytes(shape.source), 12);
  header.set(ipToBytes(shape.destination), 16);
  header.writeUInt16BE(checksumOf(header), 10);
  return header;
}

function ipv6Header(shape: FrameShape, protocol: number, transport: Buffer): Buffer {
  const header = Buffer.alloc(40);
  header.writeUInt32BE(0x6000_0000, 0);
  header.writeUInt16BE(transport.length, 4);
  header.writeUInt8(protocol, 6);
  header.writeUInt8(shape.ttl ?? 64, 7);
  header.set(ipToBytes(shape.source), 8);
  header.set(ipToBytes(shape.destination), 24);
  return header;
}

/** Returns what is wrong with a frame's checksums, or "right". */
export function judgeChecksums(frame: Buffer): string {
  const packet = frame.subarray(14);
  const isIpv4 = frame.readUInt16BE(12) === 0x0800;
  const at = isIpv4 ? (packet.readUInt8(0) & 15) * 4 : 40;
  if (isIpv4 && checksumOf(packet.subarray(0, at)) !== 0) return "wrong IPv4 header checksum";
  const total = isIpv4 ? packet.readUInt16BE(2) : packet.readUInt16BE(4) + 40;
  const protocol = packet.readUInt8(isIpv4 ? 9 : 6);
  if (protocol === 17 && packet.readUInt16BE(at + 6) === 0) return "no UDP checksum";
  const sum = transportChecksum(packet.subarray(0, total), at, protocol);
  return sum === 0 ? "right" : "wrong transport checksum";
}
