/**
 * The maps around the flows: VM slots, vNICs, totals for each slot, drops, layout version.
 *
 * Effect: bpf(2).
 */
import type { BpfMap } from "../../lib/bpf/bpf-map.ts";
import type { BpfObject } from "../../lib/bpf/bpf-object.ts";
import { type DriverTotals, SLOT_FREE } from "../driver.ts";
import type { Vnic } from "../topology.ts";
import { DROP_REASONS, encodeIndex, encodeSlot, encodeVnic, SLOT_TOTALS_BYTES } from "./layout.ts";

type SlotTotals = DriverTotals["slots"][number];

export class SlotMaps {
  readonly #slots: BpfMap;
  readonly #vnics: BpfMap;
  readonly #totals: BpfMap;
  readonly #drops: BpfMap;
  readonly #vnicSlots = new Set<number>();
  /** Slots that have counted something, or may: an earlier agent's, and those that ever had a vNIC. */
  #knownSlots: Set<number> | undefined;

  constructor(object: BpfObject) {
    this.#slots = object.map("flow_slots");
    this.#vnics = object.map("flow_vnics");
    this.#totals = object.map("flow_slot_totals");
    this.#drops = object.map("flow_drops");
  }

  static readLayoutVersion(object: BpfObject): bigint {
    const value = object.map("flow_layout").lookup(encodeIndex(0));
    return value === undefined ? 0n : Buffer.from(value.buffer).readBigUInt64LE(0);
  }

  static writeLayoutVersion(object: BpfObject, version: bigint): void {
    const value = Buffer.alloc(8);
    value.writeBigUInt64LE(version, 0);
    object.map("flow_layout").update(encodeIndex(0), value);
  }

  /** Writes generation and deadline so that no packet sees an old generation with a new deadline. */
  set(vmSlot: number, generation: number, leaseMs: number, nowNs: bigint): void {
    const key = encodeIndex(vmSlot);
    if (generation === SLOT_FREE) {
      this.#slots.update(key, encodeSlot(SLOT_FREE, 0n));
      this.#totals.update(key, Buffer.alloc(this.#totals.valueBytes));
      return;
    }
    const present = this.#slots.lookup(key);
    const isNew =
      present === undefined ||
      Buffer.from(present.buffer).readBigUInt64LE(0) !== BigInt(generation);
    if (isNew || leaseMs === 0) this.#slots.update(key, encodeSlot(generation, 0n));
    if (leaseMs === 0) return;
    const deadlineNs = nowNs + BigInt(Math.floor(leaseMs * 1_000_000));
    this.#slots.update(key, encodeSlot(generation, deadlineNs));
  }

  /** Replaces the set of vNICs, touching only what differs. */
  setVnics(vnics: readonly Vnic[]): void {
    const wanted = new Map(
      vnics.map(({ segmentId, mac, vmSlot }) => {
        const key = encodeVnic(segmentId, mac);
        return [key.toString("hex"), { key, vmSlot }];
      }),
    );
    this.#vnicSlots.clear();
    for (const { vmSlot } of vnics) {
      this.#vnicSlots.add(vmSlot);
      this.#knownSlots?.add(vmSlot);
    }
    const stale: Buffer[] = [];
    this.#vnics.forEachBatch(({ count, keys, values }) => {
      const bytes = Buffer.from(keys.buffer);
      const slots = Buffer.from(values.buffer);
      for (let position = 0; position < count; position++) {
        const key = Buffer.from(bytes.subarray(12 * position, 12 * position + 12));
        const known = wanted.get(key.toString("hex"));
        if (known === undefined) stale.push(key);
        else if (known.vmSlot === slots.readUInt32LE(4 * position)) {
          wanted.delete(key.toString("hex"));
        }
      }
      return true;
    });
    for (const key of stale) this.#vnics.destroy(key);
    for (const { key, vmSlot } of wanted.values()) this.#vnics.update(key, encodeIndex(vmSlot));
  }

  readTotals(): Pick<DriverTotals, "slots" | "drops"> {
    this.#knownSlots ??= this.#findKnownSlots();
    const slots: SlotTotals[] = [];
    for (const vmSlot of [...this.#knownSlots].sort((a, b) => a - b)) {
      const value = this.#totals.lookup(encodeIndex(vmSlot));
      if (value === undefined) continue;
      const totals = this.#sum(vmSlot, Buffer.from(value.buffer), 0);
      if (isUsed(totals) || this.#vnicSlots.has(vmSlot)) slots.push(totals);
    }
    return { slots, drops: this.#readDrops() };
  }

  /** The whole array is read once; only slots with vNICs count from then on. */
  #findKnownSlots(): Set<number> {
    const known = new Set(this.#vnicSlots);
    let vmSlot = 0;
    this.#totals.forEachBatch(({ count, values }) => {
      const bytes = Buffer.from(values.buffer);
      for (let position = 0; position < count; position++, vmSlot++) {
        const totals = this.#sum(vmSlot, bytes, position * this.#totals.valueBytes);
        if (isUsed(totals)) known.add(vmSlot);
      }
      return true;
    });
    return known;
  }

  #readDrops(): Readonly<Record<string, bigint>> {
    const drops: Record<string, bigint> = {};
    DROP_REASONS.forEach((reason, index) => {
      const value = this.#drops.lookup(encodeIndex(index));
      const bytes = Buffer.from(value?.buffer ?? new ArrayBuffer(0));
      let sum = 0n;
      for (let at = 0; at < bytes.length; at += 8) sum += bytes.readBigUInt64LE(at);
      drops[reason] = sum;
    });
    return drops;
  }

  #sum(vmSlot: number, bytes: Buffer, at: number): SlotTotals {
    const sums = [0n, 0n, 0n, 0n];
    for (let cpu = 0; cpu < this.#totals.valueBytes; cpu += SLOT_TOTALS_BYTES) {
      for (let field = 0; field < 4; field++) {
        sums[field] = (sums[field] ?? 0n) + bytes.readBigUInt64LE(at + cpu + 8 * field);
      }
    }
    const [fastPackets = 0n, fastBytes = 0n, passedPackets = 0n, passedBytes = 0n] = sums;
    return { vmSlot, fastPackets, fastBytes, passedPackets, passedBytes };
  }
}

function isUsed({ fastPackets, passedPackets }: SlotTotals): boolean {
  return fastPackets + passedPackets > 0n;
}
