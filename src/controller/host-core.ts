/**
 * The flows of one host: from grant to end, between the virtual machines and the fast-path driver.
 *
 * Pure: methods are events, time is an argument, what is to be done comes out of `takeEffects()`.
 * Limit: INSTALL_QUEUE_MAX flows wait for the driver.
 */
import type {
  DriverCapabilities,
  FlowHandle,
  InstallOutcome,
  NeighbourLocation,
  WithdrawOutcome,
} from "../fast-path/driver.ts";
import { assert } from "../lib/base/assert.ts";
import type {
  CloseCause,
  FlowCounters,
  FlowEvent,
  OffloadFlow,
} from "../offload-protocol/messages.ts";
import type { CoreEffect, EncodedFlow } from "./core-effect.ts";
import { flowKey, NO_COUNTERS } from "./flow-key.ts";
import type { FlowRecord } from "./flow-record.ts";
import { FlowTable } from "./flow-table.ts";
import type { JournalFlow } from "./journal-record.ts";
import { type FlowLifeEffect, type FlowLifeEvent, stepLife } from "./lifecycle.ts";
import { type LocationKey, LocationTable, locationKey } from "./location.ts";
import type { VmState } from "./vm-state.ts";

/** Flows granted and not yet given to the driver; more are refused. */
export const INSTALL_QUEUE_MAX = 65_536;
/** How long after a lease's end the flows are removed; the fast path stops forwarding at its end. */
export const LEASE_GRACE_MS = 2_000;

/** Called once, when a flow has ended and nothing of it can match a packet. */
export type EndListener = (record: FlowRecord, counters: FlowCounters) => void;

/** The core of one host. */
export class HostCore {
  readonly table: FlowTable = new FlowTable();
  readonly locations: LocationTable = new LocationTable();
  readonly vms: Map<string, VmState> = new Map();
  capabilities: DriverCapabilities;
  leaseMs: number;
  #installs: FlowRecord[] = [];
  #withdraws: FlowRecord[] = [];
  /** Flows for which the driver owes an answer. */
  readonly #inFlight = new Set<FlowRecord>();
  #effects: CoreEffect[] = [];
  /** Flows whose counters changed since they were last told. */
  #moved: FlowRecord[] = [];
  readonly #endListeners = new Map<FlowRecord, EndListener[]>();

  constructor(capabilities: DriverCapabilities, leaseMs: number) {
    this.capabilities = capabilities;
    this.leaseMs = leaseMs;
  }

  /** Returns what is to be done, in order, and forgets it. */
  takeEffects(): readonly CoreEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  emit(effect: CoreEffect): void {
    this.#effects.push(effect);
  }

  /** Flows waiting for the driver. */
  get installsWaiting(): number {
    return this.#installs.length;
  }

  get withdrawsWaiting(): number {
    return this.#withdraws.length;
  }

