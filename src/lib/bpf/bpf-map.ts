/**
 * One BPF map: single and batched reads and writes of its bytes.
 *
 * Effect: bpf(2). Keys and values are bytes in the map's own layout; per-CPU values hold one value, rounded
 * up to 8 bytes, for each possible CPU.
 * Limit: BATCH_ENTRIES_MAX elements in one system call.
 */
import { assert } from "../base/assert.ts";
import { BpfError, checkBpf, ENOENT, getLibbpf } from "./libbpf.ts";

/** Longer batches gain nothing and hold the kernel longer. */
export const BATCH_ENTRIES_MAX = 4096;

const BPF_MAP_TYPE_PERCPU_HASH = 5;
const BPF_MAP_TYPE_PERCPU_ARRAY = 6;

export interface BpfMapShape {
  readonly name: string;
  readonly fd: number;
  readonly type: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly entriesMax: number;
}

export interface BpfEntries {
  readonly count: number;
  readonly keys: Uint8Array;
  readonly values: Uint8Array;
}

export class BpfMap {
  readonly name: string;
  readonly fd: number;
  readonly keyBytes: number;
  /** Bytes that user space reads and writes for one element, all CPUs together. */
  readonly valueBytes: number;
  /** Bytes of one CPU's value; equal to `valueBytes` unless the map is per-CPU. */
  readonly cpuValueBytes: number;
  readonly entriesMax: number;

  constructor(shape: BpfMapShape) {
    const perCpu =
      shape.type === BPF_MAP_TYPE_PERCPU_ARRAY || shape.type === BPF_MAP_TYPE_PERCPU_HASH;
    this.name = shape.name;
    this.fd = shape.fd;
    this.keyBytes = shape.keyBytes;
    this.cpuValueBytes = perCpu ? (shape.valueBytes + 7) & ~7 : shape.valueBytes;
    this.valueBytes = perCpu ? this.cpuValueBytes * countPossibleCpus() : shape.valueBytes;
    this.entriesMax = shape.entriesMax;
  }

  /** Writes one element, new or not. Throws E2BIG when a hash is full. */
  update(key: Uint8Array, value: Uint8Array): void {
    assert(key.length === this.keyBytes, "a key has the map's length");
    assert(value.length === this.valueBytes, "a value has the map's length");
    const result = getLibbpf().bpf_map_update_elem(this.fd, key, value, 0n);
    checkBpf(result, `write to BPF map "${this.name}"`);
  }

  /** Returns the element's bytes, or undefined when there is none. */
  lookup(key: Uint8Array): Uint8Array | undefined {
    assert(key.length === this.keyBytes, "a key has the map's length");
    const value = new Uint8Array(this.valueBytes);
    const result = getLibbpf().bpf_map_lookup_elem(this.fd, key, value);
    if (result === -ENOENT) return undefined;
    checkBpf(result, `read BPF map "${this.name}"`);
    return value;
  }

  /** Returns whether the element was there. */
  destroy(key: Uint8Array): boolean {
    const result = getLibbpf().bpf_map_delete_elem(this.fd, key);
    if (result === -ENOENT) return false;
    checkBpf(result, `delete from BPF map "${this.name}"`);
    return true;
  }

  /** Writes `keys.length / keyBytes` elements. */
  updateBatch(keys: Uint8Array, values: Uint8Array): void {
    const total = keys.length / this.keyBytes;
    assert(values.length === total * this.valueBytes, "there is one value for each key");
    for (let from = 0; from < total; from += BATCH_ENTRIES_MAX) {
      const count = Math.min(BATCH_ENTRIES_MAX, total - from);
      const result = getLibbpf().bpf_map_update_batch(
        this.fd,
        keys.subarray(from * this.keyBytes, (from + count) * this.keyBytes),
        values.subarray(from * this.valueBytes, (from + count) * this.valueBytes),
        Uint32Array.of(count),
        null,
      );
      checkBpf(result, `write ${count} elements to BPF map "${this.name}"`);
    }
  }

  /** Deletes elements that must all exist: the kernel stops at the first that does not. */
  deleteBatch(keys: Uint8Array): void {
    const total = keys.length / this.keyBytes;
    for (let from = 0; from < total; from += BATCH_ENTRIES_MAX) {
      const count = Math.min(BATCH_ENTRIES_MAX, total - from);
      const part = keys.subarray(from * this.keyBytes, (from + count) * this.keyBytes);
      const result = getLibbpf().bpf_map_delete_batch(this.fd, part, Uint32Array.of(count), null);
      checkBpf(result, `delete ${count} elements from BPF map "${this.name}"`);
    }
  }

  /**
   * Visits every element in batches; arrays come in index order, and the visitor ends the walk by false.
   * With `after`, an array's walk begins behind this key.
   */
  forEachBatch(
    visit: (entries: BpfEntries) => boolean | undefined,
    after: Uint8Array | null = null,
  ): void {
    const batch = Math.min(BATCH_ENTRIES_MAX, this.entriesMax);
    // The kernel's cursor of a hash is 4 bytes, of an array the key: never longer than this.
    let cursor = after;
    for (;;) {
      const next = new Uint8Array(Math.max(this.keyBytes, 8));
      const keys = new Uint8Array(batch * this.keyBytes);
      const values = new Uint8Array(batch * this.valueBytes);
      const count = Uint32Array.of(batch);
      const result = getLibbpf().bpf_map_lookup_batch(
        this.fd,
        cursor,
        next,
        keys,
        values,
        count,
        null,
      );
      if (result < 0 && result !== -ENOENT) throw new BpfError(`read "${this.name}"`, -result);
      const got = count[0] ?? 0;
      if (got > 0 && visit({ count: got, keys, values }) === false) return;
      if (result === -ENOENT) return;
      cursor = next;
    }
  }
}

let possibleCpus = 0;

/** Returns how many CPUs a per-CPU value has room for. */
export function countPossibleCpus(): number {
  if (possibleCpus === 0) {
    possibleCpus = checkBpf(getLibbpf().libbpf_num_possible_cpus(), "count the possible CPUs");
  }
  return possibleCpus;
}
