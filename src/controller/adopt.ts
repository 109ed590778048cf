/**
 * Takes back what the journal says: flows that the fast path may still hold, events nobody acknowledged.
 *
 * Pure. A flow that the present configuration no longer allows is not taken back: its end is told, and the
 * fast path's entry, which nobody claims then, is removed when the driver is attached.
 */

import type { OffloadFlow } from "../offload-protocol/messages.ts";
import { authoriseFlow } from "./authorise.ts";
import { flowKey } from "./flow-key.ts";
import { FlowRecord } from "./flow-record.ts";
import type { HostCore } from "./host-core.ts";
import type { JournalFlow, JournalledVm, JournalRecord } from "./journal-record.ts";
import type { FlowPhase } from "./lifecycle.ts";
import type { HostPort, VirtualMachine } from "./model.ts";
import type { VmState } from "./vm-state.ts";

/** Restores one virtual machine; its state is fresh. Returns how many flows were taken back. */
export function adoptVm(
  core: HostCore,
  state: VmState,
  ports: readonly HostPort[],
  journalled: JournalledVm,
  nowMs: number,
): number {
  state.noteRestored();
  for (const { event, idleTimeoutMs } of journalled.events) {
    state.events.restore(event);
    if (event.what.kind === "activated") continue;
    const key = flowKey(event.epoch, event.flowId);
    state.ended.set(key, { effectiveIdleTimeoutMs: idleTimeoutMs });
  }
  let adopted = 0;
  for (const flow of journalled.flows.values()) {
    core.table.reserveHandle(flow.handle);
    const record = restoreRecord(core, state.vm, ports, flow, nowMs);
    if (record === undefined) {
      core.tellLost(state, flow);
      continue;
    }
    core.adopt(record, state);
    // The slot must stay at the generation that the entries carry.
    state.generation = Math.max(state.generation, flow.generation);
    adopted++;
  }
  if (adopted > 0) state.leaseEndsMs = nowMs + core.leaseMs;
  return adopted;
}

function restoreRecord(
  core: HostCore,
  vm: VirtualMachine,
  ports: readonly HostPort[],
  journalled: JournalFlow,
  nowMs: number,
): FlowRecord | undefined {
  const { flow, epoch, handle, generation, egressPortIds } = journalled;
  const authorised = authoriseFlow(flow, vm, locateFrom(ports, journalled), core.capabilities);
  if (!authorised.ok) return undefined;
  const { original, reply, egressSegmentIds } = authorised.value;
  const isSamePorts =
    original.egressPortId === egressPortIds[0] && reply?.egressPortId === egressPortIds[1];
  const isHeld = core.table.holderOf(authorised.value) !== undefined;
  if (!isSamePorts || isHeld) return undefined;
  const phase: FlowPhase = journalled.isActive
    ? { kind: "active" }
    : { kind: "installing", deadlineMs: Number.POSITIVE_INFINITY, unwanted: undefined };
  return new FlowRecord({
    vmKey: vm.key,
    epoch,
    flow,
    fast: {
      handle,
      vmSlot: vm.slot,
      generation,
      original,
      ...(reply === undefined ? {} : { reply }),
    },
    egressSegmentIds,
    phase,
    nowMs,
    times: {
      requestedMs: nowMs,
      grantedMs: nowMs,
      ...(journalled.isActive ? { activeMs: nowMs } : {}),
    },
  });
}

/** The places where the next hops were when the flow was granted, if those ports still are what they were. */
function locateFrom(
  ports: readonly HostPort[],
  { flow, egressPortIds }: JournalFlow,
): (segmentId: number, mac: string) => number | undefined {
  return (segmentId, mac) => {
    const known = [
      { nextHop: flow.original.egress.nextHop, portId: egressPortIds[0] },
      { nextHop: flow.reply?.egress.nextHop, portId: egressPortIds[1] },
    ];
    return known
      .filter(({ nextHop }) => nextHop === mac)
      .map(({ portId }) => ports.find((port) => port.portId === portId))
      .find((port) => port?.segment.id === segmentId)?.portId;
  };
}

/** Returns what the journal keeps of a flow. */
export function toJournalFlow(record: FlowRecord, flow: OffloadFlow = record.flow): JournalFlow {
  const { vmKey, epoch, fast, phase } = record;
  return {
    vmKey,
    epoch,
    handle: fast.handle,
    generation: fast.generation,
    flow,
    isActive: phase.kind === "active" || phase.kind === "quiescing",
    egressPortIds: [fast.original.egressPortId, fast.reply?.egressPortId],
  };
}

/** Returns whether a flow is entitled under a newer configuration exactly as it is programmed. */
export function isStillEntitled(core: HostCore, record: FlowRecord, vm: VirtualMachine): boolean {
  const { original, reply } = record.fast;
  const places = new Map([
    [`${record.egressSegmentIds[0]} ${original.newDestinationMac}`, original.egressPortId],
    ...(reply === undefined
      ? []
      : [
          [`${record.egressSegmentIds[1]} ${reply.newDestinationMac}`, reply.egressPortId] as const,
        ]),
  ]);
  const judged = authoriseFlow(
    record.flow,
    vm,
    (segmentId, mac) => places.get(`${segmentId} ${mac}`),
    core.capabilities,
  );
  if (!judged.ok) return false;
  const before = JSON.stringify([original, reply]);
  return JSON.stringify([judged.value.original, judged.value.reply]) === before;
}

/** Returns the events that are not acknowledged, and the numbers that come next. */
export function snapshotEvents(core: HostCore): JournalRecord[] {
  const records: JournalRecord[] = [];
  for (const [vmKey, state] of core.vms) {
    for (const event of state.events.listUnacked()) {
      const ended = state.ended.get(flowKey(event.epoch, event.flowId));
      const idleTimeoutMs = ended?.effectiveIdleTimeoutMs ?? 0;
      records.push({ kind: "event", vmKey, handle: 0, idleTimeoutMs, event });
    }
    records.push({ kind: "sequence", vmKey, next: state.events.lastSequence + 1n });
  }
  return records;
}

/** Says of each flow that is held now how it is when it is asked for. */
export function* snapshotFlows(core: HostCore): Generator<JournalRecord> {
  for (const record of [...core.table.list()]) {
    if (record.phase.kind !== "closed") yield { kind: "changed", flow: toJournalFlow(record) };
  }
}
