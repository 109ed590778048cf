/**
 * Reads and writes the flow maps in batches: keys, states, actions, counters.
 *
 * Effect: bpf(2). Knows indexes, not handles.
 * Invariant: an index is written only while no program can meet it: before its key exists, or after a grace
 * period without it.
 */
import type { BpfMap } from "../../lib/bpf/bpf-map.ts";
import type { BpfObject } from "../../lib/bpf/bpf-object.ts";
import type { DirectionCounters } from "../../offload-protocol/messages.ts";
import type { FastPathDirection } from "../driver.ts";
import {
  ACTION_BYTES,
  type ActionEntry,
  decodeAction,
  encodeAction,
  encodeIndex,
  encodeIndexes,
  encodeKey,
  FLOW_TOTALS_BYTES,
  KEY_BYTES,
  STATE_ACTIVE,
  STATE_FREE,
} from "./layout.ts";

export interface IndexedAction {
  readonly index: number;
  readonly entry: ActionEntry;
}

export interface IndexCounters {
  readonly counters: DirectionCounters;
  /** CLOCK_MONOTONIC; when nothing passed yet, the time of the installation. */
  readonly lastUsedNs: bigint;
}

export class FlowMaps {
  readonly #keys: BpfMap;
  readonly #states: BpfMap;
  readonly #actions: BpfMap;
  readonly #totals: BpfMap;

  constructor(object: BpfObject) {
    this.#keys = object.map("flow_keys");
    this.#states = object.map("flow_states");
    this.#actions = object.map("flow_actions");
    this.#totals = object.map("flow_totals");
  }

  get entriesMax(): number {
    return this.#keys.entriesMax;
  }

  /** Programs free indexes. The keys come last: before them no packet meets what is written. */
  insert(entries: readonly IndexedAction[], nowNs: bigint): void {
    const count = entries.length;
    const indexes = encodeIndexes(entries.map(({ index }) => index));
    const actions = Buffer.alloc(count * ACTION_BYTES);
    const keys = Buffer.alloc(count * KEY_BYTES);
    const totals = Buffer.alloc(count * this.#totals.valueBytes);
    entries.forEach(({ entry }, position) => {
      encodeAction(entry, actions, position * ACTION_BYTES);
      actions.copy(
        keys,
        position * KEY_BYTES,
        position * ACTION_BYTES,
        position * ACTION_BYTES + KEY_BYTES,
      );
      const firstCpu = position * this.#totals.valueBytes;
      totals.writeBigUInt64LE(nowNs, firstCpu + FLOW_TOTALS_BYTES - 8);
    });
    this.#actions.updateBatch(indexes, actions);
    this.#totals.updateBatch(indexes, totals);
    this.setStates(
      entries.map(({ index }) => index),
      STATE_ACTIVE,
    );
    this.#keys.updateBatch(keys, indexes);
  }

  /** Rewrites one action in place; its state must not be active, and a grace period must have passed. */
  replaceAction({ index, entry }: IndexedAction): void {
    const action = Buffer.alloc(ACTION_BYTES);
    encodeAction(entry, action, 0);
    this.#actions.update(encodeIndex(index), action);
  }

  setStates(indexes: readonly number[], state: number): void {
    const states = encodeIndexes(indexes.map(() => state));
    this.#states.updateBatch(encodeIndexes(indexes), states);
  }

  /** Deletes keys that all exist. */
  deleteKeys(directions: readonly FastPathDirection[]): void {
    const keys = Buffer.alloc(directions.length * KEY_BYTES);
    directions.forEach((direction, position) => {
      encodeKey(direction, keys, position * KEY_BYTES);
    });
    this.#keys.deleteBatch(keys);
  }

  /** Deletes a key that may be absent. */
  destroyKey(direction: FastPathDirection): void {
    this.#keys.destroy(keyOf(direction));
  }

  /** Returns the index that a packet of this direction would find. */
  lookupKey(direction: FastPathDirection): number | undefined {
    const value = this.#keys.lookup(keyOf(direction));
    return value === undefined ? undefined : Buffer.from(value.buffer).readUInt32LE(0);
  }

  readIndex(index: number): IndexCounters {
    const value = this.#totals.lookup(encodeIndex(index));
    return this.#sum(Buffer.from(value?.buffer ?? new ArrayBuffer(this.#totals.valueBytes)), 0);
  }

  /** Reads the indexes from `first` to `last` at once; returns who adds up one of them. */
  readRange(first: number, last: number): (index: number) => IndexCounters {
    const parts: Buffer[] = [];
    let read = first;
    let partIndexes = 1;
    this.#totals.forEachBatch(
      ({ count, values }) => {
        if (read === first) partIndexes = count;
        parts.push(Buffer.from(values.buffer));
        read += count;
        return read <= last;
      },
      first === 0 ? null : encodeIndex(first - 1),
    );
    return (index) => {
      const position = index - first;
      const part = parts[Math.floor(position / partIndexes)];
      if (part === undefined || index >= read) return this.readIndex(index);
      return this.#sum(part, (position % partIndexes) * this.#totals.valueBytes);
    };
  }

  /** Visits every index that is not free. */
  forEachUsed(visit: (index: number, state: number, entry: ActionEntry) => void): void {
    const states: number[] = [];
    this.#states.forEachBatch(({ count, values }) => {
      const bytes = Buffer.from(values.buffer);
      for (let position = 0; position < count; position++) {
        states.push(bytes.readUInt32LE(4 * position));
      }
      return true;
    });
    states.forEach((state, index) => {
      if (state === STATE_FREE) return;
      const action = this.#actions.lookup(encodeIndex(index));
      if (action !== undefined) visit(index, state, decodeAction(Buffer.from(action.buffer), 0));
    });
  }

  #sum(bytes: Buffer, at: number): IndexCounters {
    const end = at + this.#totals.valueBytes;
    let lastUsedNs = 0n;
    for (let cpu = at; cpu < end; cpu += FLOW_TOTALS_BYTES) {
      const used = bytes.readBigUInt64LE(cpu + 32);
      if (used > lastUsedNs) lastUsedNs = used;
    }
    return {
      counters: {
        fastPackets: sumCpus(bytes, at, end),
        fastBytes: sumCpus(bytes, at + 8, end),
        passedPackets: sumCpus(bytes, at + 16, end),
        passedBytes: sumCpus(bytes, at + 24, end),
      },
      lastUsedNs,
    };
  }
}

/** Most counters are small: they are added without making a bigint for each CPU. */
function sumCpus(bytes: Buffer, at: number, end: number): bigint {
  let low = 0;
  let high = 0;
  for (let cpu = at; cpu < end; cpu += FLOW_TOTALS_BYTES) {
    low += bytes.readUInt32LE(cpu);
    high += bytes.readUInt32LE(cpu + 4);
  }
  if (high > 0) return (BigInt(high) << 32n) + BigInt(low);
  return low === 0 ? 0n : BigInt(low);
}

function keyOf(direction: FastPathDirection): Buffer {
  const key = Buffer.alloc(KEY_BYTES);
  encodeKey(direction, key, 0);
  return key;
}
