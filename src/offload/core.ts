/**
 * The engine's state, and the few ways to change it that keep its tables consistent.
 *
 * Pure: time comes with each event, effects are collected. The rules are in the files that act on it:
 * intake, requester, withdrawal, closing, notices, resync, revocation, upkeep.
 * Invariant: a record is in `byKey` until forgotten; in `byId` exactly while the controller may hold it.
 */
import { assert } from "../lib/base/assert.ts";
import type { ConntrackEntry } from "../lib/conntrack/entry.ts";
import type { ApplianceInterface, FlowJudgement, JudgeFlow } from "../lib/service/provider.ts";
import type { Epoch, OffloadRequest } from "../offload-protocol/messages.ts";
import { CreditAccount } from "./credit.ts";
import type { ConntrackTimeouts, EngineEffect, EngineOptions } from "./engine-types.ts";
import { InterfaceIndex } from "./flow-path.ts";
import {
  type FlowRecord,
  isSameTuple,
  keyOf,
  OUTSIDE_STATES,
  PROTOCOL_TCP,
  type RecordState,
} from "./flow-record.ts";
import type { Resync } from "./resync-state.ts";
import { Tally } from "./tally.ts";
import { FlowTimers, NEVER_MS } from "./timers.ts";

const SAFE_MAX = BigInt(Number.MAX_SAFE_INTEGER);

/** A message that waits for its answer. */
export type Outstanding = { readonly sentAtMs: number } & (
  | { readonly kind: "request-offload"; readonly flowIds: readonly bigint[] }
  | {
      readonly kind: "withdraw-offload";
      readonly epoch: Epoch;
      readonly flowIds: readonly bigint[];
    }
  | { readonly kind: "update-offload"; readonly epoch: Epoch; readonly flowId: bigint }
  | { readonly kind: "get-flows" }
  | { readonly kind: "renew-lease" }
  | { readonly kind: "acknowledge-events"; readonly sequence: bigint }
);

type WithoutSentAt<T> = T extends unknown ? Omit<T, "sentAtMs"> : never;

/** A policy change that is being carried out. */
export interface Revocation {
  readonly token: number;
  readonly deadlineAtMs: number;
  readonly remaining: Map<string, FlowRecord>;
  scanned: boolean;
  /** Its deadline is over and was told; what is left of it goes on. */
  isTold: boolean;
  /** Names of all flows that were cut; a tuple that comes back meanwhile is cut again and counted once. */
  readonly cut: Set<string>;
  cutOffloadedFlows: number;
}

export class EngineCore {
  readonly options: EngineOptions;
  judge: JudgeFlow;
  policyEpoch: bigint;
  interfaces: InterfaceIndex;
  conntrackTimeouts: ConntrackTimeouts;
  nowMs = 0;
  effects: EngineEffect[] = [];

  readonly byKey: Map<string, FlowRecord> = new Map();
  /** By the kernel's own number, which two entries may share: whoever finds a record compares the tuple. */
  readonly #byEntryId: Map<number, FlowRecord> = new Map();
  readonly #byId = new Map<Epoch, Map<number | bigint, FlowRecord>>();
  readonly stateCounts: Map<RecordState, number> = new Map();
  readonly timers: FlowTimers = new FlowTimers();
  readonly tally: Tally = new Tally();
  /** In the order in which they became candidates. */
  readonly queue: Set<FlowRecord> = new Set();
  /** Batches whose conntrack changes are being made. */
  readonly preparing: Map<number, readonly FlowRecord[]> = new Map();
  readonly toWithdraw: Set<FlowRecord> = new Set();
  /** Flows that the controller holds and nobody here wants: (epoch, flow id). */
  readonly orphans: Map<Epoch, Set<bigint>> = new Map();
  readonly outstanding: Map<number, Outstanding> = new Map();
  readonly credit: CreditAccount = new CreditAccount();
  readonly revocations: Map<number, Revocation> = new Map();
  /** Entries whose predecessor is gone now. */
  readonly reconsider: ConntrackEntry[] = [];

  session: "down" | "resynchronising" | "up" = "down";
  resync: Resync | undefined;
  leaseUntilMs: number = -NEVER_MS;
  leaseRenewAtMs: number = NEVER_MS;
  settledSequence = 0n;
  acknowledgedSequence = 0n;
  /** When the settled events are to be acknowledged; NEVER_MS while there are none. */
  acknowledgeAtMs: number = NEVER_MS;
  #nextFlowId = 1n;
  #nextRequestId = 1;
  #nextBatchId = 1;

  constructor(options: EngineOptions) {
    this.options = options;
    this.judge = options.judge;
    this.policyEpoch = options.policyEpoch;
    this.interfaces = new InterfaceIndex(options.interfaces);
    this.conntrackTimeouts = options.conntrackTimeouts;
  }

  setInterfaces(interfaces: readonly ApplianceInterface[]): void {
    this.interfaces = new InterfaceIndex(interfaces);
  }

  emit(effect: EngineEffect): void {
    this.effects.push(effect);
  }

  judgeEntry(entry: ConntrackEntry): FlowJudgement {
    return this.judge(entry, this.interfaces.placeOf(entry.mark));
  }

