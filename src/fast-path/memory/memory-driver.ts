/**
 * The driver that only remembers: for tests, for the mock controller, for machines without BPF.
 *
 * Pure but for its promises: the clock is an argument. No packet is forwarded; tests play the packets by
 * `countPacket`, neighbours by `learnNeighbour`.
 */
import { type Clock, MONOTONIC_CLOCK } from "../../lib/base/clock.ts";
import type { MacAddress } from "../../lib/inet/address.ts";
import type { DirectionCounters, FlowCounters } from "../../offload-protocol/messages.ts";
import type {
  DriverCapabilities,
  DriverTotals,
  FastPathDriver,
  FastPathFlow,
  FlowHandle,
  InstallOutcome,
  NeighbourLocation,
  WithdrawOutcome,
} from "../driver.ts";
import {
  DRIVER_LIMITS_DEFAULT,
  type DriverLimits,
  FlowRegistry,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
} from "../flow-registry.ts";
import { NeighbourTable } from "../neighbour-table.ts";
import { noSuchFlow } from "../no-such-flow.ts";
import { checkTopology, EMPTY_TOPOLOGY, requireSlot, type Topology } from "../topology.ts";

export interface MemoryDriverOptions {
  readonly limits?: Partial<DriverLimits>;
  readonly clock?: Clock;
  /** Awaited before each operation takes effect: a fault injector delays or throws here. */
  readonly beforeEach?: (operation: keyof FastPathDriver) => Promise<void> | void;
}

interface Slot {
  readonly generation: number;
  readonly deadlineMs: number;
}

interface Tally {
  fastPackets: bigint;
  fastBytes: bigint;
  passedPackets: bigint;
  passedBytes: bigint;
}

interface MemoryFlow {
  readonly original: Tally;
  readonly reply: Tally;
  lastUsedMs: number;
}

export class MemoryDriver implements FastPathDriver {
  onNeighbour: (location: NeighbourLocation) => void = () => {};
  onLost: () => void = () => {};
  readonly #limits: DriverLimits;
  readonly #clock: Clock;
  readonly #beforeEach: (operation: keyof FastPathDriver) => Promise<void> | void;
  readonly #flows: FlowRegistry<MemoryFlow>;
  readonly #slots = new Map<number, Slot>();
  readonly #slotTotals = new Map<number, Tally>();
  readonly #neighbours: NeighbourTable;
  #topology: Topology = EMPTY_TOPOLOGY;

  constructor(options: MemoryDriverOptions = {}) {
    this.#limits = { ...DRIVER_LIMITS_DEFAULT, ...options.limits };
    this.#clock = options.clock ?? MONOTONIC_CLOCK;
    this.#beforeEach = options.beforeEach ?? (() => {});
    this.#flows = new FlowRegistry(this.#limits);
    this.#neighbours = new NeighbourTable((location) => this.onNeighbour(location));
  }

  async capabilities(): Promise<DriverCapabilities> {
    await this.#beforeEach("capabilities");
    return {
      name: "memory",
      flowsMax: this.#limits.flowsMax,
      families: [4, 6],
      protocols: [PROTOCOL_TCP, PROTOCOL_UDP],
      rewrite: true,
      mtuPunt: true,
      optionsToVm: true,
      exactFinalCounters: true,
    };
  }

