/**
 * Installs, withdraws, updates and counts flows in the flow maps.
 *
 * Effect: bpf(2); waits for grace periods by the function that it is given.
 *
 * Withdrawal of a batch: state := quiescing, keys deleted → one grace period → counters read → indexes free.
 * After the grace period no program holds an index of the batch, so it may be used again at once.
 */
import { assert } from "../../lib/base/assert.ts";
import type { BpfObject } from "../../lib/bpf/bpf-object.ts";
import { BpfError } from "../../lib/bpf/libbpf.ts";
import type { FlowCounters } from "../../offload-protocol/messages.ts";
import type {
  FastPathDriver,
  FastPathFlow,
  FlowHandle,
  InstallOutcome,
  WithdrawOutcome,
} from "../driver.ts";
import {
  type DriverLimits,
  directionsOf,
  type FlowRecord,
  FlowRegistry,
} from "../flow-registry.ts";
import { noSuchFlow } from "../no-such-flow.ts";
import { adoptFlows } from "./adoption.ts";
import { FlowMaps, type IndexCounters, type IndexedAction } from "./flow-maps.ts";
import { GracePeriods } from "./grace-period.ts";
import { STATE_ACTIVE, STATE_FREE, STATE_PAUSED, STATE_QUIESCING } from "./layout.ts";

const NS_PER_MS = 1_000_000n;
/** From this many flows on, reading a range of the counter array is cheaper than reading single elements. */
const SWEEP_FLOWS_MIN = 256;

interface Programmed {
  /** Original, then reply. */
  readonly indexes: readonly number[];
}

type ProgrammedFlow = FlowRecord<Programmed>;

export interface FlowCountersOfHandle {
  readonly handle: FlowHandle;
  readonly counters: FlowCounters;
}

export class FlowProgrammer {
  readonly #maps: FlowMaps;
  readonly #flows: FlowRegistry<Programmed>;
  readonly #grace: GracePeriods;
  readonly #free: number[] = [];
  readonly #pending = new Set<Promise<unknown>>();
  /** Indexes at or above it were never used. */
  #unusedFrom = 0;

  constructor(object: BpfObject, limits: DriverLimits, waitForGrace: () => Promise<void>) {
    this.#maps = new FlowMaps(object);
    this.#flows = new FlowRegistry(limits);
    this.#grace = new GracePeriods(waitForGrace);
  }

  get count(): number {
    return this.#flows.count;
  }

  /** Takes over the flows that the maps hold. */
  adopt(): void {
    const used = new Set<number>();
    for (const { flow, indexes, isQuiescing } of adoptFlows(this.#maps)) {
      const record = this.#flows.add(flow, () => ({ indexes }));
      assert(typeof record !== "string", "flows in the maps are distinct and within bounds");
      if (isQuiescing) record.state = "quiescing";
      for (const index of indexes) used.add(index);
    }
    this.#unusedFrom = used.size === 0 ? 0 : Math.max(...used) + 1;
    for (let index = 0; index < this.#unusedFrom; index++) {
      if (!used.has(index)) this.#free.push(index);
    }
  }

  listFlows(): readonly FastPathFlow[] {
    return Array.from(this.#flows.list(), ({ flow }) => flow);
  }

  install(flows: readonly FastPathFlow[], nowNs: bigint): readonly InstallOutcome[] {
    const entries: IndexedAction[] = [];
    const added: ProgrammedFlow[] = [];
    const outcomes = flows.map((flow): InstallOutcome => {
      const { handle } = flow;
      const record = this.#flows.add(flow, () => ({
        indexes: directionsOf(flow).map(() => this.#takeIndex()),
      }));
      if (typeof record === "string") return { handle, outcome: "refused", reason: record };
      added.push(record);
      entries.push(...actionsOf(record));
      return { handle, outcome: "installed" };
    });
    if (entries.length === 0) return outcomes;
    try {
      this.#maps.insert(entries, nowNs);
      return outcomes;
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      this.#undo(added);
      return outcomes.map((outcome) =>
        outcome.outcome === "installed"
          ? { handle: outcome.handle, outcome: "refused", reason: "driver-failed" }
          : outcome,
      );
    }
  }

