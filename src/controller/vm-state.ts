/**
 * What the controller remembers of one virtual machine beside its flows.
 *
 * Pure. Limit: SUPERSEDED_EPOCHS_MAX epochs, WITHDRAWS_WAITING_MAX unanswered withdrawals.
 */
import type { Epoch, RefusalReason } from "../offload-protocol/messages.ts";
import { EVENTS_PER_FLOW_MAX, EventLog } from "./event-log.ts";
import type { FlowKey } from "./flow-key.ts";
import type { FlowRecord } from "./flow-record.ts";
import type { FlowPhase } from "./lifecycle.ts";
import type { VirtualMachine } from "./model.ts";
import { TokenBucket } from "./token-bucket.ts";

/** Old epochs that are still known as such; an older one would count as new. */
export const SUPERSEDED_EPOCHS_MAX = 64;
export const WITHDRAWS_WAITING_MAX = 64;

export type PhaseKind = FlowPhase["kind"];

/** The flows that were held when the first page of `get-flows` was asked for. */
export interface FlowSnapshot {
  readonly asOfSequence: bigint;
  readonly records: readonly FlowRecord[];
}

/** One virtual machine. */
export class VmState {
  /** As the newest configuration has it. */
  vm: VirtualMachine;
  readonly events: EventLog;
  readonly bucket: TokenBucket;
  /** Monotonic; 0 before the first renewal. */
  leaseEndsMs = 0;
  /** Whether this process renewed the lease, so that the fast path knows its end. */
  hasRenewed = false;
  isConnected = false;
  generation = 1;
  snapshot: FlowSnapshot | undefined;
  withdrawsWaiting = 0;
  /** Flows that ended and whose end is not acknowledged, with the answer they were granted with. */
  readonly ended: Map<FlowKey, { readonly effectiveIdleTimeoutMs: number }> = new Map();
  readonly refusals: Map<RefusalReason, number> = new Map();
  readonly counts: Record<PhaseKind, number> = {
    queued: 0,
    installing: 0,
    active: 0,
    quiescing: 0,
    closed: 0,
  };
  #epoch: Epoch | undefined;
  /**
   * Above this no flow id of the present epoch was ever granted; undefined where that is not known: after a
   * restart, and when old epochs were forgotten.
   */
  #newest: bigint | undefined;
  #knowsAllEpochs = true;
  readonly #superseded: Epoch[] = [];

  constructor(vm: VirtualMachine, nextSequence: bigint, nowMs: number) {
    this.vm = vm;
    this.events = new EventLog(nextSequence);
    this.bucket = new TokenBucket(vm.quota.requestsPerSec, vm.quota.requestBurst, nowMs);
  }

  /** Flows held, whatever their state. */
  get flowCount(): number {
    const { queued, installing, active, quiescing } = this.counts;
    return queued + installing + active + quiescing;
  }

  /** Events that the flows held will still cause at most. */
  get owedEvents(): number {
    const { queued, installing, active, quiescing } = this.counts;
    return EVENTS_PER_FLOW_MAX * (queued + installing) + active + quiescing;
  }

  /** Takes over a newer configuration. */
  configure(vm: VirtualMachine): void {
    this.vm = vm;
    this.bucket.configure(vm.quota.requestsPerSec, vm.quota.requestBurst);
  }

  /** Notes the epoch of a request; returns false when a newer one has replaced it. */
  enterEpoch(epoch: Epoch): boolean {
    if (epoch === this.#epoch) return true;
    if (this.#superseded.includes(epoch)) return false;
    if (this.#epoch !== undefined) this.#superseded.push(this.#epoch);
    if (this.#superseded.length > SUPERSEDED_EPOCHS_MAX) {
      this.#superseded.shift();
      this.#knowsAllEpochs = false;
    }
    this.#epoch = epoch;
    this.#newest = this.#knowsAllEpochs ? -1n : undefined;
    return true;
  }

  /** Flows of earlier epochs were taken back: an epoch that is new here may be none. */
  noteRestored(): void {
    this.#knowsAllEpochs = false;
    this.#newest = undefined;
  }

  /** Notes that a flow of the present epoch is granted. */
  noteGranted(flowId: bigint): void {
    if (this.#newest !== undefined && flowId > this.#newest) this.#newest = flowId;
  }

  /** Whether no flow of this id can have been granted in the present epoch; false where that is not known. */
  isNewId(flowId: bigint): boolean {
    return this.#newest !== undefined && flowId > this.#newest;
  }

  get epoch(): Epoch | undefined {
    return this.#epoch;
  }

  countRefusal(reason: RefusalReason): void {
    this.refusals.set(reason, (this.refusals.get(reason) ?? 0) + 1);
  }
}
