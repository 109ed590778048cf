/**
 * The messages of the offload protocol as values, one to one with yang/flowlift-offload.yang.
 *
 * Pure: types only. 64-bit numbers are bigint; durations are milliseconds; addresses are canonical.
 */
import type { IpAddress, MacAddress } from "../lib/inet/address.ts";

/** 16 lower-case hexadecimal digits, drawn when the requesting function starts without memory. */
export type Epoch = string & { readonly brand: "Epoch" };

export type OffloadService = "unspecified" | "nat" | "lb" | "firewall";
export type Directions = "unspecified" | "both" | "original-only";

export type RefusalReason =
  | "unspecified"
  | "malformed"
  | "vnic-not-yours"
  | "address-not-entitled"
  | "port-not-entitled"
  | "next-hop-not-on-segment"
  | "location-unknown"
  | "protocol-not-allowed"
  | "idle-timeout-out-of-range"
  | "directions-not-allowed"
  | "duplicate"
  | "flow-quota-exceeded"
  | "rate-limited"
  | "table-full"
  | "unsupported-by-driver"
  | "no-lease"
  | "cancelled"
  | "driver-failed"
  | "version-conflict"
  | "no-such-flow"
  | "epoch-superseded";

export type CloseCause =
  | "unspecified"
  | "withdrawn"
  | "idle"
  | "evicted"
  | "lease-expired"
  | "neighbour-moved"
  | "not-entitled-any-more"
  | "operator";

/** A packet of one direction as it arrives at the virtual machine. */
export interface FlowMatch {
  /** The VM's own vNIC: its segment and the frame's destination follow from it. */
  readonly vnic: MacAddress;
  readonly protocol: number;
  readonly sourceAddress: IpAddress;
  readonly destinationAddress: IpAddress;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** What changes; an absent member stays as it is. */
export interface FlowRewrite {
  readonly sourceAddress?: IpAddress;
  readonly destinationAddress?: IpAddress;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
}

export interface FlowEgress {
  readonly vnic: MacAddress;
  readonly nextHop: MacAddress;
  readonly mtuBytes: number;
}

export interface FlowDirection {
  readonly match: FlowMatch;
  readonly rewrite: FlowRewrite;
  readonly egress: FlowEgress;
}

export interface FlowRule {
  readonly attachment: string;
  readonly direction: "ingress" | "egress";
  readonly name: string;
}

export interface OffloadFlow {
  readonly flowId: bigint;
  readonly service: OffloadService;
  readonly rules: readonly FlowRule[];
  readonly policyTag: number;
  readonly policyEpoch: bigint;
  readonly directions: Directions;
  readonly original: FlowDirection;
  /** Present exactly when `directions` is "both". */
  readonly reply?: FlowDirection;
  readonly idleTimeoutMs: number;
  readonly version: bigint;
}

/** Absolute; wire packets and layer-3 bytes at the host port. */
export interface DirectionCounters {
  readonly fastPackets: bigint;
  readonly fastBytes: bigint;
  readonly passedPackets: bigint;
  readonly passedBytes: bigint;
}

export interface FlowCounters {
  readonly original: DirectionCounters;
  readonly reply: DirectionCounters;
  readonly lastUsedMsAgo: bigint;
}

export type OffloadResult =
  | {
      readonly flowId: bigint;
      readonly outcome: "granted-pending";
      readonly effectiveIdleTimeoutMs: number;
    }
  | {
      readonly flowId: bigint;
      readonly outcome: "refused";
      readonly reason: RefusalReason;
      readonly holder?: bigint;
    };

export type WithdrawSelection =
  | { readonly kind: "flow-ids"; readonly flowIds: readonly bigint[] }
  | { readonly kind: "policy-tag"; readonly policyTag: number }
  | { readonly kind: "all" };

export type WithdrawResult =
  | { readonly flowId: bigint; readonly outcome: "closed"; readonly counters: FlowCounters }
  | { readonly flowId: bigint; readonly outcome: "no-such-flow" };

export interface EgressUpdate {
  readonly nextHop?: MacAddress;
  readonly mtuBytes?: number;
}

export interface HeldFlow {
  readonly epoch: Epoch;
  readonly flow: OffloadFlow;
  readonly state: "pending" | "active" | "quiescing";
  readonly counters: FlowCounters;
}

/** What the VM asks. */
export type OffloadRequest =
  | {
      readonly kind: "request-offload";
      readonly epoch: Epoch;
      readonly flows: readonly OffloadFlow[];
    }
  | {
      readonly kind: "withdraw-offload";
      readonly epoch: Epoch;
      readonly selection: WithdrawSelection;
    }
  | {
      readonly kind: "update-offload";
      readonly epoch: Epoch;
      readonly flowId: bigint;
      readonly expectedVersion: bigint;
      readonly idleTimeoutMs?: number;
      readonly originalEgress?: EgressUpdate;
      readonly replyEgress?: EgressUpdate;
    }
  | {
      readonly kind: "get-flows";
      readonly after?: { readonly epoch: Epoch; readonly flowId: bigint };
      readonly limit: number;
    }
  | { readonly kind: "renew-lease"; readonly epoch: Epoch }
  | { readonly kind: "acknowledge-events"; readonly sequence: bigint };

/** What the controller answers; the kind equals the request's. */
export type OffloadReply =
  | { readonly kind: "request-offload"; readonly results: readonly OffloadResult[] }
  | { readonly kind: "withdraw-offload"; readonly results: readonly WithdrawResult[] }
  | {
      readonly kind: "update-offload";
      readonly outcome: "updated" | "refused";
      readonly reason?: RefusalReason;
      readonly version: bigint;
      readonly effectiveIdleTimeoutMs?: number;
    }
  | {
      readonly kind: "get-flows";
      readonly asOfSequence: bigint;
      readonly more: boolean;
      readonly flows: readonly HeldFlow[];
    }
  | { readonly kind: "renew-lease"; readonly leaseMs: number }
  | { readonly kind: "acknowledge-events" };

export interface FlowEvent {
  readonly sequence: bigint;
  readonly epoch: Epoch;
  readonly flowId: bigint;
  readonly what:
    | { readonly kind: "activated"; readonly directions: Directions }
    | { readonly kind: "refused-late"; readonly reason: RefusalReason }
    | { readonly kind: "closed"; readonly cause: CloseCause; readonly counters: FlowCounters };
}

export interface FlowStatistic {
  readonly epoch: Epoch;
  readonly flowId: bigint;
  readonly counters: FlowCounters;
}

/** What the controller tells without being asked. */
export type OffloadNotification =
  | { readonly kind: "flow-events"; readonly events: readonly FlowEvent[] }
  | { readonly kind: "flow-statistics"; readonly flows: readonly FlowStatistic[] }
  | { readonly kind: "credit"; readonly flows: number };

/** Bounds of the protocol; the YANG module states the same numbers. */
export const FLOWS_PER_REQUEST_MAX = 1024;
export const FLOW_IDS_PER_WITHDRAW_MAX = 4096;
export const FLOWS_PER_PAGE_MAX = 1024;
export const RULES_PER_FLOW_MAX = 8;
/** A message on the serial port, chunks joined. */
export const MESSAGE_BYTES_MAX: number = 4 * 1024 * 1024;
/** One chunk (RFC 6242 §4.2). */
export const CHUNK_BYTES_MAX: number = 1024 * 1024;
