/** What names a flow of a virtual machine, and the counters of one that never ran. Pure. */
import type { Epoch, FlowCounters } from "../offload-protocol/messages.ts";

/** Epoch and flow id in one number. */
export type FlowKey = bigint & { readonly brand: "FlowKey" };

const NO_DIRECTION: FlowCounters["original"] = {
  fastPackets: 0n,
  fastBytes: 0n,
  passedPackets: 0n,
  passedBytes: 0n,
};

/** Counters of a flow that was never programmed. */
export const NO_COUNTERS: FlowCounters = {
  original: NO_DIRECTION,
  reply: NO_DIRECTION,
  lastUsedMsAgo: 0n,
};

const FLOW_ID_BITS = 64n;
/** The epoch that came last, shifted: nearly always the next one's too. */
const lastEpoch: { text: Epoch; shifted: bigint } = { text: "" as Epoch, shifted: 0n };

export function flowKey(epoch: Epoch, flowId: bigint): FlowKey {
  if (epoch !== lastEpoch.text) {
    lastEpoch.shifted = BigInt(`0x${epoch}`) << FLOW_ID_BITS;
    lastEpoch.text = epoch;
  }
  return (lastEpoch.shifted | flowId) as FlowKey;
}
