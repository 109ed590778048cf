/**
 * Routes, neighbours or interfaces changed: offloaded flows follow, or come back.
 *
 * Pure. A new next hop or MTU is told in place, compare-and-set on the flow's version; anything else withdraws
 * the flow and asks anew.
 */
import type { EgressUpdate, FlowDirection, OffloadReply } from "../offload-protocol/messages.ts";
import type { EngineCore } from "./core.ts";
import { findPath } from "./flow-path.ts";
import type { FlowRecord } from "./flow-record.ts";
import { UPDATES_IN_FLIGHT_MAX } from "./limits.ts";
import { sameWay } from "./resync.ts";
import { withdraw } from "./withdrawal.ts";

/** Looks at every flow that the controller may hold. */
export function onPathsChanged(core: EngineCore): void {
  for (const record of [...core.byKey.values()]) {
    const { state } = record;
    if (state === "requested" || state === "pending" || state === "active") repath(core, record);
    else if (state === "preparing") record.after ??= "requeue";
    else if (state === "waiting") core.timers.set(record, core.nowMs);
  }
}

function repath(core: EngineCore, record: FlowRecord): void {
  const path = findPath(record.entry, core.interfaces, core.options.locate);
  const { flow } = record;
  if (path.kind !== "path" || flow?.reply === undefined) {
    core.tally.count("paths-lost");
    withdraw(core, record, "requeue");
    return;
  }
  const original = sameWay(flow.original, path.original);
  const reply = sameWay(flow.reply, path.reply);
  if (original && reply) return;
  const fits =
    record.state === "active" &&
    record.epoch === core.options.epoch &&
    core.session === "up" &&
    core.countOutstanding("update-offload") < UPDATES_IN_FLIGHT_MAX &&
    onlyHopDiffers(flow.original, path.original) &&
    onlyHopDiffers(flow.reply, path.reply);
  if (!fits) {
    core.tally.count("paths-changed-withdrawn");
    withdraw(core, record, "requeue");
    return;
  }
  core.tally.count("paths-changed-updated");
  core.send(
    {
      kind: "update-offload",
      epoch: record.epoch,
      flowId: record.flowId,
      expectedVersion: flow.version,
      ...(!original && { originalEgress: hopOf(path.original) }),
      ...(!reply && { replyEgress: hopOf(path.reply) }),
    },
    { kind: "update-offload", epoch: record.epoch, flowId: record.flowId },
  );
  record.flow = { ...flow, original: path.original, reply: path.reply };
}

function onlyHopDiffers(before: FlowDirection, now: FlowDirection): boolean {
  const { nextHop, mtuBytes } = now.egress;
  return sameWay({ ...before, egress: { ...before.egress, nextHop, mtuBytes } }, now);
}

function hopOf(direction: FlowDirection): EgressUpdate {
  return { nextHop: direction.egress.nextHop, mtuBytes: direction.egress.mtuBytes };
}

export function onUpdated(
  core: EngineCore,
  asked: { readonly epoch: FlowRecord["epoch"]; readonly flowId: bigint },
  reply: OffloadReply & { kind: "update-offload" },
): void {
  const record = core.find(asked.epoch, asked.flowId);
  if (record?.flow === undefined) return;
  if (reply.outcome === "updated") record.flow = { ...record.flow, version: reply.version };
  else {
    core.tally.count("updates-refused");
    withdraw(core, record, "requeue");
  }
}
