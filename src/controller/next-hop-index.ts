/**
 * Which flows leave through a next hop.
 *
 * Pure. A flow that goes is only counted; the list is swept when most of it has gone, so that flows come and
 * go at the cost of one entry each.
 * Invariant: a list is never longer than SWEEP_FACTOR times its flows, and SWEEP_MIN.
 */
import type { FlowRecord } from "./flow-record.ts";
import { type LocationKey, locationKey } from "./location.ts";

export const SWEEP_FACTOR = 2;
export const SWEEP_MIN = 64;

interface Hop {
  records: FlowRecord[];
  live: number;
}

/** Returns where a flow's directions go next; the same place once. */
function nextHopsOf({ fast, egressSegmentIds }: FlowRecord): readonly LocationKey[] {
  const [there, back] = egressSegmentIds;
  const first = locationKey(there, fast.original.newDestinationMac);
  if (fast.reply === undefined || back === undefined) return [first];
  const second = locationKey(back, fast.reply.newDestinationMac);
  return first === second ? [first] : [first, second];
}

export class NextHopIndex {
  readonly #hops = new Map<LocationKey, Hop>();
  readonly #isHeld: (record: FlowRecord) => boolean;

  /** `isHeld` says of a flow that was added whether it is still there. */
  constructor(isHeld: (record: FlowRecord) => boolean) {
    this.#isHeld = isHeld;
  }

  add(record: FlowRecord): void {
    for (const key of nextHopsOf(record)) {
      const hop = this.#hops.get(key);
      if (hop === undefined) this.#hops.set(key, { records: [record], live: 1 });
      else {
        hop.records.push(record);
        hop.live++;
      }
    }
  }

  /** Forgets a flow, whose egress is still the one that it was added with. */
  delete(record: FlowRecord): void {
    for (const key of nextHopsOf(record)) {
      const hop = this.#hops.get(key);
      if (hop === undefined) continue;
      hop.live--;
      if (hop.live === 0) this.#hops.delete(key);
      else if (hop.records.length > SWEEP_MIN + SWEEP_FACTOR * hop.live) {
        hop.records = this.#through(key, hop.records);
      }
    }
  }

  list(key: LocationKey): readonly FlowRecord[] {
    return this.#through(key, this.#hops.get(key)?.records ?? []);
  }

  /** A flow may have gone, have another next hop by now, or have come back. */
  #through(key: LocationKey, records: readonly FlowRecord[]): FlowRecord[] {
    const through = records.filter(
      (record) => this.#isHeld(record) && nextHopsOf(record).includes(key),
    );
    return [...new Set(through)];
  }
}
