/**
 * One flow as the controller remembers it.
 *
 * Pure. What the request said is kept only where the resolved flow does not say it: hundreds of thousands of
 * these live at a time.
 */
import type { FastPathDirection, FastPathFlow } from "../fast-path/driver.ts";
import type {
  Directions,
  Epoch,
  FlowCounters,
  FlowDirection,
  FlowRewrite,
  FlowRule,
  OffloadFlow,
  OffloadService,
} from "../offload-protocol/messages.ts";
import { type FlowKey, flowKey, NO_COUNTERS } from "./flow-key.ts";
import type { FlowPhase } from "./lifecycle.ts";

/** Monotonic milliseconds of each transition that has happened. */
export interface FlowTimes {
  /** The request's message arrived. */
  requestedMs: number;
  grantedMs: number;
  sentMs?: number;
  activeMs?: number;
  quiescingMs?: number;
}

export interface FlowRecordParts {
  readonly vmKey: string;
  readonly epoch: Epoch;
  readonly flow: OffloadFlow;
  /** The flow as it was resolved: its matches and egresses are the request's. */
  readonly fast: FastPathFlow;
  readonly egressSegmentIds: readonly [number, number | undefined];
  readonly phase: FlowPhase;
  readonly nowMs: number;
  readonly times: FlowTimes;
}

const SOURCE_ADDRESS = 1;
const DESTINATION_ADDRESS = 2;
const SOURCE_PORT = 4;
const DESTINATION_PORT = 8;

/** One flow; `fast`, `phase`, `counters`, `version` and timeout change. */
export class FlowRecord {
  readonly vmKey: string;
  readonly epoch: Epoch;
  readonly key: FlowKey;
  readonly flowId: bigint;
  readonly policyTag: number;
  readonly directions: Directions;
  idleTimeoutMs: number;
  version: bigint;
  fast: FastPathFlow;
  /** Segments where the original and the reply leave; next hops are looked up there. */
  readonly egressSegmentIds: readonly [number, number | undefined];
  phase: FlowPhase;
  /** Last values read; absolute. `lastUsedMsAgo` is as of `countersAtMs`. */
  counters: FlowCounters = NO_COUNTERS;
  countersAtMs: number;
  readonly times: FlowTimes;
  readonly #service: OffloadService;
  readonly #rules: readonly FlowRule[];
  readonly #policyEpoch: bigint;
  /** Which leaves of `rewrite` were present. */
  readonly #originalRewrite: number;
  readonly #replyRewrite: number;

  constructor({ flow, ...parts }: FlowRecordParts) {
    this.vmKey = parts.vmKey;
    this.epoch = parts.epoch;
    this.key = flowKey(parts.epoch, flow.flowId);
    this.flowId = flow.flowId;
    this.policyTag = flow.policyTag;
    this.directions = flow.directions;
    this.idleTimeoutMs = flow.idleTimeoutMs;
    this.version = flow.version;
    this.fast = parts.fast;
    this.egressSegmentIds = parts.egressSegmentIds;
    this.phase = parts.phase;
    this.countersAtMs = parts.nowMs;
    this.times = parts.times;
    this.#service = flow.service;
    this.#rules = flow.rules;
    this.#policyEpoch = flow.policyEpoch;
    this.#originalRewrite = presentIn(flow.original.rewrite);
    this.#replyRewrite = flow.reply === undefined ? 0 : presentIn(flow.reply.rewrite);
  }

  /** The flow as it was asked for and updated since. */
  get flow(): OffloadFlow {
    const { flowId, policyTag, directions, idleTimeoutMs, version, fast } = this;
    const flow = {
      flowId,
      service: this.#service,
      rules: this.#rules,
      policyTag,
      policyEpoch: this.#policyEpoch,
      directions,
      original: asRequested(fast.original, this.#originalRewrite),
      idleTimeoutMs,
      version,
    };
    if (fast.reply === undefined) return flow;
    return { ...flow, reply: asRequested(fast.reply, this.#replyRewrite) };
  }
}

function presentIn(rewrite: FlowRewrite): number {
  return (
    (rewrite.sourceAddress === undefined ? 0 : SOURCE_ADDRESS) |
    (rewrite.destinationAddress === undefined ? 0 : DESTINATION_ADDRESS) |
    (rewrite.sourcePort === undefined ? 0 : SOURCE_PORT) |
    (rewrite.destinationPort === undefined ? 0 : DESTINATION_PORT)
  );
}

function asRequested(fast: FastPathDirection, present: number): FlowDirection {
  const rewrite: { -readonly [K in keyof FlowRewrite]: FlowRewrite[K] } = {};
  if ((present & SOURCE_ADDRESS) !== 0) rewrite.sourceAddress = fast.newSourceAddress;
  if ((present & DESTINATION_ADDRESS) !== 0) {
    rewrite.destinationAddress = fast.newDestinationAddress;
  }
  if ((present & SOURCE_PORT) !== 0) rewrite.sourcePort = fast.newSourcePort;
  if ((present & DESTINATION_PORT) !== 0) rewrite.destinationPort = fast.newDestinationPort;
  const { protocol, sourceAddress, destinationAddress, sourcePort, destinationPort } = fast;
  const tuple = { sourceAddress, destinationAddress, sourcePort, destinationPort };
  return {
    match: { vnic: fast.destinationMac, protocol, ...tuple },
    rewrite,
    egress: { vnic: fast.newSourceMac, nextHop: fast.newDestinationMac, mtuBytes: fast.mtuBytes },
  };
}
