/**
 * The server side of the offload protocol for one virtual machine: requests in, answers out.
 *
 * Pure: (core, virtual machine, request, now) → answer now, or an effect later.
 * Limit: RESULTS_PER_WITHDRAW_MAX results in one answer; the events tell of the rest.
 */
import { assert } from "../lib/base/assert.ts";
import {
  type HeldFlow,
  MESSAGE_BYTES_MAX,
  type OffloadReply,
  type OffloadRequest,
  type WithdrawResult,
  type WithdrawSelection,
} from "../offload-protocol/messages.ts";
import { flowKey, NO_COUNTERS } from "./flow-key.ts";
import type { FlowRecord } from "./flow-record.ts";
import { requestFlows } from "./grant.ts";
import type { RequestContext, RequestOutcome } from "./request-context.ts";
import { noteUnknown } from "./unknown-flows.ts";
import { updateFlow } from "./update-flow.ts";
import { WITHDRAWS_WAITING_MAX } from "./vm-state.ts";

/** Keeps the answer within MESSAGE_BYTES_MAX. */
export const RESULTS_PER_WITHDRAW_MAX = 4096;
/** Bytes of the flows in an answer to `get-flows`, which leaves room for what stands around them. */
export const PAGE_BYTES_MAX: number = MESSAGE_BYTES_MAX - 4096;

/** Carries out one request that was validated. */
export function handleRequest(context: RequestContext, request: OffloadRequest): RequestOutcome {
  switch (request.kind) {
    case "request-offload":
      return reply({ kind: "request-offload", results: requestFlows(context, request) });
    case "withdraw-offload":
      return withdrawFlows(context, request);
    case "update-offload":
      return updateFlow(context, request);
    case "get-flows":
      return reply(getFlows(context, request));
    case "renew-lease":
      renewLease(context);
      context.state.enterEpoch(request.epoch);
      return reply({ kind: "renew-lease", leaseMs: context.core.leaseMs });
    case "acknowledge-events":
      acknowledge(context, request.sequence);
      return reply({ kind: "acknowledge-events" });
  }
}

function reply(value: OffloadReply): RequestOutcome {
  return { kind: "reply", reply: value };
}

/** Keeps all of the VM's flows for another lease. */
export function renewLease(context: Pick<RequestContext, "core" | "state" | "nowMs">): void {
  const { core, state, nowMs } = context;
  state.leaseEndsMs = nowMs + core.leaseMs;
  state.hasRenewed = true;
  core.emit({
    kind: "set-slot",
    slot: state.vm.slot,
    generation: state.generation,
    leaseMs: core.leaseMs,
  });
}

function acknowledge(context: RequestContext, sequence: bigint): void {
  const { core, state } = context;
  const acked = state.events.acknowledge(sequence);
  for (const event of acked) {
    if (event.what.kind !== "activated") state.ended.delete(flowKey(event.epoch, event.flowId));
  }
  const last = acked.at(-1);
  if (last === undefined) return;
  core.emit({ kind: "acknowledged", vmKey: state.vm.key, sequence: last.sequence });
}

function withdrawFlows(
  context: RequestContext,
  request: OffloadRequest & { kind: "withdraw-offload" },
): RequestOutcome {
  const { core, state, nowMs } = context;
  if (state.withdrawsWaiting >= WITHDRAWS_WAITING_MAX) {
    const message = `${WITHDRAWS_WAITING_MAX} withdrawals wait for their end already`;
    return { kind: "too-many", message };
  }
  const { records, unknown } = select(context, request.epoch, request.selection);
  noteUnknown(context, "withdraw-offload", request.epoch, unknown);
  const results = new Map<bigint, WithdrawResult>();
  for (const { flowId } of records.slice(0, RESULTS_PER_WITHDRAW_MAX)) {
    // Keeps the order; each is replaced when the flow has ended.
    results.set(flowId, { flowId, outcome: "closed", counters: NO_COUNTERS });
  }
  for (const flowId of unknown) results.set(flowId, { flowId, outcome: "no-such-flow" });
  let left = records.length;
  const finish = (): OffloadReply => ({
    kind: "withdraw-offload",
    results: [...results.values()],
  });
  if (left === 0) return reply(finish());
  state.withdrawsWaiting++;
  for (const record of records) {
    const { flowId } = record;
    core.onEnd(record, (_, counters) => {
      if (results.has(flowId)) results.set(flowId, { flowId, outcome: "closed", counters });
      left--;
      if (left > 0) return;
      state.withdrawsWaiting--;
      core.emit({ kind: "reply", token: context.token, reply: finish() });
    });
  }
  for (const record of records) core.withdraw(record, "withdrawn", nowMs);
  return { kind: "later" };
}

