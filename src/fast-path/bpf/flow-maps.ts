/**
 * Reads and writes the flow maps: keys in batches, states and actions as memory, counters.
 *
 * Effect: bpf(2) and shared memory. Knows indexes, not handles.
 * Invariant: an index is written only while no program can meet it: before its key exists, or after a grace
 * period without it. The counters of a free index are zero.
 */
import { randomBytes } from "node:crypto";
import type { BpfMap } from "../../lib/bpf/bpf-map.ts";
import type { BpfObject } from "../../lib/bpf/bpf-object.ts";
import { type MapMemory, mapMemory } from "../../lib/bpf/map-memory.ts";
import type { DirectionCounters } from "../../offload-protocol/messages.ts";
import {
  ACTION_BYTES,
  type ActionEntry,
  decodeAction,
  encodeAction,
  encodeIndex,
  encodeIndexes,
  FLOW_TOTALS_BYTES,
  KEY_BYTES,
  STATE_FREE,
} from "./layout.ts";
import { MatchTable } from "./match-table.ts";

const WORD_BYTES = 4;

export interface IndexCounters {
  readonly counters: DirectionCounters;
  /** CLOCK_MONOTONIC; 0 when nothing passed yet. */
  readonly lastUsedNs: bigint;
}

export class FlowMaps {
  readonly #keys: BpfMap;
  readonly #totals: BpfMap;
  readonly #states: MapMemory;
  readonly #actions: MapMemory;

  constructor(object: BpfObject) {
    this.#keys = object.map("flow_keys");
    this.#totals = object.map("flow_totals");
    this.#states = mapMemory(object.map("flow_states"));
    this.#actions = mapMemory(object.map("flow_actions"));
  }

  get entriesMax(): number {
    return this.#keys.entriesMax;
  }

  /** Lets go of the memory; nothing may be called afterwards. */
  close(): void {
    this.#states.unmap();
    this.#actions.unmap();
  }

  /** Writes an action, from packed bytes, and its state behind a free index. */
  writeAction(index: number, packed: Buffer, at: number, state: number): void {
    packed.copy(this.#actions.bytes, index * this.#actions.strideBytes, at, at + ACTION_BYTES);
    this.setState(index, state);
  }

  /** Rewrites one action in place; its state must not be active, and a grace period must have passed. */
  replaceAction(index: number, entry: ActionEntry): void {
    const packed = Buffer.alloc(ACTION_BYTES);
    encodeAction(entry, packed, 0);
    // The match stays as it is: packets that are counted meanwhile compare it.
    packed.copy(this.#actions.bytes, index * this.#actions.strideBytes + KEY_BYTES, KEY_BYTES);
  }

  readAction(index: number): ActionEntry {
    return decodeAction(this.#actions.bytes, index * this.#actions.strideBytes);
  }

  setState(index: number, state: number): void {
    this.#states.bytes.writeUInt32LE(state, index * this.#states.strideBytes);
  }

  stateOf(index: number): number {
    return this.#states.bytes.readUInt32LE(index * this.#states.strideBytes);
  }

  /** Returns a table of the keys behind the indexes. */
  makeMatchTable(): MatchTable {
    const { bytes, strideBytes } = this.#actions;
    return new MatchTable({
      entriesMax: this.entriesMax,
      words: new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / WORD_BYTES),
      strideWords: strideBytes / WORD_BYTES,
      keyWords: KEY_BYTES / WORD_BYTES,
      seed: randomBytes(WORD_BYTES).readInt32LE(0),
    });
  }

  /** Lets packets find the indexes; nobody else has their keys. */
  insertKeys(indexes: readonly number[]): void {
    this.#keys.updateBatch(this.#keysOf(indexes), encodeIndexes(indexes));
  }

  /** Deletes keys that all exist. */
  deleteKeys(indexes: readonly number[]): void {
    this.#keys.deleteBatch(this.#keysOf(indexes));
  }

  /** Deletes the key of an index, which may be absent. */
  destroyKey(index: number): void {
    this.#keys.destroy(this.#keysOf([index]));
  }

  /** Returns whether packets find this index by its own key. */
  leadsTo(index: number): boolean {
    const value = this.#keys.lookup(this.#keysOf([index]));
    return value !== undefined && Buffer.from(value.buffer).readUInt32LE(0) === index;
  }

  /** Makes indexes free that no program can meet any more: counters first, so that a free one has none. */
  release(indexes: readonly number[]): void {
    const zeros = Buffer.alloc(indexes.length * this.#totals.valueBytes);
    this.#totals.updateBatch(encodeIndexes(indexes), zeros);
    for (const index of indexes) this.setState(index, STATE_FREE);
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
    for (let index = 0; index < this.entriesMax; index++) {
      const state = this.stateOf(index);
      if (state !== STATE_FREE) visit(index, state, this.readAction(index));
    }
  }

  #keysOf(indexes: readonly number[]): Buffer {
    const { bytes, strideBytes } = this.#actions;
    const keys = Buffer.allocUnsafe(indexes.length * KEY_BYTES);
    indexes.forEach((index, position) => {
      const at = index * strideBytes;
      bytes.copy(keys, position * KEY_BYTES, at, at + KEY_BYTES);
    });
    return keys;
  }

  #sum(bytes: Buffer, at: number): IndexCounters {
    const end = at + this.#totals.valueBytes;
    let lastUsedNs = 0n;
    for (let cpu = at; cpu < end; cpu += FLOW_TOTALS_BYTES) {
      const used = bytes.readBigUInt64LE(cpu + 32);
      if (used > lastUsedNs) lastUsedNs = used;
    }
    if (lastUsedNs === 0n) return UNUSED;
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

const UNUSED: IndexCounters = {
  counters: { fastPackets: 0n, fastBytes: 0n, passedPackets: 0n, passedBytes: 0n },
  lastUsedNs: 0n,
};

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