  async withdraw(handles: readonly FlowHandle[]): Promise<readonly WithdrawOutcome[]> {
    const taken = new Map<FlowHandle, ProgrammedFlow>();
    for (const handle of handles) {
      const record = this.#flows.get(handle);
      if (record !== undefined && !this.#isBeingWithdrawn(record)) taken.set(handle, record);
    }
    if (taken.size > 0) await this.#track(this.#quiesce([...taken.values()]));
    else await Promise.all(this.#pending); // A handle may be in another caller's batch: done when that is.
    const nowNs = process.hrtime.bigint();
    const counters = new Map<FlowHandle, FlowCounters>();
    for (const [handle, record] of taken) {
      const [original, reply] = record.extra.indexes.map((index) => this.#maps.readIndex(index));
      counters.set(handle, countersOf(original, reply, nowNs));
    }
    this.#release([...taken.values()]);
    return handles.map((handle): WithdrawOutcome => {
      const final = counters.get(handle);
      counters.delete(handle); // A handle that occurs twice is known once.
      return final === undefined
        ? { handle, outcome: "unknown" }
        : { handle, outcome: "withdrawn", counters: final };
    });
  }

  async update(
    handle: FlowHandle,
    direction: "original" | "reply",
    change: Parameters<FastPathDriver["update"]>[2],
  ): Promise<void> {
    const record = this.#flows.get(handle);
    const present = record?.flow[direction];
    const index = record?.extra.indexes[direction === "original" ? 0 : 1];
    if (record?.state !== "active" || present === undefined || index === undefined) {
      throw noSuchFlow(handle, direction);
    }
    record.flow = { ...record.flow, [direction]: { ...present, ...change } };
    this.#maps.setStates([index], STATE_PAUSED);
    await this.#track(this.#grace.wait());
    // It may have been withdrawn meanwhile: its index is no longer ours.
    if (record.state !== "active" || this.#flows.get(handle) !== record) return;
    const action = actionsOf(record).find((candidate) => candidate.index === index);
    assert(action !== undefined, "a flow has an action at each of its indexes");
    this.#maps.replaceAction(action);
    this.#maps.setStates([index], STATE_ACTIVE);
  }

  readCounters(
    handles: readonly FlowHandle[] | "all",
    nowNs: bigint,
  ): readonly FlowCountersOfHandle[] {
    const wanted =
      handles === "all" ? Array.from(this.#flows.list(), ({ flow }) => flow.handle) : handles;
    const records = wanted.flatMap((handle) => this.#flows.get(handle) ?? []);
    const read = this.#readerOf(records);
    return records.map(({ flow, extra }) => {
      const [original, reply] = extra.indexes;
      return {
        handle: flow.handle,
        counters: countersOf(
          original === undefined ? undefined : read(original),
          reply === undefined ? undefined : read(reply),
          nowNs,
        ),
      };
    });
  }

  /** Reads many indexes that lie close together by one walk, others one by one. */
  #readerOf(records: readonly ProgrammedFlow[]): (index: number) => IndexCounters {
    let first = Number.POSITIVE_INFINITY;
    let last = -1;
    for (const { extra } of records) {
      for (const index of extra.indexes) {
        if (index < first) first = index;
        if (index > last) last = index;
      }
    }
    const isWorthIt = records.length >= SWEEP_FLOWS_MIN;
    return isWorthIt ? this.#maps.readRange(first, last) : (index) => this.#maps.readIndex(index);
  }

  /** Resolves when no grace period is awaited any more. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#pending);
  }

  /** An adopted flow may be quiescing without anybody waiting for it. */
  #isBeingWithdrawn(record: ProgrammedFlow): boolean {
    return record.state === "quiescing" && this.#withdrawing.has(record);
  }

  readonly #withdrawing = new Set<ProgrammedFlow>();

  async #quiesce(records: readonly ProgrammedFlow[]): Promise<void> {
    const keyed = records.filter(({ state }) => state === "active");
    for (const record of records) {
      record.state = "quiescing";
      this.#withdrawing.add(record);
    }
    const indexes = keyed.flatMap(({ extra }) => extra.indexes);
    if (indexes.length > 0) {
      this.#maps.setStates(indexes, STATE_QUIESCING);
      this.#maps.deleteKeys(keyed.flatMap(({ flow }) => directionsOf(flow)));
    }
    await this.#grace.wait();
  }

  #release(records: readonly ProgrammedFlow[]): void {
    const indexes = records.flatMap(({ extra }) => extra.indexes);
    if (indexes.length === 0) return;
    this.#maps.setStates(indexes, STATE_FREE);
    for (const record of records) {
      this.#withdrawing.delete(record);
      this.#flows.delete(record.flow.handle);
      this.#free.push(...record.extra.indexes);
    }
  }

  /** Nothing of a batch that failed stays behind; its indexes wait for a grace period. */
  #undo(records: readonly ProgrammedFlow[]): void {
    for (const { flow, extra } of records) {
      for (const direction of directionsOf(flow)) this.#maps.destroyKey(direction);
      this.#flows.delete(flow.handle);
      void this.#track(this.#grace.wait()).then(
        () => this.#free.push(...extra.indexes),
        () => {}, // Indexes that may still be met are lost rather than used again.
      );
    }
  }

  #takeIndex(): number {
    const index = this.#free.pop() ?? this.#unusedFrom++;
    assert(index < this.#maps.entriesMax, "there is an index for each direction of flowsMax flows");
    return index;
  }

  #track<T>(promise: Promise<T>): Promise<T> {
    this.#pending.add(promise);
    const forget = (): void => void this.#pending.delete(promise);
    promise.then(forget, forget);
    return promise;
  }
}

function actionsOf({ flow, extra }: ProgrammedFlow): readonly IndexedAction[] {
  const { handle, vmSlot, generation } = flow;
  return directionsOf(flow).map((direction, position) => {
    const index = extra.indexes[position];
    assert(index !== undefined, "a flow has an index for each direction");
    return { index, entry: { handle, vmSlot, generation, isReply: position === 1, direction } };
  });
}

function countersOf(
  original: IndexCounters | undefined,
  reply: IndexCounters | undefined,
  nowNs: bigint,
): FlowCounters {
  const none = { fastPackets: 0n, fastBytes: 0n, passedPackets: 0n, passedBytes: 0n };
  const lastUsedNs = [original, reply].reduce((latest, read) => {
    return read !== undefined && read.lastUsedNs > latest ? read.lastUsedNs : latest;
  }, 0n);
  const agoNs = nowNs > lastUsedNs ? nowNs - lastUsedNs : 0n;
  return {
    original: original?.counters ?? none,
    reply: reply?.counters ?? none,
    lastUsedMsAgo: agoNs / NS_PER_MS,
  };
}
