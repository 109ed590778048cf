/**
 * ctnetlink messages: conntrack entries and changes as bytes.
 *
 * Pure. Source: linux/netfilter/nfnetlink_conntrack.h (enum ctattr_*), nfnetlink.h (struct nfgenmsg).
 * Invariant: decoding never throws; an entry without both tuples is no entry; unknown attributes are skipped.
 */
import { AttributeCursor, type MessageBuilder, type MessageSpan } from "../netlink/attributes.ts";
import { addressBytes } from "./address-cache.ts";
import {
  type ConntrackChange,
  type ConntrackCounters,
  type ConntrackEntry,
  type ConntrackTuple,
  IPS_ASSURED,
  IPS_CONFIRMED,
  IPS_SEEN_REPLY,
  NO_ENTRY,
} from "./entry.ts";
import { TupleReader } from "./tuple-reader.ts";

const NFNL_SUBSYS_CTNETLINK = 1;
const AF_INET = 2;
const AF_INET6 = 10;
export const NFGENMSG_BYTES = 4;

export const MESSAGE_CT_NEW: number = NFNL_SUBSYS_CTNETLINK << 8;
export const MESSAGE_CT_GET: number = (NFNL_SUBSYS_CTNETLINK << 8) | 1;
export const MESSAGE_CT_DELETE: number = (NFNL_SUBSYS_CTNETLINK << 8) | 2;

export const NFNLGRP_CONNTRACK_NEW = 1;
export const NFNLGRP_CONNTRACK_UPDATE = 2;
export const NFNLGRP_CONNTRACK_DESTROY = 3;

const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_STATUS = 3;
const CTA_PROTOINFO = 4;
const CTA_HELP = 5;
const CTA_TIMEOUT = 7;
const CTA_MARK = 8;
const CTA_COUNTERS_ORIG = 9;
const CTA_COUNTERS_REPLY = 10;
const CTA_ID = 12;
const CTA_SEQ_ADJ_ORIG = 15;
const CTA_SEQ_ADJ_REPLY = 16;
const CTA_ZONE = 18;
const CTA_MARK_MASK = 21;

const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
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
const CTA_PROTOINFO_TCP = 1;
const CTA_PROTOINFO_TCP_STATE = 1;
const CTA_PROTOINFO_TCP_FLAGS_ORIGINAL = 4;
const CTA_PROTOINFO_TCP_FLAGS_REPLY = 5;
const CTA_COUNTERS_PACKETS = 1;
const CTA_COUNTERS_BYTES = 2;
const CTA_HELP_NAME = 1;

const IP_CT_TCP_FLAG_BE_LIBERAL = 0x08;
/** Events show a sequence adjustment by this status bit, dumps by the attributes too. */
const IPS_SEQ_ADJUST = 1 << 6;
const PROTOCOL_ICMP = 1;
const PROTOCOL_ICMPV6 = 58;

const tuples = new TupleReader();

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Returns the entry that a message describes, or undefined when it describes none. */
export function decodeEntry(
  view: DataView,
  message: Pick<MessageSpan, "start" | "end">,
): ConntrackEntry | undefined {
  const cursor = new AttributeCursor(view, message.start + NFGENMSG_BYTES, message.end);
  let original: ConntrackTuple | undefined;
  let reply: ConntrackTuple | undefined;
  let tupleZone = 0;
  const rest: Writable<ConntrackEntry> = { ...NO_ENTRY };
  while (cursor.next()) {
    if (cursor.type === CTA_TUPLE_ORIG) {
      original = tuples.read(cursor);
      tupleZone = tuples.zone;
    } else if (cursor.type === CTA_TUPLE_REPLY) reply = tuples.read(cursor);
    else decodeEntryAttribute(cursor, rest);
  }
  if (original === undefined || reply === undefined) return undefined;
  if ((rest.status & IPS_SEQ_ADJUST) !== 0) rest.hasSequenceAdjustment = true;
  if (rest.zone === 0) rest.zone = tupleZone;
  rest.original = original;
  rest.reply = reply;
  return rest;
}

function decodeEntryAttribute(
  cursor: AttributeCursor,
  entry: Partial<Writable<ConntrackEntry>>,
): void {
  switch (cursor.type) {
    case CTA_STATUS:
      entry.status = cursor.u32be();
      break;
    case CTA_MARK:
      entry.mark = cursor.u32be();
      break;
    case CTA_ID:
      entry.id = cursor.u32be();
      break;
    case CTA_TIMEOUT:
      entry.timeoutSec = cursor.u32be();
      break;
    case CTA_ZONE:
      entry.zone = cursor.u16be();
      break;
    case CTA_PROTOINFO:
      decodeProtocolInfo(cursor.nested(), entry);
      break;
    case CTA_HELP:
      for (const help = cursor.nested(); help.next(); ) {
        if (help.type === CTA_HELP_NAME) entry.helper = help.text();
      }
      break;
    case CTA_SEQ_ADJ_ORIG:
    case CTA_SEQ_ADJ_REPLY:
      entry.hasSequenceAdjustment = true;
      break;
    case CTA_COUNTERS_ORIG:
      entry.originalCounters = decodeCounters(cursor.nested());
      break;
    case CTA_COUNTERS_REPLY:
      entry.replyCounters = decodeCounters(cursor.nested());
      break;
    default:
  }
}