  async configure(topology: Topology): Promise<void> {
    await this.#beforeEach("configure");
    checkTopology(topology, this.#limits);
    const kept = new Set(topology.ports.map(({ portId }) => portId));
    const before = this.#topology.ports;
    this.#topology = topology;
    for (const { portId } of before) {
      if (!kept.has(portId)) this.#neighbours.forgetPort(portId);
    }
  }

  async setSlot(vmSlot: number, generation: number, leaseMs: number): Promise<void> {
    await this.#beforeEach("setSlot");
    requireSlot(vmSlot, this.#limits);
    const deadlineMs = leaseMs === 0 ? Number.NEGATIVE_INFINITY : this.#clock.nowMs() + leaseMs;
    this.#slots.set(vmSlot, { generation, deadlineMs });
  }

  async install(flows: readonly FastPathFlow[]): Promise<readonly InstallOutcome[]> {
    await this.#beforeEach("install");
    return flows.map((flow): InstallOutcome => {
      const added = this.#flows.add(flow, () => ({
        original: emptyTally(),
        reply: emptyTally(),
        lastUsedMs: this.#clock.nowMs(),
      }));
      return typeof added === "string"
        ? { handle: flow.handle, outcome: "refused", reason: added }
        : { handle: flow.handle, outcome: "installed" };
    });
  }

  async withdraw(handles: readonly FlowHandle[]): Promise<readonly WithdrawOutcome[]> {
    await this.#beforeEach("withdraw");
    return handles.map((handle): WithdrawOutcome => {
      const record = this.#flows.get(handle);
      if (record === undefined) return { handle, outcome: "unknown" };
      this.#flows.delete(handle);
      return { handle, outcome: "withdrawn", counters: this.#countersOf(record.extra) };
    });
  }

  async update(
    handle: FlowHandle,
    direction: "original" | "reply",
    change: Parameters<FastPathDriver["update"]>[2],
  ): Promise<void> {
    await this.#beforeEach("update");
    const record = this.#flows.get(handle);
    const present = record?.flow[direction];
    if (record === undefined || present === undefined) throw noSuchFlow(handle, direction);
    record.flow = { ...record.flow, [direction]: { ...present, ...change } };
  }

  async readCounters(
    handles: readonly FlowHandle[] | "all",
  ): Promise<readonly { readonly handle: FlowHandle; readonly counters: FlowCounters }[]> {
    await this.#beforeEach("readCounters");
    const wanted =
      handles === "all" ? Array.from(this.#flows.list(), ({ flow }) => flow.handle) : handles;
    return wanted.flatMap((handle) => {
      const record = this.#flows.get(handle);
      return record === undefined ? [] : [{ handle, counters: this.#countersOf(record.extra) }];
    });
  }

  async totals(): Promise<DriverTotals> {
    await this.#beforeEach("totals");
    const slots = new Set([
      ...this.#topology.vnics.map(({ vmSlot }) => vmSlot),
      ...this.#slotTotals.keys(),
    ]);
    return {
      flows: this.#flows.count,
      slots: [...slots]
        .sort((a, b) => a - b)
        .map((vmSlot) => ({ vmSlot, ...(this.#slotTotals.get(vmSlot) ?? emptyTally()) })),
      drops: {},
    };
  }

  async listNeighbours(): Promise<readonly NeighbourLocation[]> {
    await this.#beforeEach("listNeighbours");
    return this.#neighbours.list();
  }

  async listFlows(): Promise<readonly FastPathFlow[]> {
    return Array.from(this.#flows.list(), ({ flow }) => flow);
  }

  async close(): Promise<void> {}

  /** A test plays a packet of a flow; returns where it would have gone, undefined for an unknown flow. */
  countPacket(
    handle: FlowHandle,
    direction: "original" | "reply",
    bytes: number,
  ): "fast" | "passed" | undefined {
    const record = this.#flows.get(handle);
    if (record === undefined) return undefined;
    const slot = this.#slots.get(record.flow.vmSlot);
    const isFast =
      slot !== undefined &&
      slot.generation === record.flow.generation &&
      this.#clock.nowMs() < slot.deadlineMs &&
      bytes <= (record.flow[direction]?.mtuBytes ?? 0);
    const total = this.#slotTotals.get(record.flow.vmSlot) ?? emptyTally();
    this.#slotTotals.set(record.flow.vmSlot, total);
    for (const tally of [record.extra[direction], total]) addPacket(tally, isFast, bytes);
    record.extra.lastUsedMs = this.#clock.nowMs();
    return isFast ? "fast" : "passed";
  }

  /** A test says that an address was seen at a port; unknown ports are ignored. */
  learnNeighbour(portId: number, mac: MacAddress): void {
    const port = this.#topology.ports.find((candidate) => candidate.portId === portId);
    if (port !== undefined) this.#neighbours.learn(port.segmentId, mac, portId);
  }

  #countersOf(flow: MemoryFlow): FlowCounters {
    return {
      original: snapshot(flow.original),
      reply: snapshot(flow.reply),
      lastUsedMsAgo: BigInt(Math.max(0, Math.floor(this.#clock.nowMs() - flow.lastUsedMs))),
    };
  }
}

function emptyTally(): Tally {
  return { fastPackets: 0n, fastBytes: 0n, passedPackets: 0n, passedBytes: 0n };
}

function addPacket(tally: Tally, isFast: boolean, bytes: number): void {
  tally[isFast ? "fastPackets" : "passedPackets"] += 1n;
  tally[isFast ? "fastBytes" : "passedBytes"] += BigInt(bytes);
}

function snapshot(tally: Tally): DirectionCounters {
  return { ...tally };
}
