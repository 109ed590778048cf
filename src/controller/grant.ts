/**
 * Decides each flow of a request: replayed, refused with a reason, or granted.
 *
 * Pure. The same (epoch, flow-id) twice gets the same answer.
 * Invariant: a virtual machine never holds more flows than its quota; every refusal is an effect.
 */
import { assert } from "../lib/base/assert.ts";
import type { FlowPlaces } from "../offload-protocol/cbor-decode-request.ts";
import type { OffloadFlow, OffloadRequest, OffloadResult } from "../offload-protocol/messages.ts";
import { type AuthorisedFlow, authoriseFlow, type Refusal } from "./authorise.ts";
import type { EncodedFlow } from "./core-effect.ts";
import { flowKey } from "./flow-key.ts";
import { FlowRecord } from "./flow-record.ts";
import { type HostCore, INSTALL_QUEUE_MAX } from "./host-core.ts";
import { startLife } from "./lifecycle.ts";
import type { RequestContext } from "./request-context.ts";
import type { VmState } from "./vm-state.ts";

/** Above this share of the driver's table each VM is held to its weighted share of it. */
export const TABLE_PRESSURE = 0.9;

type Requested = OffloadRequest & { kind: "request-offload" };

/** Returns one result for each flow, in order. */
export function requestFlows(context: RequestContext, request: Requested): OffloadResult[] {
  const { core, state, nowMs } = context;
  const whole = refuseWhole(context, request);
  const { batchMax } = state.vm.quota;
  const allowed = Math.min(batchMax, state.bucket.take(request.flows.length, nowMs));
  const share = shareOf(core, state);
  return request.flows.map((flow, index): OffloadResult => {
    const replayed = whole === undefined ? replay(context, request.epoch, flow) : undefined;
    if (replayed !== undefined) return replayed;
    const early = whole ?? (index >= allowed ? tooFast(batchMax) : checkRoom(core, state, share));
    if (early !== undefined) return refuse(context, request, flow, early);
    return decide(context, request, flow, index);
  });
}

function decide(
  context: RequestContext,
  request: Requested,
  flow: OffloadFlow,
  index: number,
): OffloadResult {
  const { core, state } = context;
  const authorised = authoriseFlow(
    flow,
    state.vm,
    (segmentId, mac) => core.locations.portOf(segmentId, mac),
    core.capabilities,
  );
  if (!authorised.ok) return refuse(context, request, flow, authorised.error);
  const holder = core.table.holderOf(authorised.value);
  if (holder !== undefined) {
    const refusal: Refusal = {
      reason: "duplicate",
      detail: `the match is held by flow ${holder.flowId} of ${holder.vmKey}`,
    };
    const result = refuse(context, request, flow, refusal);
    return holder.vmKey === state.vm.key ? { ...result, holder: holder.flowId } : result;
  }
  state.noteGranted(flow.flowId);
  const record = newRecord(context, request, flow, authorised.value);
  core.admit(record, state, flow, encodedFlow(context.places, index));
  const { flowId, idleTimeoutMs } = flow;
  return { flowId, outcome: "granted-pending", effectiveIdleTimeoutMs: idleTimeoutMs };
}

function encodedFlow(places: FlowPlaces | undefined, index: number): EncodedFlow | undefined {
  if (places === undefined) return undefined;
  assert(index < places.count, "the places are those of this request");
  return { bytes: places.bytes, start: places.at[index] ?? 0, end: places.at[index + 1] ?? 0 };
}

function newRecord(
  { core, state, receivedMs, nowMs }: RequestContext,
  request: Requested,
  flow: OffloadFlow,
  { original, reply, egressSegmentIds }: AuthorisedFlow,
): FlowRecord {
  const { slot } = state.vm;
  const { generation } = state;
  const handle = core.table.drawHandle();
  const fast =
    reply === undefined
      ? { handle, vmSlot: slot, generation, original }
      : { handle, vmSlot: slot, generation, original, reply };
  return new FlowRecord({
    vmKey: state.vm.key,
    epoch: request.epoch,
    flow,
    fast,
    egressSegmentIds,
    phase: startLife(nowMs),
    nowMs,
    times: { requestedMs: receivedMs, grantedMs: nowMs },
  });
}