function decodeProtocolInfo(
  cursor: AttributeCursor,
  entry: Partial<Writable<ConntrackEntry>>,
): void {
  while (cursor.next()) {
    if (cursor.type !== CTA_PROTOINFO_TCP) continue;
    let liberalDirections = 0;
    for (const tcp = cursor.nested(); tcp.next(); ) {
      if (tcp.type === CTA_PROTOINFO_TCP_STATE) entry.tcpState = tcp.u8();
      else if (
        tcp.type === CTA_PROTOINFO_TCP_FLAGS_ORIGINAL ||
        tcp.type === CTA_PROTOINFO_TCP_FLAGS_REPLY
      ) {
        if ((tcp.u8() & IP_CT_TCP_FLAG_BE_LIBERAL) !== 0) liberalDirections += 1;
      }
    }
    if (liberalDirections === 2) entry.liberal = true;
  }
}

function decodeCounters(cursor: AttributeCursor): ConntrackCounters {
  let packets = 0n;
  let bytes = 0n;
  while (cursor.next()) {
    if (cursor.type === CTA_COUNTERS_PACKETS) packets = cursor.u64be();
    else if (cursor.type === CTA_COUNTERS_BYTES) bytes = cursor.u64be();
  }
  return { packets, bytes };
}

/** Writes nfgenmsg for a family; 0 is every family. */
export function writeFamily(builder: MessageBuilder, family: 0 | 4 | 6): void {
  const number = family === 0 ? 0 : family === 4 ? AF_INET : AF_INET6;
  builder.payload(Uint8Array.of(number, 0, 0, 0));
}

/** Writes what names one entry: family, original tuple and zone. */
export function writeEntryKey(builder: MessageBuilder, tuple: ConntrackTuple, zone: number): void {
  writeFamily(builder, tuple.sourceAddress.includes(":") ? 6 : 4);
  builder.nested(CTA_TUPLE_ORIG, () => writeTuple(builder, tuple));
  if (zone !== 0) builder.u16be(CTA_ZONE, zone);
}

function writeTuple(builder: MessageBuilder, tuple: ConntrackTuple): void {
  const isV6 = tuple.sourceAddress.includes(":");
  builder.nested(CTA_TUPLE_IP, () => {
    builder.attribute(isV6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, addressBytes(tuple.sourceAddress));
    builder.attribute(isV6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, addressBytes(tuple.destinationAddress));
  });
  builder.nested(CTA_TUPLE_PROTO, () => {
    builder.u8(CTA_PROTO_NUM, tuple.protocol);
    if (tuple.protocol === PROTOCOL_ICMP || tuple.protocol === PROTOCOL_ICMPV6) {
      const v6 = tuple.protocol === PROTOCOL_ICMPV6;
      builder.u16be(v6 ? CTA_PROTO_ICMPV6_ID : CTA_PROTO_ICMP_ID, tuple.sourcePort);
      builder.u8(v6 ? CTA_PROTO_ICMPV6_TYPE : CTA_PROTO_ICMP_TYPE, tuple.destinationPort >> 8);
      builder.u8(v6 ? CTA_PROTO_ICMPV6_CODE : CTA_PROTO_ICMP_CODE, tuple.destinationPort & 0xff);
    } else {
      builder.u16be(CTA_PROTO_SRC_PORT, tuple.sourcePort);
      builder.u16be(CTA_PROTO_DST_PORT, tuple.destinationPort);
    }
  });
}

/** Writes the body of a change. Assured needs the bits that an assured entry always has, too. */
export function writeChange(builder: MessageBuilder, change: ConntrackChange): void {
  writeEntryKey(builder, change.original, change.zone ?? 0);
  if (change.timeoutSec !== undefined) builder.u32be(CTA_TIMEOUT, change.timeoutSec);
  if (change.assured) builder.u32be(CTA_STATUS, IPS_ASSURED | IPS_SEEN_REPLY | IPS_CONFIRMED);
  if (change.mark !== undefined) {
    builder.u32be(CTA_MARK, change.mark.value);
    builder.u32be(CTA_MARK_MASK, change.mark.mask);
  }
  if (change.liberal) {
    const flags = Uint8Array.of(IP_CT_TCP_FLAG_BE_LIBERAL, IP_CT_TCP_FLAG_BE_LIBERAL);
    builder.nested(CTA_PROTOINFO, () =>
      builder.nested(CTA_PROTOINFO_TCP, () => {
        builder.attribute(CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, flags);
        builder.attribute(CTA_PROTOINFO_TCP_FLAGS_REPLY, flags);
      }),
    );
  }
}

/** Writes a dump's filter: only entries whose mark has `value` under `mask`. */
export function writeMarkFilter(
  builder: MessageBuilder,
  filter: { readonly value: number; readonly mask: number },
): void {
  builder.u32be(CTA_MARK, filter.value);
  builder.u32be(CTA_MARK_MASK, filter.mask);
}