function select(
  { core, state }: RequestContext,
  epoch: FlowRecord["epoch"],
  selection: WithdrawSelection,
): { readonly records: readonly FlowRecord[]; readonly unknown: readonly bigint[] } {
  const flows = core.table.ofVm(state.vm.key);
  if (selection.kind !== "flow-ids") {
    const records = [...flows.values()].filter(
      (record) =>
        record.epoch === epoch &&
        (selection.kind === "all" || record.policyTag === selection.policyTag),
    );
    return { records, unknown: [] };
  }
  const records: FlowRecord[] = [];
  const unknown: bigint[] = [];
  for (const flowId of new Set(selection.flowIds)) {
    const record = flows.get(flowKey(epoch, flowId));
    if (record === undefined) unknown.push(flowId);
    else records.push(record);
  }
  return { records, unknown };
}

function getFlows(
  context: RequestContext,
  request: OffloadRequest & { kind: "get-flows" },
): OffloadReply {
  const { core, state, nowMs } = context;
  const { after } = request;
  if (after === undefined || state.snapshot === undefined) {
    const records = [...core.table.ofVm(state.vm.key).values()];
    records.sort((a, b) => compare(a.epoch, b.epoch) || compare(a.flowId, b.flowId));
    state.snapshot = { asOfSequence: state.events.lastSequence, records };
  }
  const { asOfSequence, records } = state.snapshot;
  const isAfter = (record: FlowRecord): boolean =>
    after === undefined ||
    (compare(record.epoch, after.epoch) || compare(record.flowId, after.flowId)) > 0;
  // Of what ended since, an event later than `asOfSequence` tells.
  const rest = records.filter((record) => record.phase.kind !== "closed" && isAfter(record));
  const page = fitPage(context, rest, request.limit);
  const more = rest.length > page.length;
  if (!more) state.snapshot = undefined;
  return {
    kind: "get-flows",
    asOfSequence,
    more,
    flows: page.map((record) => toHeldFlow(record, nowMs)),
  };
}

/** Returns as many as the limit and a message take; at least one. */
function fitPage(
  { flowBytesMax }: RequestContext,
  records: readonly FlowRecord[],
  limit: number,
): readonly FlowRecord[] {
  let bytes = 0;
  const page: FlowRecord[] = [];
  for (const record of records) {
    bytes += flowBytesMax(record.flow);
    if (page.length >= limit || (bytes > PAGE_BYTES_MAX && page.length > 0)) break;
    page.push(record);
  }
  return page;
}

function compare<T extends string | bigint>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Returns the flow as the VM sees it; counters are those last read. */
export function toHeldFlow(record: FlowRecord, nowMs: number): HeldFlow {
  const { kind } = record.phase;
  assert(kind !== "closed", "a closed flow is not held");
  const state = kind === "active" || kind === "quiescing" ? kind : "pending";
  const sinceRead = BigInt(Math.max(0, Math.floor(nowMs - record.countersAtMs)));
  const { counters } = record;
  return {
    epoch: record.epoch,
    flow: record.flow,
    state,
    counters: { ...counters, lastUsedMsAgo: counters.lastUsedMsAgo + sinceRead },
  };
}
