/**
 * Ethernet frames with one UDP datagram each, marked so that they are known again whatever was rewritten.
 *
 * Pure. IPv4 and IPv6 without options, with right checksums.
 */
import {
  formatIpBytes,
  formatMacBytes,
  type IpAddress,
  type MacAddress,
} from "../../lib/inet/address.ts";
import { encodeUdpFrame } from "../../lib/inet/udp-frame.ts";

const ETHERNET_BYTES = 14;
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const UDP_BYTES = 8;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const PROTOCOL_UDP = 17;
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
  const { tag, sourceAddress: source, destinationAddress: destination, ...rest } = datagram;
  return encodeUdpFrame({ ...rest, source, destination, payload: Buffer.from(MARK + tag) });
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
