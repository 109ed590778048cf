/**
 * Deadlines of many flows in slots of TIMER_GRAIN_MS.
 *
 * Pure. Moving a deadline later costs nothing until the old one comes; a record lies in one slot only.
 */
import type { FlowRecord } from "./flow-record.ts";
import { TIMER_GRAIN_MS } from "./limits.ts";

export const NEVER_MS: number = Number.POSITIVE_INFINITY;

export class FlowTimers {
  readonly #slots = new Map<number, Set<FlowRecord>>();
  /** No slot is earlier. */
  #earliest = NEVER_MS;

  /** Sets when the record is due; NEVER_MS takes the deadline away, and the record out when its slot comes. */
  set(record: FlowRecord, dueAtMs: number): void {
    record.dueAtMs = dueAtMs;
    if (dueAtMs === NEVER_MS) return;
    const slot = Math.ceil(dueAtMs / TIMER_GRAIN_MS);
    if (record.timerSlot >= 0 && record.timerSlot <= slot) return; // It will be looked at before.
    this.remove(record);
    this.#put(record, slot);
  }

  remove(record: FlowRecord): void {
    const slot = this.#slots.get(record.timerSlot);
    slot?.delete(record);
    if (slot?.size === 0) this.#slots.delete(record.timerSlot);
    record.timerSlot = -1;
  }

  /** Takes out the records that are due, at most `limit`. */
  takeDue(nowMs: number, limit: number): FlowRecord[] {
    const present = Math.floor(nowMs / TIMER_GRAIN_MS);
    const due: FlowRecord[] = [];
    const slots = [...this.#slots.keys()].filter((slot) => slot <= present).sort((a, b) => a - b);
    for (const slot of slots) {
      for (const record of this.#slots.get(slot) ?? []) {
        if (due.length >= limit) return due;
        this.remove(record);
        if (record.dueAtMs <= nowMs) due.push(record);
        else if (record.dueAtMs !== NEVER_MS)
          this.#put(record, Math.ceil(record.dueAtMs / TIMER_GRAIN_MS));
      }
    }
    return due;
  }

  /** Returns when takeDue() should be called next, or NEVER_MS. */
  nextMs(): number {
    if (this.#earliest !== NEVER_MS && !this.#slots.has(this.#earliest)) {
      this.#earliest = NEVER_MS;
      for (const slot of this.#slots.keys()) this.#earliest = Math.min(this.#earliest, slot);
    }
    return this.#earliest * TIMER_GRAIN_MS;
  }

  #put(record: FlowRecord, slot: number): void {
    const records = this.#slots.get(slot);
    if (slot < this.#earliest) this.#earliest = slot;
    if (records === undefined) this.#slots.set(slot, new Set([record]));
    else records.add(record);
    record.timerSlot = slot;
  }
}
