/**
 * Flows as the bytes that the BPF maps hold: one action record for each direction, original first.
 *
 * Pure. The record is layout.ts's action: it has the match, the handle, slot and generation, and says whether it
 * is a reply, so that records behind each other are flows without any frame around them.
 */
import { assert } from "../lib/base/assert.ts";
import { ACTION_BYTES, boundsAt, decodeAction, encodeAction, isReplyAt } from "./bpf/layout.ts";
import type { FastPathFlow } from "./driver.ts";
import type { DriverLimits } from "./flow-registry.ts";

/** Where a flow's records are. */
export interface PackedFlow {
  readonly originalAt: number;
  /** -1 when there is none. */
  readonly replyAt: number;
}

/** Returns the records of flows that isSupported() accepts. */
export function packFlows(flows: readonly FastPathFlow[]): Buffer {
  let records = 0;
  for (const flow of flows) records += flow.reply === undefined ? 1 : 2;
  const bytes = Buffer.allocUnsafe(records * ACTION_BYTES);
  let at = 0;
  for (const { handle, vmSlot, generation, original, reply } of flows) {
    const entry = { handle, vmSlot, generation, isReply: false, direction: original };
    encodeAction(entry, bytes, at);
    at += ACTION_BYTES;
    if (reply === undefined) continue;
    encodeAction({ ...entry, isReply: true, direction: reply }, bytes, at);
    at += ACTION_BYTES;
  }
  return bytes;
}

/** Returns where each flow is. */
export function findPackedFlows(bytes: Buffer): PackedFlow[] {
  assert(bytes.length % ACTION_BYTES === 0, "records are whole");
  const flows: PackedFlow[] = [];
  for (let at = 0; at < bytes.length; ) {
    const next = at + ACTION_BYTES;
    const hasReply = next < bytes.length && isReplyAt(bytes, next);
    flows.push({ originalAt: at, replyAt: hasReply ? next : -1 });
    at = hasReply ? next + ACTION_BYTES : next;
  }
  return flows;
}

/** Returns whether a driver of these bounds can hold a flow that packFlows() wrote. */
export function isPackedWithin(
  bytes: Buffer,
  { originalAt, replyAt }: PackedFlow,
  { slotsMax, portsMax }: Pick<DriverLimits, "slotsMax" | "portsMax">,
): boolean {
  const isWithin = (at: number): boolean => {
    const { vmSlot, egressPortId } = boundsAt(bytes, at);
    return vmSlot >= 1 && vmSlot < slotsMax && egressPortId <= portsMax;
  };
  return isWithin(originalAt) && (replyAt < 0 || isWithin(replyAt));
}

/** Reads back what packFlows() wrote. */
export function unpackFlows(bytes: Buffer): FastPathFlow[] {
  return findPackedFlows(bytes).map(({ originalAt, replyAt }) => {
    const { handle, vmSlot, generation, direction } = decodeAction(bytes, originalAt);
    const flow = { handle, vmSlot, generation, original: direction };
    return replyAt < 0 ? flow : { ...flow, reply: decodeAction(bytes, replyAt).direction };
  });
}
