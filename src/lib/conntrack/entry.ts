/**
 * A conntrack entry as the kernel describes it, and the changes that it accepts.
 *
 * Pure: types only. Source: linux/netfilter/nfnetlink_conntrack.h, nf_conntrack_common.h.
 */
import type { IpAddress } from "../inet/address.ts";

export interface ConntrackTuple {
  readonly sourceAddress: IpAddress;
  readonly destinationAddress: IpAddress;
  readonly protocol: number;
  /** 0 for protocols without ports. For ICMP: the identifier. */
  readonly sourcePort: number;
  /** For ICMP: (type << 8) | code. */
  readonly destinationPort: number;
}

export interface ConntrackCounters {
  readonly packets: bigint;
  readonly bytes: bigint;
}

export interface ConntrackEntry {
  /** CTA_ID: 32 bits that stay the same for the entry's life. */
  readonly id: number;
  readonly zone: number;
  readonly original: ConntrackTuple;
  readonly reply: ConntrackTuple;
  /** IPS_* bits. */
  readonly status: number;
  readonly mark: number;
  /** Seconds; absent in destroy events. */
  readonly timeoutSec?: number;
  /** TCP_CONNTRACK_* of the kernel; absent for other protocols. */
  readonly tcpState?: number;
  /** Both directions of a TCP connection are without window checks; told by dumps and reads only. */
  readonly liberal?: true;
  readonly helper?: string;
  readonly hasSequenceAdjustment: boolean;
  readonly originalCounters?: ConntrackCounters;
  readonly replyCounters?: ConntrackCounters;
}

export type ConntrackEvent =
  | { readonly kind: "new"; readonly entry: ConntrackEntry }
  | { readonly kind: "update"; readonly entry: ConntrackEntry }
  | { readonly kind: "destroy"; readonly entry: ConntrackEntry }
  /** The socket's buffer overflowed (ENOBUFS): events are missing; dump to repair. */
  | { readonly kind: "overrun" };

/** A change of one existing entry, found by its original tuple and zone. */
export interface ConntrackChange {
  readonly original: ConntrackTuple;
  readonly zone?: number;
  readonly timeoutSec?: number;
  readonly mark?: { readonly value: number; readonly mask: number };
  /** Sets IP_CT_TCP_FLAG_BE_LIBERAL in both directions. */
  readonly liberal?: true;
  /** Sets IPS_ASSURED. */
  readonly assured?: true;
}

export const IPS_SEEN_REPLY: number = 1 << 1;
export const IPS_ASSURED: number = 1 << 2;
export const IPS_CONFIRMED: number = 1 << 3;
export const IPS_DYING: number = 1 << 9;

const NO_TUPLE: ConntrackTuple = {
  sourceAddress: "0.0.0.0" as IpAddress,
  destinationAddress: "0.0.0.0" as IpAddress,
  protocol: 0,
  sourcePort: 0,
  destinationPort: 0,
};

/** What a decoder begins with: every member is there, so that all entries have one shape. */
const WHOLE_ENTRY: { [K in keyof Required<ConntrackEntry>]: ConntrackEntry[K] | undefined } = {
  id: 0,
  zone: 0,
  original: NO_TUPLE,
  reply: NO_TUPLE,
  status: 0,
  mark: 0,
  timeoutSec: undefined,
  tcpState: undefined,
  liberal: undefined,
  helper: undefined,
  hasSequenceAdjustment: false,
  originalCounters: undefined,
  replyCounters: undefined,
};
export const NO_ENTRY: ConntrackEntry = WHOLE_ENTRY as ConntrackEntry;
