/**
 * What goes into the offload engine and what comes out of it.
 *
 * Pure: types only. The shell carries effects out in their order; synchronous answers (`prepared`, `gone`)
 * come back as events.
 */
import type { ConntrackChange, ConntrackEntry, ConntrackEvent } from "../lib/conntrack/entry.ts";
import type { IpAddress, MacAddress } from "../lib/inet/address.ts";
import type { ApplianceInterface, JudgeFlow } from "../lib/service/provider.ts";
import type {
  Epoch,
  OffloadFlow,
  OffloadNotification,
  OffloadReply,
  OffloadRequest,
} from "../offload-protocol/messages.ts";
import type { FlowReport, PolicyOutcome } from "./handle.ts";

/** Where a packet to some address goes next. */
export type Hop =
  | {
      readonly kind: "hop";
      readonly interfaceName: string;
      readonly nextHop: MacAddress;
      readonly mtuBytes: number;
    }
  /** The neighbour's link address is being looked for. */
  | { readonly kind: "unresolved" }
  /** No route, or the appliance itself, or no interface of the appliance. */
  | { readonly kind: "not-forwarded" };

export interface ConntrackTimeouts {
  readonly tcpSec: number;
  readonly udpSec: number;
}

export interface EngineOptions {
  readonly epoch: Epoch;
  readonly judge: JudgeFlow;
  readonly policyEpoch: bigint;
  readonly interfaces: readonly ApplianceInterface[];
  readonly requiredMark: number;
  readonly idleTimeoutTcpMs: number;
  readonly idleTimeoutUdpMs: number;
  /** What the kernel gives an entry at each packet of an established flow. */
  readonly conntrackTimeouts: ConntrackTimeouts;
  /** Flows with a record; FLOWS_TRACKED_MAX when absent. */
  readonly flowsTrackedMax?: number;
  /** False: nobody wants `report` effects. */
  readonly reports?: boolean;
  /** Returns how many bytes a flow takes at most in a request; absent: nothing. */
  flowBytesMax?(flow: OffloadFlow): number;
  /** Returns at once, from what is known; starts a search when the neighbour is unknown. */
  locate(destination: IpAddress): Hop;
}

export type EngineEvent =
  | { readonly kind: "conntrack"; readonly events: readonly ConntrackEvent[] }
  /** Every entry with the required mark, read after `startedAtMs`. */
  | {
      readonly kind: "snapshot";
      readonly startedAtMs: number;
      readonly entries: readonly ConntrackEntry[];
    }
  | { readonly kind: "session-up" }
  | { readonly kind: "session-down" }
  | { readonly kind: "reply"; readonly requestId: number; readonly reply: OffloadReply }
  /** The controller answered with an rpc-error, or with something else than what was asked. */
  | { readonly kind: "request-failed"; readonly requestId: number }
  | { readonly kind: "notification"; readonly notification: OffloadNotification }
  /** The changes of a `prepare` effect were made; `failed` are indices into it. */
  | { readonly kind: "prepared"; readonly batchId: number; readonly failed: readonly number[] }
  /** Entries that a `change` effect did not find. */
  | { readonly kind: "gone"; readonly keys: readonly string[] }
  | {
      readonly kind: "policy";
      readonly token: number;
      readonly judge: JudgeFlow;
      readonly policyEpoch: bigint;
      readonly deadlineMs: number;
    }
  | {
      readonly kind: "policy-entries";
      readonly token: number;
      readonly entries: readonly ConntrackEntry[];
    }
  | { readonly kind: "policy-entries-end"; readonly token: number }
  /** What the kernel gives an entry from now on at each packet of an established flow. */
  | { readonly kind: "conntrack-timeouts"; readonly timeouts: ConntrackTimeouts }
  | { readonly kind: "interfaces"; readonly interfaces: readonly ApplianceInterface[] }
  /** `locate` may answer otherwise than before. */
  | { readonly kind: "paths-changed" }
  | { readonly kind: "tick" };

export type EngineEffect =
  | { readonly kind: "send"; readonly requestId: number; readonly request: OffloadRequest }
  /** Make these changes and answer with `prepared`. */
  | {
      readonly kind: "prepare";
      readonly batchId: number;
      readonly changes: readonly ConntrackChange[];
    }
  /** Make these changes; answer with `gone` for those whose entry is missing. */
  | { readonly kind: "change"; readonly changes: readonly KeyedChange[] }
  /** End an entry after a reset: if it is still established, give it this timeout. */
  | { readonly kind: "settle-closing"; readonly change: KeyedChange }
  | { readonly kind: "delete"; readonly entry: ConntrackEntry }
  /** Read the entries that have the required mark and answer with `snapshot`. */
  | { readonly kind: "read-snapshot" }
  | { readonly kind: "policy-done"; readonly token: number; readonly outcome: PolicyOutcome }
  /** The controller does not answer: begin a new session. */
  | { readonly kind: "reset-session"; readonly why: string }
  | { readonly kind: "report"; readonly report: FlowReport };

export interface KeyedChange {
  readonly key: string;
  readonly change: ConntrackChange;
}
