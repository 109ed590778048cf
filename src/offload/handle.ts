/**
 * What the appliance gives to the offload engine, and what it may ask of it.
 *
 * Pure: types only.
 */
import type { Clock } from "../lib/base/clock.ts";
import type { Log } from "../lib/base/log.ts";
import type { ConntrackTuple } from "../lib/conntrack/entry.ts";
import type { ApplianceInterface, JudgeFlow } from "../lib/service/provider.ts";
import type {
  CloseCause,
  Epoch,
  FlowCounters,
  RefusalReason,
} from "../offload-protocol/messages.ts";

export interface OffloadOptions {
  /** Absent: flows are followed and policy is applied, nothing is ever requested. */
  readonly port?: {
    readonly kind: "unix" | "device";
    readonly path: string;
    /** `xml`: CBOR is not offered. Default: CBOR when the controller offers it. */
    readonly encoding?: "xml" | "cbor";
  };
  readonly judge: JudgeFlow;
  /** Number of the policy that `judge` stands for; carried in requests. */
  readonly policyEpoch: bigint;
  /** The data interfaces; their mark indices are the ones of mark-bits.ts. */
  readonly interfaces: readonly ApplianceInterface[];
  readonly log: Log;
  readonly clock: Clock;
  /** Ct mark bits that must all be set before a flow is asked for; default MARK_WORTHY. */
  readonly requiredMark?: number;
  /** Idle timeout asked for on the fast path. */
  readonly idleTimeoutMs?: { readonly tcp?: number; readonly udp?: number };
  /** A flow left or entered the fast path; for logs, metrics and notifications. */
  onFlow?(report: FlowReport): void;
}

export type FlowReport =
  | { readonly kind: "activated"; readonly flow: FlowListing; readonly timeToActiveMs: number }
  | {
      readonly kind: "closed";
      readonly flow: FlowListing;
      readonly cause: CloseCause;
      readonly counters: FlowCounters | undefined;
    };

export interface PolicyOutcome {
  /** Live flows that the new policy forbids and that were cut. */
  readonly cutFlows: number;
  /** Of these, how many were offloaded. */
  readonly cutOffloadedFlows: number;
  /** Flows whose withdrawal was not acknowledged in time, as readable tuples. */
  readonly late: readonly string[];
}

export type FlowState =
  | "queued"
  | "waiting"
  | "requested"
  | "pending"
  | "active"
  | "withdrawing"
  | "refused";

/** One flow as an operator sees it. */
export interface FlowListing {
  readonly epoch: Epoch;
  readonly flowId: bigint;
  readonly state: FlowState;
  readonly service: "nat" | "lb" | "firewall";
  readonly policyTag: number;
  readonly original: ConntrackTuple;
  readonly reply: ConntrackTuple;
  readonly counters: FlowCounters | undefined;
}

export interface OffloadState {
  readonly epoch: Epoch;
  readonly session: "down" | "resynchronising" | "up";
  readonly credit: number;
  readonly flowsByState: Readonly<Record<FlowState, number>>;
  readonly refusalsByReason: Readonly<Partial<Record<RefusalReason, number>>>;
  readonly closesByCause: Readonly<Partial<Record<CloseCause, number>>>;
  /** From the conntrack event that made a flow a candidate to its activation. */
  readonly timeToActive: {
    readonly count: number;
    /** Undefined before the first activation; upper bounds of histogram buckets. */
    readonly p50Ms: number | undefined;
    readonly p99Ms: number | undefined;
    /** How many took at most so long; what took longer than the last bound is in none. */
    readonly buckets: readonly { readonly upToMs: number; readonly count: number }[];
  };
  readonly activatedTotal: number;
  /** Everything else that is counted, by name. */
  readonly counts: Readonly<Record<string, number>>;
  /** Sum of the counters of all flows, closed ones included, for each (attachment, direction, rule). */
  readonly rules: readonly {
    readonly attachment: string;
    readonly direction: "ingress" | "egress";
    readonly name: string;
    readonly fastPackets: bigint;
    readonly fastBytes: bigint;
  }[];
}

export interface OffloadHandle {
  /**
   * Judges every live flow by the new policy: forbidden ones are withdrawn and deleted from conntrack, those
   * that are not eligible any more are withdrawn. Call it after the new ruleset is in the kernel.
   * Resolves when all is cut, or after `deadlineMs` with the rest in `late` (those are still cut later).
   */
  applyPolicy(judge: JudgeFlow, policyEpoch: bigint, deadlineMs: number): Promise<PolicyOutcome>;
  /** Tells of interfaces that came, went or changed. */
  setInterfaces(interfaces: readonly ApplianceInterface[]): void;
  getState(): OffloadState;
  /** Flows in the order in which they were first asked for, at most `limit`. */
  listFlows(limit: number): readonly FlowListing[];
  /** Stops following; flows on the fast path stay there until their lease ends or the next start adopts them. */
  stop(): Promise<void>;
}
