/**
 * Every flow of one host, by handle, by virtual machine, by tuple and by next hop.
 *
 * Pure. Invariant: a tuple has one holder, from the grant until the terminal event; handles are unique.
 */
import type { FastPathDirection, FastPathFlow, FlowHandle } from "../fast-path/driver.ts";
import { assert } from "../lib/base/assert.ts";
import type { FlowKey } from "./flow-key.ts";
import type { FlowRecord } from "./flow-record.ts";
import type { LocationKey } from "./location.ts";
import { NextHopIndex } from "./next-hop-index.ts";
import { TupleIndex } from "./tuple-index.ts";

/** What a flow matches. */
interface FlowMatches {
  readonly original: FastPathDirection;
  readonly reply?: FastPathDirection;
}

/** The flows that one fast path holds or is about to hold. */
export class FlowTable {
  readonly #byHandle = new Map<FlowHandle, FlowRecord>();
  readonly #byTuple = new TupleIndex<FlowRecord>();
  readonly #byVm = new Map<string, Map<FlowKey, FlowRecord>>();
  readonly #byNextHop = new NextHopIndex(
    (record) => this.#byHandle.get(record.fast.handle) === record,
  );
  #nextHandle = 1;

  get count(): number {
    return this.#byHandle.size;
  }

  /** Returns a handle that no flow has; handles grow, so a late answer never meets a new flow. */
  drawHandle(): FlowHandle {
    return this.#nextHandle++;
  }

  /** Keeps `drawHandle` above a handle that is or was in use. */
  reserveHandle(handle: FlowHandle): void {
    assert(Number.isSafeInteger(handle), "2^53 handles are enough for 28 years at 10 million/s");
    this.#nextHandle = Math.max(this.#nextHandle, handle + 1);
  }

  /** Returns who holds what the flow would match, if somebody does. */
  holderOf({ original, reply }: FlowMatches): FlowRecord | undefined {
    const holder = this.#byTuple.get(original);
    return holder ?? (reply === undefined ? undefined : this.#byTuple.get(reply));
  }

  get(handle: FlowHandle): FlowRecord | undefined {
    return this.#byHandle.get(handle);
  }

  ofVm(vmKey: string): ReadonlyMap<FlowKey, FlowRecord> {
    return this.#byVm.get(vmKey) ?? NO_FLOWS;
  }

  find(vmKey: string, key: FlowKey): FlowRecord | undefined {
    return this.#byVm.get(vmKey)?.get(key);
  }

  throughNextHop(key: LocationKey): readonly FlowRecord[] {
    return this.#byNextHop.list(key);
  }

  list(): IterableIterator<FlowRecord> {
    return this.#byHandle.values();
  }

  add(record: FlowRecord): void {
    const { handle } = record.fast;
    assert(!this.#byHandle.has(handle), "handles are unique");
    this.#byHandle.set(handle, record);
    let ofVm = this.#byVm.get(record.vmKey);
    if (ofVm === undefined) {
      ofVm = new Map();
      this.#byVm.set(record.vmKey, ofVm);
    }
    assert(!ofVm.has(record.key), "flow ids are unique in their epoch");
    ofVm.set(record.key, record);
    const { original, reply } = record.fast;
    this.#byTuple.add(original, record);
    if (reply !== undefined) this.#byTuple.add(reply, record);
    this.#byNextHop.add(record);
  }

  delete(record: FlowRecord): void {
    const wasHeld = this.#byHandle.delete(record.fast.handle);
    assert(wasHeld, "a flow ends once");
    const ofVm = this.#byVm.get(record.vmKey);
    ofVm?.delete(record.key);
    if (ofVm?.size === 0) this.#byVm.delete(record.vmKey);
    const { original, reply } = record.fast;
    this.#byTuple.delete(original);
    if (reply !== undefined) this.#byTuple.delete(reply);
    this.#byNextHop.delete(record);
  }

  /** Gives the flow another egress; its tuples stay. */
  replaceEgress(record: FlowRecord, fast: FastPathFlow): void {
    assert(record.fast.handle === fast.handle, "an update keeps the handle");
    this.#byNextHop.delete(record);
    record.fast = fast;
    this.#byNextHop.add(record);
  }
}

const NO_FLOWS: ReadonlyMap<FlowKey, FlowRecord> = new Map();
