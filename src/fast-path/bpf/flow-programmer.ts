/**
 * Installs, withdraws, updates and counts flows in the flow maps.
 *
 * Effect: bpf(2) and shared memory; waits for grace periods by the function that it is given.
 *
 * Withdrawal of a batch: state := quiescing, keys deleted → one grace period → counters read → indexes free.
 * After the grace period no program holds an index of the batch, so it may be used again at once.
 * Invariant: a handle leads to its original's index, that one to the reply's; everything else about a flow lies
 * in the maps. No two matches are equal.
 */
import { assert } from "../../lib/base/assert.ts";
import type { BpfObject } from "../../lib/bpf/bpf-object.ts";
import { BpfError } from "../../lib/bpf/libbpf.ts";
import type { FlowCounters } from "../../offload-protocol/messages.ts";
import type {
  FastPathDriver,
  FastPathFlow,
  FlowHandle,
  InstallRefusal,
  WithdrawOutcome,
} from "../driver.ts";
import type { DriverLimits } from "../flow-registry.ts";
import { noSuchFlow } from "../no-such-flow.ts";
import { findPackedFlows, isPackedWithin, type PackedFlow } from "../packed-flows.ts";
import { adoptFlows } from "./adoption.ts";
import { type FlowPlace, readFlows } from "./flow-counters.ts";
import { FlowMaps } from "./flow-maps.ts";
import { GracePeriods } from "./grace-period.ts";
import { IndexPool } from "./index-pool.ts";
import { handleAt, STATE_ACTIVE, STATE_FREE, STATE_PAUSED, STATE_QUIESCING } from "./layout.ts";
import type { MatchTable } from "./match-table.ts";

const NS_PER_MS = 1_000_000;
const NONE = -1;

export interface FlowCountersOfHandle {
  readonly handle: FlowHandle;
  readonly counters: FlowCounters;
}

export class FlowProgrammer {
  readonly #maps: FlowMaps;
  readonly #limits: DriverLimits;
  readonly #grace: GracePeriods;
  /** Handle → index of the original. */
  readonly #originals = new Map<FlowHandle, number>();
  /** Index of the original → index of the reply, and CLOCK_MONOTONIC ms of the installation. */
  readonly #replies: Int32Array;
  readonly #installedMs: Float64Array;
  readonly #indexes: IndexPool;
  readonly #pending = new Set<Promise<unknown>>();
  /** Flows that somebody waits to be withdrawn, by their original's index. */
  readonly #withdrawing = new Set<number>();
  /** Matches of all flows, also of those that are being withdrawn: nobody else may have them yet. */
  readonly #matches: MatchTable;

  constructor(object: BpfObject, limits: DriverLimits, waitForGrace: () => Promise<void>) {
    this.#maps = new FlowMaps(object);
    this.#limits = limits;
    this.#matches = this.#maps.makeMatchTable();
    this.#indexes = new IndexPool(this.#maps.entriesMax);
    this.#replies = new Int32Array(this.#maps.entriesMax).fill(NONE);
    this.#installedMs = new Float64Array(this.#maps.entriesMax);
    this.#grace = new GracePeriods(waitForGrace);
  }

  get count(): number {
    return this.#originals.size;
  }