  create(entry: ConntrackEntry, judgement: FlowJudgement, state: RecordState): FlowRecord {
    const record: FlowRecord = {
      key: keyOf(entry),
      state,
      epoch: this.options.epoch,
      flowId: 0n,
      entry,
      judgement,
      flow: undefined,
      idleTimeoutMs: this.idleTimeoutMs(entry),
      counters: undefined,
      candidateAtMs: this.nowMs,
      sinceMs: this.nowMs,
      seenAtMs: this.nowMs,
      lastUsedAtMs: this.nowMs,
      expiresAtMs: this.nowMs + 1000 * (entry.timeoutSec ?? this.protocolSec(entry)),
      attempts: 0,
      after: undefined,
      ended: false,
      successor: undefined,
      dueAtMs: NEVER_MS,
      timerSlot: -1,
    };
    assert(!this.byKey.has(record.key), "a tuple has one record");
    this.byKey.set(record.key, record);
    this.#byEntryId.set(entry.id, record);
    this.#countState(state, 1);
    if (state === "queued") this.queue.add(record);
    return record;
  }

  setState(record: FlowRecord, state: RecordState): void {
    if (record.state === state) return;
    this.#countState(record.state, -1);
    this.#countState(state, 1);
    if (record.state === "queued") this.queue.delete(record);
    if (record.state === "withdrawing") this.toWithdraw.delete(record);
    if (state === "queued") this.queue.add(record);
    record.state = state;
    record.sinceMs = this.nowMs;
  }

  /** Gives the record a name at the controller. */
  identify(record: FlowRecord, name?: { readonly epoch: Epoch; readonly flowId: bigint }): void {
    this.unidentify(record);
    record.epoch = name?.epoch ?? this.options.epoch;
    record.flowId = name?.flowId ?? this.#nextFlowId++;
    if (record.epoch === this.options.epoch && record.flowId >= this.#nextFlowId) {
      this.#nextFlowId = record.flowId + 1n;
    }
    const ids = this.#byId.get(record.epoch);
    const id = idKey(record.flowId);
    if (ids === undefined) this.#byId.set(record.epoch, new Map([[id, record]]));
    else ids.set(id, record);
  }

  unidentify(record: FlowRecord): void {
    const ids = this.#byId.get(record.epoch);
    const id = idKey(record.flowId);
    if (ids?.get(id) !== record) return;
    ids.delete(id);
    if (ids.size === 0) this.#byId.delete(record.epoch);
  }

  find(epoch: Epoch, flowId: bigint): FlowRecord | undefined {
    return this.#byId.get(epoch)?.get(idKey(flowId));
  }

  /** Returns the record of an entry's tuple and zone, whichever life of it. */
  findByTuple(entry: ConntrackEntry): FlowRecord | undefined {
    const record = this.#byEntryId.get(entry.id);
    if (record !== undefined && isSameTuple(record.entry, entry)) return record;
    return this.byKey.get(keyOf(entry));
  }

  /** Removes every trace; a successor gets its turn, and whoever waited for the flow's end goes on. */
  forget(record: FlowRecord): void {
    if (this.byKey.get(record.key) !== record) return;
    this.byKey.delete(record.key);
    if (this.#byEntryId.get(record.entry.id) === record) this.#byEntryId.delete(record.entry.id);
    this.unidentify(record);
    this.timers.remove(record);
    this.queue.delete(record);
    this.toWithdraw.delete(record);
    this.#countState(record.state, -1);
    this.settled(record);
    if (record.successor !== undefined) this.reconsider.push(record.successor);
  }

  /** Nothing of the flow is on the fast path any more. */
  settled(record: FlowRecord): void {
    for (const revocation of this.revocations.values()) revocation.remaining.delete(record.key);
  }

  addOrphan(epoch: Epoch, flowId: bigint): void {
    const ids = this.orphans.get(epoch);
    if (ids === undefined) this.orphans.set(epoch, new Set([flowId]));
    else ids.add(flowId);
  }

  send(request: OffloadRequest, what: WithoutSentAt<Outstanding>): void {
    const requestId = this.#nextRequestId++;
    this.outstanding.set(requestId, { ...what, sentAtMs: this.nowMs });
    this.emit({ kind: "send", requestId, request });
  }

  countOutstanding(kind: Outstanding["kind"]): number {
    let count = 0;
    for (const each of this.outstanding.values()) if (each.kind === kind) count += 1;
    return count;
  }

  drawBatchId(): number {
    return this.#nextBatchId++;
  }

  resetSession(why: string): void {
    this.tally.count("session-resets");
    this.emit({ kind: "reset-session", why });
  }

  get leaseHolds(): boolean {
    return this.nowMs < this.leaseUntilMs;
  }

  renewed(sentAtMs: number, leaseMs: number, renewals: number): void {
    this.leaseUntilMs = sentAtMs + leaseMs;
    this.leaseRenewAtMs = sentAtMs + leaseMs / renewals;
  }

  /** What the kernel gives the entry when a packet passes. */
  protocolSec(entry: ConntrackEntry): number {
    const { tcpSec, udpSec } = this.conntrackTimeouts;
    return entry.original.protocol === PROTOCOL_TCP ? tcpSec : udpSec;
  }

  idleTimeoutMs(entry: ConntrackEntry): number {
    return entry.original.protocol === PROTOCOL_TCP
      ? this.options.idleTimeoutTcpMs
      : this.options.idleTimeoutUdpMs;
  }

  countOf(state: RecordState): number {
    return this.stateCounts.get(state) ?? 0;
  }

  /** Returns how many flows the controller may hold. */
  countOutside(): number {
    return OUTSIDE_STATES.reduce((sum, state) => sum + this.countOf(state), 0);
  }

  #countState(state: RecordState, by: number): void {
    this.stateCounts.set(state, this.countOf(state) + by);
  }
}

/** Numbers are found faster than bigints, and hold every id that this program draws. */
function idKey(flowId: bigint): number | bigint {
  return flowId <= SAFE_MAX ? Number(flowId) : flowId;
}
