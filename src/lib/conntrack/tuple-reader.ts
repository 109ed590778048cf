/**
 * Reads the tuples of ctnetlink messages; tens of thousands a second come here.
 *
 * Pure but for the memory of addresses. One object for each tuple is made and nothing else, so this walks the
 * attributes by itself. Source: linux/netfilter/nfnetlink_conntrack.h (enum ctattr_tuple, ctattr_ip, ctattr_l4proto).
 * Invariant: reading never leaves the given bytes and never throws, whatever the bytes are.
 */
import type { IpAddress } from "../inet/address.ts";
import { type AttributeCursor, align4 } from "../netlink/attributes.ts";
import { readAddressAt } from "./address-cache.ts";
import type { ConntrackTuple } from "./entry.ts";

const HEADER_BYTES = 4;
const TYPE_MASK = 0x3fff;
const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_TUPLE_ZONE = 3;
const CTA_IP_V4_SRC = 1;
const CTA_IP_V4_DST = 2;
const CTA_IP_V6_SRC = 3;
const CTA_IP_V6_DST = 4;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_SRC_PORT = 2;
const CTA_PROTO_DST_PORT = 3;
const CTA_PROTO_ICMP_ID = 4;
const CTA_PROTO_ICMP_TYPE = 5;
const CTA_PROTO_ICMP_CODE = 6;
const CTA_PROTO_ICMPV6_ID = 7;
const CTA_PROTO_ICMPV6_TYPE = 8;
const CTA_PROTO_ICMPV6_CODE = 9;

export class TupleReader {
  /** Of the tuple that was read last; 0 when it names none. */
  zone = 0;
  #source: IpAddress | undefined;
  #destination: IpAddress | undefined;
  #protocol = 0;
  #sourcePort = 0;
  #destinationPort = 0;

  /** Returns the tuple that is the cursor's value, or undefined when it lacks an address. */
  read(cursor: AttributeCursor): ConntrackTuple | undefined {
    this.zone = 0;
    this.#source = undefined;
    this.#destination = undefined;
    this.#protocol = 0;
    this.#sourcePort = 0;
    this.#destinationPort = 0;
    const { view } = cursor;
    const end = cursor.offset + cursor.length;
    for (let at = cursor.offset; at + HEADER_BYTES <= end; ) {
      const length = view.getUint16(at, true);
      if (length < HEADER_BYTES || at + length > end) break;
      const type = view.getUint16(at + 2, true) & TYPE_MASK;
      if (type === CTA_TUPLE_IP) this.#readAddresses(view, at + HEADER_BYTES, at + length);
      else if (type === CTA_TUPLE_PROTO) this.#readPorts(view, at + HEADER_BYTES, at + length);
      else if (type === CTA_TUPLE_ZONE && length >= HEADER_BYTES + 2) {
        this.zone = view.getUint16(at + HEADER_BYTES, false);
      }
      at += align4(length);
    }
    if (this.#source === undefined || this.#destination === undefined) return undefined;
    return {
      sourceAddress: this.#source,
      destinationAddress: this.#destination,
      protocol: this.#protocol,
      sourcePort: this.#sourcePort,
      destinationPort: this.#destinationPort,
    };
  }

  #readAddresses(view: DataView, start: number, end: number): void {
    for (let at = start; at + HEADER_BYTES <= end; ) {
      const length = view.getUint16(at, true);
      if (length < HEADER_BYTES || at + length > end) return;
      const type = view.getUint16(at + 2, true) & TYPE_MASK;
      const value = at + HEADER_BYTES;
      if (type === CTA_IP_V4_SRC || type === CTA_IP_V6_SRC) {
        this.#source = readAddressAt(view, value, length - HEADER_BYTES);
      } else if (type === CTA_IP_V4_DST || type === CTA_IP_V6_DST) {
        this.#destination = readAddressAt(view, value, length - HEADER_BYTES);
      }
      at += align4(length);
    }
  }

  /** ICMP's identifier, type and code stand in the ports' places. */
  #readPorts(view: DataView, start: number, end: number): void {
    for (let at = start; at + HEADER_BYTES <= end; ) {
      const length = view.getUint16(at, true);
      if (length < HEADER_BYTES || at + length > end) return;
      const value = at + HEADER_BYTES;
      const byte = length > HEADER_BYTES ? view.getUint8(value) : 0;
      const word = length > HEADER_BYTES + 1 ? view.getUint16(value, false) : 0;
      switch (view.getUint16(at + 2, true) & TYPE_MASK) {
        case CTA_PROTO_NUM:
          this.#protocol = byte;
          break;
        case CTA_PROTO_SRC_PORT:
        case CTA_PROTO_ICMP_ID:
        case CTA_PROTO_ICMPV6_ID:
          this.#sourcePort = word;
          break;
        case CTA_PROTO_DST_PORT:
          this.#destinationPort = word;
          break;
        case CTA_PROTO_ICMP_TYPE:
        case CTA_PROTO_ICMPV6_TYPE:
          this.#destinationPort |= byte << 8;
          break;
        case CTA_PROTO_ICMP_CODE:
        case CTA_PROTO_ICMPV6_CODE:
          this.#destinationPort |= byte;
          break;
        default:
      }
      at += align4(length);
    }
  }
}
