/**
 * The driver that only remembers: for tests, for the mock controller, for machines without BPF.
 *
 * Pure but for its promises: the clock is an argument. No packet is forwarded; tests play frames by
 * `playFrame`, neighbours by `learnNeighbour`.
 */
import { type Clock, MONOTONIC_CLOCK } from "../../lib/base/clock.ts";
import type { MacAddress } from "../../lib/inet/address.ts";
import type { DirectionCounters, FlowCounters } from "../../offload-protocol/messages.ts";
import {
  type DriverCapabilities,
  type DriverTotals,
  type FastPathDirection,
  type FastPathDriver,
  type FastPathFlow,
  type FlowHandle,
  type InstallOutcome,
  type NeighbourLocation,
  SLOT_FREE,
  type WithdrawOutcome,
} from "../driver.ts";
import {
  DRIVER_LIMITS_DEFAULT,
  type DriverLimits,
  type FlowRecord,
  FlowRegistry,
  FULL_CAPABILITIES,
} from "../flow-registry.ts";
import { NeighbourTable } from "../neighbour-table.ts";
import { noSuchFlow } from "../no-such-flow.ts";
import { checkTopology, EMPTY_TOPOLOGY, requireSlot, type Topology } from "../topology.ts";
import { type FrameFacts, frameMatchOf, readFrame, rewriteFrame } from "./frame.ts";

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

/** A frame as a port sees it; `gso…` describe one that stands for several packets. */
export interface PlayedFrame {
  readonly bytes: Buffer;
  readonly gsoBytes?: number;
  readonly gsoSegments?: number;
}

export type PlayedVerdict =
  | { readonly kind: "not-ours" }
  | { readonly kind: "passed" }
  | { readonly kind: "forwarded"; readonly bytes: Buffer; readonly egressPortId: number };

interface Wire {
  readonly packets: number;
  readonly bytes: number;
  readonly largestBytes: number;
}

interface FoundDirection {
  readonly record: FlowRecord<MemoryFlow>;
  readonly name: "original" | "reply";
  readonly direction: FastPathDirection;
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
    return { ...FULL_CAPABILITIES, name: "memory", flowsMax: this.#limits.flowsMax };
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
    if (generation === SLOT_FREE) this.#slotTotals.delete(vmSlot);
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

  /** A test plays a frame that enters at a port; nothing but counters changes. */
  playFrame(portId: number, frame: PlayedFrame): PlayedVerdict {
    const port = this.#topology.ports.find((candidate) => candidate.portId === portId);
    if (port === undefined || port.isVmPort) return { kind: "not-ours" };
    const facts = readFrame(frame.bytes, (frame.gsoBytes ?? 0) > 0);
    const vnic = this.#topology.vnics.find(
      ({ segmentId, mac }) => segmentId === port.segmentId && mac === facts?.destinationMac,
    );
    if (facts === undefined || vnic === undefined) return { kind: "not-ours" };
    const wire = measureWire(facts, frame);
    const found = this.#find(port.segmentId, facts);
    const total = this.#slotTotals.get(vnic.vmSlot) ?? emptyTally();
    this.#slotTotals.set(vnic.vmSlot, total);
    const isFast = found !== undefined && this.#mayForward(found, facts, wire.largestBytes);
    addPackets(total, isFast, wire);
    if (found === undefined) return { kind: "passed" };
    addPackets(found.record.extra[found.name], isFast, wire);
    found.record.extra.lastUsedMs = this.#clock.nowMs();
    if (!isFast) return { kind: "passed" };
    const { direction } = found;
    const bytes = rewriteFrame(frame.bytes, direction);
    return { kind: "forwarded", bytes, egressPortId: direction.egressPortId };
  }

  /** A test says that an address was seen at a port; unknown ports are ignored. */
  learnNeighbour(portId: number, mac: MacAddress): void {
    const port = this.#topology.ports.find((candidate) => candidate.portId === portId);
    if (port !== undefined) this.#neighbours.learn(port.segmentId, mac, portId);
  }

  #find(segmentId: number, facts: FrameFacts): FoundDirection | undefined {
    for (const record of this.#flows.list()) {
      for (const name of ["original", "reply"] as const) {
        const direction = record.flow[name];
        if (direction === undefined || direction.segmentId !== segmentId) continue;
        if (direction.destinationMac !== facts.destinationMac) continue;
        if (frameMatchOf(direction) === facts.match) return { record, name, direction };
      }
    }
    return undefined;
  }

  #mayForward(found: FoundDirection, facts: FrameFacts, largestBytes: number): boolean {
    const slot = this.#slots.get(found.record.flow.vmSlot);
    const { mtuBytes, egressPortId } = found.direction;
    return (
      facts.mayGoFast &&
      slot !== undefined &&
      slot.generation === found.record.flow.generation &&
      this.#clock.nowMs() < slot.deadlineMs &&
      largestBytes <= mtuBytes &&
      this.#topology.ports.some(({ portId }) => portId === egressPortId)
    );
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

function addPackets(tally: Tally, isFast: boolean, wire: Wire): void {
  tally[isFast ? "fastPackets" : "passedPackets"] += BigInt(wire.packets);
  tally[isFast ? "fastBytes" : "passedBytes"] += BigInt(wire.bytes);
}

/** Takes a segmented frame apart in thought. */
function measureWire(facts: FrameFacts, { gsoBytes = 0, gsoSegments = 0 }: PlayedFrame): Wire {
  const { l3Bytes, headerBytes } = facts;
  if (gsoBytes === 0) return { packets: 1, bytes: l3Bytes, largestBytes: l3Bytes };
  const packets = gsoSegments || Math.max(1, Math.ceil((l3Bytes - headerBytes) / gsoBytes));
  return {
    packets,
    bytes: l3Bytes + (packets - 1) * headerBytes,
    largestBytes: Math.min(l3Bytes, headerBytes + gsoBytes),
  };
}

function snapshot(tally: Tally): DirectionCounters {
  return { ...tally };
}
