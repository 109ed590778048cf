/**
 * Rebuilds what a driver holds from the maps that an earlier agent left.
 *
 * Effect: reads and repairs the maps. A flow that the earlier agent had not finished programming is removed:
 * nobody was told that it is active.
 */
import type { FlowHandle } from "../driver.ts";
import type { FlowMaps } from "./flow-maps.ts";
import { type ActionEntry, STATE_ACTIVE, STATE_PAUSED, STATE_QUIESCING } from "./layout.ts";

/** A flow that was being withdrawn forwards nothing and keeps its state; its counters can still be had. */
export interface AdoptedFlow {
  readonly handle: FlowHandle;
  /** Indexes of original and, if there is one, reply. */
  readonly indexes: readonly number[];
}

interface Found {
  readonly index: number;
  readonly entry: ActionEntry;
  readonly isKeyed: boolean;
  readonly forwards: boolean;
}

/** Returns every whole flow, and frees what is not part of one. */
export function adoptFlows(maps: FlowMaps): readonly AdoptedFlow[] {
  const byHandle = new Map<FlowHandle, Found[]>();
  maps.forEachUsed((index, state, entry) => {
    const isKeyed = maps.leadsTo(index);
    const forwards = isKeyed && (state === STATE_ACTIVE || state === STATE_PAUSED);
    const found = byHandle.get(entry.handle) ?? [];
    found.push({ index, entry, isKeyed, forwards });
    byHandle.set(entry.handle, found);
  });
  return [...byHandle.values()].flatMap((found) => {
    const flow = assemble(found);
    for (const { index, isKeyed, forwards } of found) {
      if (flow !== undefined && forwards) {
        maps.setState(index, STATE_ACTIVE);
        continue;
      }
      if (isKeyed) maps.destroyKey(index);
      maps.setState(index, STATE_QUIESCING);
    }
    if (flow !== undefined) return [flow];
    maps.release(found.map(({ index }) => index));
    return [];
  });
}

function assemble(found: readonly Found[]): AdoptedFlow | undefined {
  const original = found.find(({ entry }) => !entry.isReply);
  const reply = found.find(({ entry }) => entry.isReply);
  if (original === undefined || found.length > 2) return undefined;
  const forwarding = found.filter(({ forwards }) => forwards);
  // Half a flow forwards nothing either.
  if (forwarding.length !== 0 && forwarding.length !== found.length) return undefined;
  return {
    handle: original.entry.handle,
    indexes: reply === undefined ? [original.index] : [original.index, reply.index],
  };
}
