/**
 * Changes an active flow: timeout, next hop, MTU; compare-and-set on its version.
 *
 * Pure. A new next hop is authorised like the first one was.
 */
import type { FastPathDirection } from "../fast-path/driver.ts";
import { err, ok, type Result } from "../lib/base/result.ts";
import type {
  EgressUpdate,
  FlowDirection,
  OffloadRequest,
  RefusalReason,
} from "../offload-protocol/messages.ts";
import { checkIdleTimeout, locateNextHop, type Refusal } from "./authorise.ts";
import { flowKey } from "./flow-key.ts";
import type { FlowRecord } from "./flow-record.ts";
import type { RequestContext, RequestOutcome } from "./request-context.ts";
import { noteUnknown } from "./unknown-flows.ts";

type Update = OffloadRequest & { kind: "update-offload" };

/** Carries out `update-offload`; the driver is told by an `update` effect. */
export function updateFlow(context: RequestContext, request: Update): RequestOutcome {
  const { core, state } = context;
  const record = core.table.find(state.vm.key, flowKey(request.epoch, request.flowId));
  if (record?.phase.kind !== "active") {
    if (record === undefined)
      noteUnknown(context, "update-offload", request.epoch, [request.flowId]);
    return refused("no-such-flow", 0n);
  }
  const { version } = record;
  if (version !== request.expectedVersion) return refused("version-conflict", version);
  const changed = change(context, record, request);
  if (!changed.ok) {
    state.countRefusal(changed.error.reason);
    const { epoch, flow } = record;
    core.emit({ kind: "refused", vmKey: state.vm.key, epoch, flow, refusal: changed.error });
    return refused(changed.error.reason, version);
  }
  const { original, reply } = changed.value;
  record.version = version + 1n;
  record.idleTimeoutMs = request.idleTimeoutMs ?? record.idleTimeoutMs;
  core.table.replaceEgress(record, {
    ...record.fast,
    original: original ?? record.fast.original,
    ...(reply === undefined ? {} : { reply }),
  });
  const directions = [
    ...(original === undefined ? [] : (["original"] as const)),
    ...(reply === undefined ? [] : (["reply"] as const)),
  ];
  core.emit({ kind: "update", record, changed: directions });
  return {
    kind: "reply",
    reply: {
      kind: "update-offload",
      outcome: "updated",
      version: record.version,
      effectiveIdleTimeoutMs: record.idleTimeoutMs,
    },
  };
}

function refused(reason: RefusalReason, version: bigint): RequestOutcome {
  return {
    kind: "reply",
    reply: { kind: "update-offload", outcome: "refused", reason, version },
  };
}

function change(
  context: RequestContext,
  record: FlowRecord,
  request: Update,
): Result<{ original?: FastPathDirection; reply?: FastPathDirection }, Refusal> {
  const { flow, fast } = record;
  if (request.idleTimeoutMs !== undefined) {
    const problem = checkIdleTimeout(request.idleTimeoutMs, context.state.vm.quota);
    if (problem !== undefined) return err(problem);
  }
  const original = changeEgress(context, flow.original, fast.original, request.originalEgress);
  if (!original.ok) return original;
  const replyUpdate = request.replyEgress;
  if (replyUpdate !== undefined && (flow.reply === undefined || fast.reply === undefined)) {
    return err({ reason: "directions-not-allowed", detail: "the flow has no reply direction" });
  }
  const reply =
    flow.reply === undefined || fast.reply === undefined
      ? ok(undefined)
      : changeEgress(context, flow.reply, fast.reply, replyUpdate);
  if (!reply.ok) return reply;
  return ok({
    ...(original.value === undefined ? {} : { original: original.value }),
    ...(reply.value === undefined ? {} : { reply: reply.value }),
  });
}

function changeEgress(
  { core, state }: RequestContext,
  direction: FlowDirection,
  fast: FastPathDirection,
  update: EgressUpdate | undefined,
): Result<FastPathDirection | undefined, Refusal> {
  if (update === undefined) return ok(undefined);
  const egress = {
    ...direction.egress,
    nextHop: update.nextHop ?? direction.egress.nextHop,
    mtuBytes: update.mtuBytes ?? direction.egress.mtuBytes,
  };
  const vnic = state.vm.vnics.get(egress.vnic);
  if (vnic === undefined) {
    return err({ reason: "vnic-not-yours", detail: `vNIC ${egress.vnic} is not attached` });
  }
  const port = locateNextHop({ egress: vnic, direction: { egress } }, state.vm, (segment, mac) =>
    core.locations.portOf(segment, mac),
  );
  if (!port.ok) return port;
  return ok({
    ...fast,
    newDestinationMac: egress.nextHop,
    egressPortId: port.value,
    mtuBytes: egress.mtuBytes,
  });
}
