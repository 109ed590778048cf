/**
 * Taking flows off the fast path.
 *
 * Pure. A withdrawal may follow its request before that is answered: the controller works in order, so it
 * cancels the installation or comes after it; an answer that contradicts makes an orphan, withdrawn again.
 */
import {
  type Epoch,
  FLOW_IDS_PER_WITHDRAW_MAX,
  type WithdrawResult,
} from "../offload-protocol/messages.ts";
import { finishFlow, settle } from "./closing.ts";
import type { EngineCore } from "./core.ts";
import { type AfterClose, type FlowRecord, strongerAfter } from "./flow-record.ts";
import { WITHDRAWALS_IN_FLIGHT_MAX } from "./limits.ts";
import { schedule } from "./schedule.ts";

/** Ends the flow's offload, whatever state it is in. */
export function withdraw(core: EngineCore, record: FlowRecord, after: AfterClose): void {
  record.after = strongerAfter(record.after, after);
  switch (record.state) {
    case "queued":
    case "waiting":
    case "refused":
      settleInside(core, record, record.after);
      return;
    case "preparing":
    case "withdrawing":
      return; // Looked at when the changes are made, or when the answer comes.
    case "requested":
    case "pending":
    case "active":
      core.setState(record, "withdrawing");
      core.toWithdraw.add(record);
      schedule(core, record);
  }
}

/** The flow never left: nothing was changed that would have to be restored. */
function settleInside(core: EngineCore, record: FlowRecord, after: AfterClose): void {
  if (after === "delete") settle(core, record, after);
  else core.forget(record);
}

/** Sends what waits, as far as messages may be in flight. */
export function flushWithdrawals(core: EngineCore): void {
  if (core.session !== "up") return;
  while (
    (core.toWithdraw.size > 0 || core.orphans.size > 0) &&
    core.countOutstanding("withdraw-offload") < WITHDRAWALS_IN_FLIGHT_MAX
  ) {
    const { epoch, flowIds } = takeBatch(core);
    core.send(
      { kind: "withdraw-offload", epoch, selection: { kind: "flow-ids", flowIds } },
      { kind: "withdraw-offload", epoch, flowIds },
    );
  }
}

/** Takes flows of one epoch out of what waits. */
function takeBatch(core: EngineCore): { readonly epoch: Epoch; readonly flowIds: bigint[] } {
  const flowIds = new Set<bigint>();
  let epoch: Epoch | undefined;
  for (const record of core.toWithdraw) {
    epoch ??= record.epoch;
    if (flowIds.size >= FLOW_IDS_PER_WITHDRAW_MAX) break;
    if (record.epoch !== epoch) continue;
    core.toWithdraw.delete(record);
    flowIds.add(record.flowId);
  }
  epoch ??= core.orphans.keys().next().value ?? core.options.epoch;
  const orphans = core.orphans.get(epoch);
  for (const flowId of orphans ?? []) {
    if (flowIds.size >= FLOW_IDS_PER_WITHDRAW_MAX) break;
    orphans?.delete(flowId);
    flowIds.add(flowId);
  }
  if (orphans?.size === 0) core.orphans.delete(epoch);
  return { epoch, flowIds: [...flowIds] };
}

/** Takes the answer: those flows match no packet any more. */
export function onWithdrawn(
  core: EngineCore,
  asked: { readonly epoch: Epoch; readonly flowIds: readonly bigint[] },
  results: readonly WithdrawResult[],
): void {
  const answered = new Set<bigint>();
  for (const result of results) {
    answered.add(result.flowId);
    const record = core.find(asked.epoch, result.flowId);
    if (record === undefined) continue; // An orphan, or its closing was told before.
    finishFlow(
      core,
      record,
      "withdrawn",
      result.outcome === "closed" ? result.counters : undefined,
    );
  }
  const missing = asked.flowIds.some(
    (flowId) => !answered.has(flowId) && core.find(asked.epoch, flowId) !== undefined,
  );
  if (missing) core.resetSession("a withdrawal was answered in part");
}