  /** Takes a flow that was just granted. */
  admit(record: FlowRecord, state: VmState, flow: OffloadFlow, encoded?: EncodedFlow): void {
    assert(this.#installs.length < INSTALL_QUEUE_MAX, "room in the queue was checked");
    this.table.add(record);
    state.counts[record.phase.kind]++;
    this.#installs.push(record);
    this.emit({ kind: "granted", record, flow, encoded });
  }

  /** Takes a flow that the journal knows and the driver has, or may have. */
  adopt(record: FlowRecord, state: VmState): void {
    this.table.reserveHandle(record.fast.handle);
    this.table.add(record);
    state.counts[record.phase.kind]++;
  }

  /** Tells the VM of the end of a journalled flow that cannot be taken back. */
  tellLost(state: VmState, lost: JournalFlow): void {
    const { epoch, flow, handle, vmKey } = lost;
    const what = { kind: "closed", cause: "not-entitled-any-more", counters: NO_COUNTERS } as const;
    const event = state.events.append({ epoch, flowId: flow.flowId, what });
    const { flowId, idleTimeoutMs } = flow;
    state.ended.set(flowKey(epoch, flowId), { effectiveIdleTimeoutMs: idleTimeoutMs });
    this.emit({ kind: "event", vmKey, handle, idleTimeoutMs, event, record: undefined });
  }

  /** Returns flows to install next; the driver owes an answer for them from now on. */
  takeInstalls(flowsMax: number, nowMs: number): readonly FlowRecord[] {
    const batch: FlowRecord[] = [];
    let index = 0;
    while (index < this.#installs.length && batch.length < flowsMax) {
      const record = this.#installs[index++];
      if (record?.phase.kind !== "queued") continue; // Withdrawn in the meantime.
      record.times.sentMs = nowMs;
      this.step(record, { kind: "install-sent" }, nowMs);
      this.#inFlight.add(record);
      batch.push(record);
    }
    this.#installs = index < this.#installs.length ? this.#installs.slice(index) : [];
    return batch;
  }

  /** Returns flows to withdraw next. */
  takeWithdraws(flowsMax: number, nowMs: number): readonly FlowRecord[] {
    const batch = this.#withdraws.slice(0, flowsMax);
    this.#withdraws = this.#withdraws.slice(batch.length);
    for (const record of batch) {
      this.step(record, { kind: "withdraw-sent" }, nowMs);
      this.#inFlight.add(record);
    }
    return batch;
  }

  takeInstallOutcomes(outcomes: readonly InstallOutcome[], nowMs: number): void {
    for (const outcome of outcomes) {
      const record = this.table.get(outcome.handle);
      if (record === undefined) continue;
      this.#inFlight.delete(record);
      if (outcome.outcome === "installed") this.step(record, { kind: "installed" }, nowMs);
      else this.step(record, { kind: "install-refused", reason: outcome.reason }, nowMs);
    }
  }

  takeWithdrawOutcomes(outcomes: readonly WithdrawOutcome[], nowMs: number): void {
    for (const outcome of outcomes) {
      const record = this.table.get(outcome.handle);
      if (record === undefined) continue;
      this.#inFlight.delete(record);
      const counters = outcome.outcome === "withdrawn" ? outcome.counters : undefined;
      this.step(record, { kind: "withdrawn", counters }, nowMs);
    }
  }

  /** The driver is back after it was lost; `held` are the handles in its table. Returns those of nobody. */
  reconcile(held: ReadonlySet<FlowHandle>, nowMs: number): readonly FlowHandle[] {
    this.#withdraws = [];
    this.#inFlight.clear();
    for (const record of [...this.table.list()]) {
      this.step(record, { kind: "reconciled", isHeld: held.has(record.fast.handle) }, nowMs);
    }
    return [...held].filter((handle) => this.table.get(handle) === undefined);
  }

  /** Takes counters that were read at `nowMs`; withdraws what has been idle for too long. */
  takeCounters(
    items: readonly { readonly handle: FlowHandle; readonly counters: FlowCounters }[],
    nowMs: number,
  ): void {
    for (const { handle, counters } of items) {
      const record = this.table.get(handle);
      if (record === undefined) continue;
      if (hasMoved(record.counters, counters)) this.#moved.push(record);
      record.counters = counters;
      record.countersAtMs = nowMs;
      if (record.phase.kind !== "active") continue;
      const sinceActive = nowMs - (record.times.activeMs ?? nowMs);
      const idleMs = Math.min(sinceActive, Number(counters.lastUsedMsAgo));
      if (idleMs >= record.idleTimeoutMs) this.withdraw(record, "idle", nowMs);
    }
  }

  /** Returns the flows whose counters changed since the last call. */
  takeMoved(): readonly FlowRecord[] {
    const moved = this.#moved;
    this.#moved = [];
    return moved;
  }

  /** A neighbour was seen somewhere; flows through one that moved are withdrawn. */
  takeNeighbour(location: NeighbourLocation, nowMs: number): void {
    if (!this.locations.learn(location)) return;
    this.withdrawThrough([locationKey(location.segmentId, location.mac)], nowMs);
  }

  /** Withdraws every flow whose next hop is at one of these places. */
  withdrawThrough(keys: readonly LocationKey[], nowMs: number): void {
    for (const record of keys.flatMap((key) => this.table.throughNextHop(key))) {
      this.withdraw(record, "neighbour-moved", nowMs);
    }
  }

  withdraw(record: FlowRecord, cause: CloseCause, nowMs: number): void {
    this.step(record, { kind: "withdraw", cause }, nowMs);
  }

  withdrawAll(vmKey: string, cause: CloseCause, nowMs: number): number {
    const records = [...this.table.ofVm(vmKey).values()];
    for (const record of records) this.withdraw(record, cause, nowMs);
    return records.length;
  }

  /** Calls `listener` when the flow has ended. */
  onEnd(record: FlowRecord, listener: EndListener): void {
    const listeners = this.#endListeners.get(record) ?? [];
    listeners.push(listener);
    this.#endListeners.set(record, listeners);
  }

  /** Looks at deadlines and leases. */
  tick(nowMs: number): void {
    for (const record of this.#installs) {
      if (record.phase.kind === "queued" && record.phase.deadlineMs > nowMs) break;
      this.step(record, { kind: "tick" }, nowMs);
    }
    for (const record of [...this.#inFlight]) this.step(record, { kind: "tick" }, nowMs);
    for (const [vmKey, state] of this.vms) {
      if (nowMs < state.leaseEndsMs + LEASE_GRACE_MS || state.flowCount === 0) continue;
      if (state.counts.quiescing === state.flowCount) continue;
      const flows = this.withdrawAll(vmKey, "lease-expired", nowMs);
      this.emit({ kind: "lease-expired", vmKey, flows });
    }
  }

  /** Moves one flow on and carries out what that means. */
  step(record: FlowRecord, event: FlowLifeEvent, nowMs: number): void {
    const before = record.phase.kind;
    const { phase, effects } = stepLife(record.phase, event, nowMs);
    record.phase = phase;
    const state = this.vms.get(record.vmKey);
    assert(state !== undefined, "a flow's virtual machine is known while the flow lives");
    if (before !== phase.kind) {
      state.counts[before]--;
      state.counts[phase.kind]++;
    }
    for (const effect of effects) this.#carryOut(record, state, effect, nowMs);
  }

  #carryOut(record: FlowRecord, state: VmState, effect: FlowLifeEffect, nowMs: number): void {
    switch (effect.kind) {
      case "queue-withdraw":
        record.times.quiescingMs = nowMs;
        this.#withdraws.push(record);
        return;
      case "activated":
        record.times.activeMs = nowMs;
        record.countersAtMs = nowMs;
        this.#tell(record, state, { kind: "activated", directions: record.directions });
        return;
      case "refused-late":
        state.countRefusal(effect.reason);
        this.#end(record, state, NO_COUNTERS);
        this.#tell(record, state, { kind: "refused-late", reason: effect.reason });
        return;
      case "closed": {
        const counters = effect.counters ?? record.counters;
        this.#end(record, state, counters);
        this.#tell(record, state, { kind: "closed", cause: effect.cause, counters });
        return;
      }
      case "driver-stuck":
        this.emit({ kind: "driver-stuck" });
    }
  }

  #tell(record: FlowRecord, state: VmState, what: FlowEvent["what"]): void {
    const { epoch, flowId, idleTimeoutMs, vmKey, fast } = record;
    const event = state.events.append({ epoch, flowId, what });
    this.emit({ kind: "event", vmKey, handle: fast.handle, idleTimeoutMs, event, record });
  }

  #end(record: FlowRecord, state: VmState, counters: FlowCounters): void {
    this.#inFlight.delete(record);
    this.table.delete(record);
    state.counts.closed = 0; // Not held any more.
    state.ended.set(record.key, {
      effectiveIdleTimeoutMs: record.idleTimeoutMs,
    });
    const listeners = this.#endListeners.get(record) ?? [];
    this.#endListeners.delete(record);
    for (const listener of listeners) listener(record, counters);
  }
}

function hasMoved(before: FlowCounters, after: FlowCounters): boolean {
  return (
    before.original.fastPackets !== after.original.fastPackets ||
    before.original.passedPackets !== after.original.passedPackets ||
    before.reply.fastPackets !== after.reply.fastPackets ||
    before.reply.passedPackets !== after.reply.passedPackets
  );
}