function refuse(
  { core, state }: RequestContext,
  request: Requested,
  flow: OffloadFlow,
  refusal: Refusal,
): OffloadResult & { outcome: "refused" } {
  state.countRefusal(refusal.reason);
  core.emit({ kind: "refused", vmKey: state.vm.key, epoch: request.epoch, flow, refusal });
  return { flowId: flow.flowId, outcome: "refused", reason: refusal.reason };
}

function refuseWhole({ state, nowMs }: RequestContext, request: Requested): Refusal | undefined {
  if (!state.enterEpoch(request.epoch)) {
    return { reason: "epoch-superseded", detail: `epoch ${request.epoch} was replaced` };
  }
  if (nowMs >= state.leaseEndsMs) return { reason: "no-lease", detail: "the lease is over" };
  return undefined;
}

function tooFast(batchMax: number): Refusal {
  return {
    reason: "rate-limited",
    detail: `more than ${batchMax} flows in a request, or more flows than requests-per-second`,
  };
}

/** The answer that the flow got before, if it did. */
function replay(
  { core, state }: RequestContext,
  epoch: Requested["epoch"],
  flow: OffloadFlow,
): OffloadResult | undefined {
  const { flowId } = flow;
  if (state.isNewId(flowId)) return undefined;
  const key = flowKey(epoch, flowId);
  const ended = state.ended.get(key);
  if (ended !== undefined) return { flowId, outcome: "granted-pending", ...ended };
  const held = core.table.find(state.vm.key, key);
  if (held === undefined) return undefined;
  if (isSameFlow(held.flow, flow)) {
    const effectiveIdleTimeoutMs = held.idleTimeoutMs;
    return { flowId, outcome: "granted-pending", effectiveIdleTimeoutMs };
  }
  state.countRefusal("duplicate");
  const refusal: Refusal = { reason: "duplicate", detail: "the flow id names another flow" };
  core.emit({ kind: "refused", vmKey: state.vm.key, epoch, flow, refusal });
  return { flowId, outcome: "refused", reason: "duplicate", holder: flowId };
}

/** Returns whether both ask for the same; an update may have changed timeout, egress and version. */
function isSameFlow(a: OffloadFlow, b: OffloadFlow): boolean {
  const essence = (flow: OffloadFlow): string =>
    JSON.stringify([
      flow.service,
      flow.policyTag,
      String(flow.policyEpoch),
      flow.directions,
      ...[flow.original, flow.reply].flatMap((direction) =>
        direction === undefined
          ? []
          : [sorted(direction.match), sorted(direction.rewrite), direction.egress.vnic],
      ),
    ]);
  return essence(a) === essence(b);
}

function sorted(fields: object): readonly (readonly [string, unknown])[] {
  return Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1));
}

function checkRoom(core: HostCore, state: VmState, share: number): Refusal | undefined {
  const { flowsMax } = state.vm.quota;
  if (state.flowCount >= flowsMax) {
    return { reason: "flow-quota-exceeded", detail: `${flowsMax} flows are held already` };
  }
  if (!state.events.hasRoomFor(1, state.owedEvents)) {
    return { reason: "rate-limited", detail: "too many events are not acknowledged" };
  }
  if (core.installsWaiting >= INSTALL_QUEUE_MAX) {
    return { reason: "rate-limited", detail: "too many flows wait for the driver" };
  }
  const tableMax = core.capabilities.flowsMax;
  if (core.table.count >= tableMax) {
    return { reason: "table-full", detail: `the fast path holds ${tableMax} flows` };
  }
  if (core.table.count >= TABLE_PRESSURE * tableMax && state.flowCount >= share) {
    const detail = `the table is nearly full, and the fair share of ${share} flows is used`;
    return { reason: "table-full", detail };
  }
  return undefined;
}

/** The VM's part of the table when every VM that is connected or holds flows wants its whole quota. */
function shareOf(core: HostCore, state: VmState): number {
  let weights = 0;
  for (const other of core.vms.values()) {
    if (other === state || other.isConnected || other.flowCount > 0) {
      weights += other.vm.quota.flowsMax;
    }
  }
  const weight = state.vm.quota.flowsMax;
  return weights === 0 ? 0 : Math.floor((core.capabilities.flowsMax * weight) / weights);
}
