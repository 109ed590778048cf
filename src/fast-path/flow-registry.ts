/**
 * What a driver can hold, and which flows the memory driver holds: by handle and by match, within its bounds.
 *
 * Pure. The BPF driver finds duplicates by its own map.
 * Invariant: no two directions that are held have the same match.
 */
import { assert } from "../lib/base/assert.ts";
import { familyOf } from "../lib/inet/address.ts";
import {
  type DriverCapabilities,
  type FastPathDirection,
  type FastPathFlow,
  type FlowHandle,
  HOST_PORTS_MAX,
  type InstallOutcome,
  SEGMENTS_MAX,
  VM_SLOTS_MAX,
} from "./driver.ts";

export const FLOWS_MAX_DEFAULT = 65_536;
/** vNICs of all VMs together. */
export const VNICS_MAX = 8192;
/** No IPv4 link may be smaller (RFC 791 §3.2). */
export const MTU_BYTES_MIN = 68;
export const MTU_BYTES_MAX = 65_535;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;

/** What both drivers can do, but for their names and sizes. */
export const FULL_CAPABILITIES: Omit<DriverCapabilities, "name" | "flowsMax"> = {
  families: [4, 6],
  protocols: [PROTOCOL_TCP, PROTOCOL_UDP],
  rewrite: true,
  mtuPunt: true,
  optionsToVm: true,
  exactFinalCounters: true,
};

/** Bounds of one driver; smaller ones than the constants serve tests. */
export interface DriverLimits {
  readonly flowsMax: number;
  readonly portsMax: number;
  readonly segmentsMax: number;
  /** Slots are numbered from 1 to this minus 1. */
  readonly slotsMax: number;
  readonly vnicsMax: number;
}

export const DRIVER_LIMITS_DEFAULT: DriverLimits = {
  flowsMax: FLOWS_MAX_DEFAULT,
  portsMax: HOST_PORTS_MAX,
  segmentsMax: SEGMENTS_MAX,
  slotsMax: VM_SLOTS_MAX,
  vnicsMax: VNICS_MAX,
};

/** Bounds of what a record of a flow can carry at all; a driver's own are narrower. */
export const RECORD_LIMITS: DriverLimits = {
  flowsMax: Number.MAX_SAFE_INTEGER,
  portsMax: 0xffff_ffff,
  segmentsMax: 0xffff_ffff,
  slotsMax: 0xffff_ffff,
  vnicsMax: 0xffff_ffff,
};

export type RefusalReason = Extract<InstallOutcome, { outcome: "refused" }>["reason"];

/** A flow that is held; `extra` is the driver's own. */
export interface FlowRecord<T> {
  flow: FastPathFlow;
  /** Quiescing flows are held (no duplicate may come) but are no longer programmed. */
  state: "active" | "quiescing";
  readonly extra: T;
}

/** Returns the match as text, equal exactly for equal matches. */
export function matchKeyOf(direction: FastPathDirection): string {
  const { segmentId, destinationMac, protocol, sourceAddress, destinationAddress } = direction;
  const ports = `${direction.sourcePort}>${direction.destinationPort}`;
  return `${segmentId} ${destinationMac} ${protocol} ${sourceAddress}>${destinationAddress} ${ports}`;
}

/** Returns the flow's directions, original first. */
export function directionsOf(flow: FastPathFlow): readonly FastPathDirection[] {
  return flow.reply === undefined ? [flow.original] : [flow.original, flow.reply];
}

/** The flows of one driver. */
export class FlowRegistry<T> {
  readonly #limits: DriverLimits;
  readonly #byHandle = new Map<FlowHandle, FlowRecord<T>>();
  readonly #matches = new Set<string>();

  constructor(limits: DriverLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#byHandle.size;
  }

  get(handle: FlowHandle): FlowRecord<T> | undefined {
    return this.#byHandle.get(handle);
  }

  list(): IterableIterator<FlowRecord<T>> {
    return this.#byHandle.values();
  }

  /** Takes the flow, or says why not. `makeExtra` is called only when nothing speaks against it. */
  add(flow: FastPathFlow, makeExtra: () => T): FlowRecord<T> | RefusalReason {
    if (!isSupported(flow, this.#limits)) return "unsupported-by-driver";
    if (this.#byHandle.has(flow.handle)) return "duplicate";
    const matches = directionsOf(flow).map(matchKeyOf);
    if (matches.some((match) => this.#matches.has(match))) return "duplicate";
    if (matches.length === 2 && matches[0] === matches[1]) return "duplicate";
    if (this.#byHandle.size >= this.#limits.flowsMax) return "table-full";
    for (const match of matches) this.#matches.add(match);
    const record: FlowRecord<T> = { flow, state: "active", extra: makeExtra() };
    this.#byHandle.set(flow.handle, record);
    return record;
  }

  /** Forgets a flow; handle and matches are free again. */
  delete(handle: FlowHandle): void {
    const record = this.#byHandle.get(handle);
    assert(record !== undefined, "a flow that is deleted is held");
    for (const direction of directionsOf(record.flow)) this.#matches.delete(matchKeyOf(direction));
    this.#byHandle.delete(handle);
  }
}

/** Returns whether a driver of these bounds can hold the flow. */
export function isSupported(flow: FastPathFlow, limits: DriverLimits): boolean {
  return (
    Number.isSafeInteger(flow.handle) &&
    flow.handle >= 0 &&
    Number.isSafeInteger(flow.generation) &&
    flow.generation >= 0 &&
    isWithin(flow.vmSlot, 1, limits.slotsMax - 1) &&
    directionsOf(flow).every((direction) => isDirectionSupported(direction, limits))
  );
}

function isDirectionSupported(direction: FastPathDirection, limits: DriverLimits): boolean {
  const family = familyOf(direction.sourceAddress);
  return (
    (direction.protocol === PROTOCOL_TCP || direction.protocol === PROTOCOL_UDP) &&
    isPort(direction.sourcePort) &&
    isPort(direction.destinationPort) &&
    isPort(direction.newSourcePort) &&
    isPort(direction.newDestinationPort) &&
    familyOf(direction.destinationAddress) === family &&
    familyOf(direction.newSourceAddress) === family &&
    familyOf(direction.newDestinationAddress) === family &&
    isWithin(direction.segmentId, 0, 0xffff_ffff) &&
    isWithin(direction.egressPortId, 0, limits.portsMax) &&
    isWithin(direction.mtuBytes, MTU_BYTES_MIN, MTU_BYTES_MAX)
  );
}

function isPort(value: number): boolean {
  return isWithin(value, 0, 65_535);
}

function isWithin(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}