  /** Takes over the flows that the maps hold. */
  adopt(nowNs: bigint): void {
    const used = new Set<number>();
    for (const { handle, indexes } of adoptFlows(this.#maps)) {
      const [original = NONE, reply = NONE] = indexes;
      this.#originals.set(handle, original);
      this.#replies[original] = reply;
      this.#installedMs[original] = Number(nowNs) / NS_PER_MS;
      for (const index of indexes) used.add(index);
      assert(
        indexes.every((index) => this.#matches.add(index)),
        "matches in the maps are distinct",
      );
    }
    this.#indexes.adopt(used);
  }

  listFlows(): readonly FastPathFlow[] {
    return Array.from(this.#originals.values(), (original): FastPathFlow => {
      const { handle, vmSlot, generation, direction } = this.#maps.readAction(original);
      const reply = this.#replyOf(original);
      return {
        ...{ handle, vmSlot, generation, original: direction },
        ...(reply === NONE ? {} : { reply: this.#maps.readAction(reply).direction }),
      };
    });
  }

  /** Programs packed flows; returns those that were refused. */
  install(packed: Buffer, nowNs: bigint): readonly InstallRefusal[] {
    const refusals: InstallRefusal[] = [];
    const written: { readonly place: number; readonly handle: FlowHandle }[] = [];
    const indexes: number[] = [];
    const nowMs = Number(nowNs) / NS_PER_MS;
    findPackedFlows(packed).forEach((flow, place) => {
      const handle = handleAt(packed, flow.originalAt);
      const reason = this.#reasonAgainst(packed, flow, handle) ?? this.#write(packed, flow, handle);
      if (reason !== undefined) {
        refusals.push({ place, reason });
        return;
      }
      const original = this.#originals.get(handle) ?? NONE;
      this.#installedMs[original] = nowMs;
      written.push({ place, handle });
      indexes.push(...this.#indexesOf(original));
    });
    if (indexes.length === 0) return refusals;
    try {
      this.#maps.insertKeys(indexes);
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      for (const { place, handle } of written) {
        this.#undo(handle);
        refusals.push({ place, reason: "driver-failed" });
      }
    }
    return refusals;
  }

  #reasonAgainst(
    packed: Buffer,
    flow: PackedFlow,
    handle: FlowHandle,
  ): InstallRefusal["reason"] | undefined {
    if (!isPackedWithin(packed, flow, this.#limits)) return "unsupported-by-driver";
    if (this.#originals.has(handle)) return "duplicate";
    if (this.#originals.size >= this.#limits.flowsMax) return "table-full";
    return undefined;
  }

  /** Writes both directions behind free indexes and holds the flow, or says why not. */
  #write(packed: Buffer, flow: PackedFlow, handle: FlowHandle): "duplicate" | undefined {
    const original = this.#writeDirection(packed, flow.originalAt);
    if (original === NONE) return "duplicate";
    const reply = flow.replyAt < 0 ? NONE : this.#writeDirection(packed, flow.replyAt);
    if (flow.replyAt >= 0 && reply === NONE) {
      this.#matches.remove(original);
      this.#forgetUnkeyed(original);
      return "duplicate";
    }
    this.#originals.set(handle, original);
    this.#replies[original] = reply;
    return undefined;
  }

  /** Returns the index, or NONE when the match is held already. */
  #writeDirection(packed: Buffer, at: number): number {
    const index = this.#indexes.take();
    this.#maps.writeAction(index, packed, at, STATE_ACTIVE);
    if (this.#matches.add(index)) return index;
    this.#forgetUnkeyed(index);
    return NONE;
  }

  /** No packet ever met the index. */
  #forgetUnkeyed(index: number): void {
    this.#maps.setState(index, STATE_FREE);
    this.#indexes.put(index);
  }

  /** Nothing of a batch that failed stays behind; its indexes wait for a grace period. */
  #undo(handle: FlowHandle): void {
    const indexes = this.#indexesOf(this.#originals.get(handle) ?? NONE);
    this.#originals.delete(handle);
    for (const index of indexes) {
      this.#maps.destroyKey(index);
      this.#maps.setState(index, STATE_QUIESCING);
    }
    void this.#track(this.#grace.wait()).then(
      () => this.#release(indexes),
      () => {}, // Indexes that may still be met are lost rather than used again.
    );
  }

  async withdraw(handles: readonly FlowHandle[]): Promise<readonly WithdrawOutcome[]> {
    const taken = new Map<FlowHandle, number>();
    for (const handle of handles) {
      const original = this.#originals.get(handle);
      if (original !== undefined && !this.#withdrawing.has(original)) taken.set(handle, original);
    }
    if (taken.size > 0) await this.#track(this.#quiesce([...taken.values()]));
    else await Promise.all(this.#pending); // A handle may be in another caller's batch: done when that is.
    const nowMs = Number(process.hrtime.bigint()) / NS_PER_MS;
    const counters = readFlows(this.#maps, this.#placesOf(taken), nowMs);
    for (const [handle, original] of taken) {
      this.#withdrawing.delete(original);
      this.#originals.delete(handle);
    }
    this.#release([...taken.values()].flatMap((original) => this.#indexesOf(original)));
    return handles.map((handle): WithdrawOutcome => {
      const final = counters.get(handle);
      counters.delete(handle); // A handle that occurs twice is known once.
      return final === undefined
        ? { handle, outcome: "unknown" }
        : { handle, outcome: "withdrawn", counters: final };
    });
  }

  async #quiesce(originals: readonly number[]): Promise<void> {
    const keyed: number[] = [];
    for (const original of originals) {
      this.#withdrawing.add(original);
      for (const index of this.#indexesOf(original)) {
        // An adopted flow may be quiescing already, without a key.
        if (this.#maps.stateOf(index) === STATE_QUIESCING) continue;
        this.#maps.setState(index, STATE_QUIESCING);
        keyed.push(index);
      }
    }
    if (keyed.length > 0) this.#maps.deleteKeys(keyed);
    await this.#grace.wait();
  }

  #release(indexes: readonly number[]): void {
    if (indexes.length === 0) return;
    for (const index of indexes) this.#matches.remove(index);
    this.#maps.release(indexes);
    for (const index of indexes) this.#indexes.put(index);
  }

  async update(
    handle: FlowHandle,
    direction: "original" | "reply",
    change: Parameters<FastPathDriver["update"]>[2],
  ): Promise<void> {
    const original = this.#originals.get(handle);
    if (original === undefined) throw noSuchFlow(handle, direction);
    const index = direction === "original" ? original : this.#replyOf(original);
    const isQuiescing = this.#maps.stateOf(original) === STATE_QUIESCING;
    if (index === NONE || isQuiescing) throw noSuchFlow(handle, direction);
    const before = this.#maps.readAction(index);
    this.#maps.setState(index, STATE_PAUSED);
    await this.#track(this.#grace.wait());
    // It may have been withdrawn meanwhile: its index is no longer ours.
    if (this.#originals.get(handle) !== original) return;
    if (this.#maps.stateOf(index) === STATE_QUIESCING) return;
    this.#maps.replaceAction(index, { ...before, direction: { ...before.direction, ...change } });
    this.#maps.setState(index, STATE_ACTIVE);
  }

  readCounters(
    handles: readonly FlowHandle[] | "all",
    nowNs: bigint,
  ): readonly FlowCountersOfHandle[] {
    let wanted = this.#originals;
    if (handles !== "all") {
      wanted = new Map();
      for (const handle of handles) {
        const original = this.#originals.get(handle);
        if (original !== undefined) wanted.set(handle, original);
      }
    }
    const counters = readFlows(this.#maps, this.#placesOf(wanted), Number(nowNs) / NS_PER_MS);
    return Array.from(counters, ([handle, read]) => ({ handle, counters: read }));
  }

  #placesOf(originals: ReadonlyMap<FlowHandle, number>): FlowPlace[] {
    return Array.from(originals, ([handle, original]) => ({
      handle,
      indexes: this.#indexesOf(original),
      installedMs: this.#installedMs[original] ?? 0,
    }));
  }

  #replyOf(original: number): number {
    return this.#replies[original] ?? NONE;
  }

  #indexesOf(original: number): readonly number[] {
    const reply = this.#replyOf(original);
    return reply === NONE ? [original] : [original, reply];
  }

  /** Resolves when no grace period is awaited any more; then the maps are let go. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#pending);
    this.#maps.close();
  }

  #track<T>(promise: Promise<T>): Promise<T> {
    this.#pending.add(promise);
    const forget = (): void => void this.#pending.delete(promise);
    promise.then(forget, forget);
    return promise;
  }
}
