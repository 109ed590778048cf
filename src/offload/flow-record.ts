/**
 * One flow as the engine knows it.
 *
 * Pure.
 *
 * ```
 *  queued ─► preparing ─► requested ─► pending ─► active ─► withdrawing ─► (gone)
 *    ▲ ▲                     │            │         │             ▲
 *    │ └────── waiting ◄─────┴── refused ─┴─ closed ┘             │
 *    │            (back-off)                         every state from "requested" on
 *    └── refused: kept until the entry ends or the policy changes
 * ```
 * Invariant: from "preparing" to "withdrawing" the conntrack entry is kept alive and never deleted by us.
 */
import {
  type ConntrackEntry,
  type ConntrackTuple,
  IPS_ASSURED,
  IPS_DYING,
  IPS_SEEN_REPLY,
} from "../lib/conntrack/entry.ts";
import { MARK_CLOSING } from "../lib/conntrack/mark-bits.ts";
import type { FlowJudgement } from "../lib/service/provider.ts";
import type { Epoch, FlowCounters, OffloadFlow } from "../offload-protocol/messages.ts";
import type { FlowListing, FlowState } from "./handle.ts";

export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
/** enum tcp_conntrack */
export const TCP_CONNTRACK_ESTABLISHED = 3;

export type RecordState = FlowState | "preparing";

/** What follows when the flow is off the fast path; a later one in this list overrules an earlier. */
export const AFTER_CLOSE = ["requeue", "rearm", "restore", "closing", "delete"] as const;
export type AfterClose = (typeof AFTER_CLOSE)[number];

export interface FlowRecord {
  readonly key: string;
  state: RecordState;
  /** Names the flow at the controller; drawn anew for each request. */
  epoch: Epoch;
  flowId: bigint;
  entry: ConntrackEntry;
  judgement: FlowJudgement;
  /** As requested or as adopted. */
  flow: OffloadFlow | undefined;
  idleTimeoutMs: number;
  counters: FlowCounters | undefined;
  /** When the flow became a candidate, and since when it is in its state. */
  readonly candidateAtMs: number;
  sinceMs: number;
  /** When a conntrack event told of the entry last. */
  seenAtMs: number;
  lastUsedAtMs: number;
  /** When the conntrack entry would run out. */
  expiresAtMs: number;
  attempts: number;
  after: AfterClose | undefined;
  /** The conntrack entry is gone. */
  ended: boolean;
  /** A newer entry with the same tuple, waiting for this one to be gone. */
  successor: ConntrackEntry | undefined;
  /** Kept by timers.ts. */
  dueAtMs: number;
  timerSlot: number;
}

/** Returns the text that names an entry: its original tuple and zone. */
export function keyOf(entry: Pick<ConntrackEntry, "original" | "zone">): string {
  const { protocol, sourceAddress, sourcePort, destinationAddress, destinationPort } =
    entry.original;
  return `${protocol} ${sourceAddress} ${sourcePort} ${destinationAddress} ${destinationPort} ${entry.zone}`;
}

/** Returns whether two entries have the same name. */
export function isSameTuple(left: ConntrackEntry, right: ConntrackEntry): boolean {
  const a = left.original;
  const b = right.original;
  return (
    a.sourcePort === b.sourcePort &&
    a.destinationPort === b.destinationPort &&
    a.protocol === b.protocol &&
    left.zone === right.zone &&
    a.sourceAddress === b.sourceAddress &&
    a.destinationAddress === b.destinationAddress
  );
}

/** Returns whether the kernel's state of the flow allows to ask for its offload. */
export function isCandidate(entry: ConntrackEntry, requiredMark: number): boolean {
  if ((entry.mark & requiredMark) !== requiredMark) return false;
  if ((entry.mark & MARK_CLOSING) !== 0 || (entry.status & IPS_DYING) !== 0) return false;
  if (entry.helper !== undefined || entry.hasSequenceAdjustment) return false;
  if (entry.original.protocol === PROTOCOL_UDP) return (entry.status & IPS_SEEN_REPLY) !== 0;
  if (entry.original.protocol !== PROTOCOL_TCP) return false;
  if (entry.tcpState !== undefined && entry.tcpState !== TCP_CONNTRACK_ESTABLISHED) return false;
  return (entry.status & IPS_ASSURED) !== 0;
}

/** States in which the controller may hold the flow. */
export const OUTSIDE_STATES: readonly RecordState[] = [
  "requested",
  "pending",
  "active",
  "withdrawing",
];

/** Whether the controller may hold the flow. */
export function isOutside(record: FlowRecord): boolean {
  return OUTSIDE_STATES.includes(record.state);
}

/** Returns the stronger of two wishes. */
export function strongerAfter(left: AfterClose | undefined, right: AfterClose): AfterClose {
  if (left === undefined) return right;
  return AFTER_CLOSE.indexOf(left) >= AFTER_CLOSE.indexOf(right) ? left : right;
}

export function toListing(record: FlowRecord): FlowListing {
  return {
    epoch: record.epoch,
    flowId: record.flowId,
    state: record.state === "preparing" ? "queued" : record.state,
    service: record.judgement.service,
    policyTag: record.judgement.policyTag,
    original: record.entry.original,
    reply: record.entry.reply,
    counters: record.counters,
  };
}

/** Returns a tuple for people: `tcp 10.0.0.1:1024 > 10.0.0.2:80`. */
export function formatTuple(tuple: ConntrackTuple): string {
  const protocol =
    tuple.protocol === PROTOCOL_TCP
      ? "tcp"
      : tuple.protocol === PROTOCOL_UDP
        ? "udp"
        : `protocol ${tuple.protocol}`;
  const end = (address: string, port: number): string =>
    address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  const source = end(tuple.sourceAddress, tuple.sourcePort);
  return `${protocol} ${source} > ${end(tuple.destinationAddress, tuple.destinationPort)}`;
}
