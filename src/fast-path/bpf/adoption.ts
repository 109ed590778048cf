/**
 * Rebuilds what a driver holds from the maps that an earlier agent left.
 *
 * Effect: reads and repairs the maps. A flow that the earlier agent had not finished programming is removed:
 * nobody was told that it is active.
 */
import type { FastPathFlow } from "../driver.ts";
import type { FlowMaps } from "./flow-maps.ts";
import { type ActionEntry, STATE_ACTIVE, STATE_FREE, STATE_PAUSED } from "./layout.ts";

export interface AdoptedFlow {
  readonly flow: FastPathFlow;
  /** Indexes of original and, if there is one, reply. */
  readonly indexes: readonly number[];
  /** It was being withdrawn: it forwards nothing, its counters can still be had. */
  readonly isQuiescing: boolean;
}

interface Found {
  readonly index: number;
  readonly entry: ActionEntry;
  readonly forwards: boolean;
}

/** Returns every whole flow, and frees what is not part of one. */
export function adoptFlows(maps: FlowMaps): readonly AdoptedFlow[] {
  const byHandle = new Map<number, Found[]>();
  maps.forEachUsed((index, state, entry) => {
    const isKeyed = maps.lookupKey(entry.direction) === index;
    const forwards = isKeyed && (state === STATE_ACTIVE || state === STATE_PAUSED);
    const found = byHandle.get(entry.handle) ?? [];
    found.push({ index, entry, forwards });
    byHandle.set(entry.handle, found);
  });
  return [...byHandle.values()].flatMap((found) => {
    const flow = assemble(found, maps);
    if (flow === undefined) return remove(found, maps);
    const paused = found.map(({ index }) => index);
    if (!flow.isQuiescing) maps.setStates(paused, STATE_ACTIVE);
    return [flow];
  });
}

function assemble(found: readonly Found[], maps: FlowMaps): AdoptedFlow | undefined {
  const original = found.find(({ entry }) => !entry.isReply);
  const reply = found.find(({ entry }) => entry.isReply);
  if (original === undefined || found.length > 2) return undefined;
  const forwarding = found.filter(({ forwards }) => forwards);
  // Half a flow forwards nothing either.
  if (forwarding.length !== 0 && forwarding.length !== found.length) return undefined;
  const { handle, vmSlot, generation, direction } = original.entry;
  for (const { entry, forwards } of found) if (!forwards) maps.destroyKey(entry.direction);
  return {
    flow: {
      handle,
      vmSlot,
      generation,
      original: direction,
      ...(reply === undefined ? {} : { reply: reply.entry.direction }),
    },
    indexes: reply === undefined ? [original.index] : [original.index, reply.index],
    isQuiescing: forwarding.length === 0,
  };
}

function remove(found: readonly Found[], maps: FlowMaps): readonly AdoptedFlow[] {
  for (const { index, entry } of found) {
    if (maps.lookupKey(entry.direction) === index) maps.destroyKey(entry.direction);
  }
  maps.setStates(
    found.map(({ index }) => index),
    STATE_FREE,
  );
  return [];
}
