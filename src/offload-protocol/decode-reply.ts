/**
 * Replies from XML: the output of each rpc of the module.
 *
 * Pure. Source: yang/flowlift-offload.yang. A reply does not name its operation, so the caller does.
 */
import { finishCounters, readCountersChild } from "./decode-counters.ts";
import type { Collecting } from "./decode-direction.ts";
import { decodeFlow } from "./decode-flow.ts";
import type {
  Epoch,
  FlowCounters,
  HeldFlow,
  OffloadReply,
  OffloadResult,
  RefusalReason,
  WithdrawResult,
} from "./messages.ts";
import { failMissing, failMust, failUnknown } from "./xml-failures.ts";
import {
  nextData,
  readBoolean,
  readEnum,
  readEpoch,
  readUint,
  readUint64,
  UINT32_MAX,
} from "./xml-leaf.ts";
import type { XmlReader } from "./xml-reader.ts";

export const REFUSAL_REASONS: readonly [RefusalReason, ...RefusalReason[]] = [
  "unspecified",
  "malformed",
  "vnic-not-yours",
  "address-not-entitled",
  "port-not-entitled",
  "next-hop-not-on-segment",
  "location-unknown",
  "protocol-not-allowed",
  "idle-timeout-out-of-range",
  "directions-not-allowed",
  "duplicate",
  "flow-quota-exceeded",
  "rate-limited",
  "table-full",
  "unsupported-by-driver",
  "no-lease",
  "cancelled",
  "driver-failed",
  "version-conflict",
  "no-such-flow",
  "epoch-superseded",
];

type ReplyOf<K extends OffloadReply["kind"]> = Extract<OffloadReply, { readonly kind: K }>;

/** Reads the children of the open `rpc-reply`, the first of which is open already as `first`. */
export function decodeReplyBody(
  reader: XmlReader,
  kind: OffloadReply["kind"],
  first: string | undefined,
): OffloadReply {
  switch (kind) {
    case "request-offload":
      return { kind, results: readList(reader, first, "result", decodeOffloadResult) };
    case "withdraw-offload":
      return { kind, results: readList(reader, first, "closed", decodeWithdrawResult) };
    case "update-offload":
      return decodeUpdateReply(reader, first);
    case "get-flows":
      return decodeFlowsReply(reader, first);
    case "renew-lease":
      return { kind, leaseMs: decodeLeaseReply(reader, first) };
    case "acknowledge-events":
      for (let local = first; local !== undefined; local = nextData(reader)) {
        failUnknown(reader, local);
      }
      return { kind };
  }
}

function readList<T>(
  reader: XmlReader,
  first: string | undefined,
  name: string,
  decode: (reader: XmlReader) => T,
): T[] {
  const items: T[] = [];
  for (let local = first; local !== undefined; local = nextData(reader)) {
    if (local === name) items.push(decode(reader));
    else failUnknown(reader, local);
  }
  return items;
}

interface ResultParts {
  flowId?: bigint;
  outcome?: "unspecified" | "granted-pending" | "refused";
  reason?: RefusalReason;
  holder?: bigint;
  effectiveIdleTimeoutMs?: number;
}

function decodeOffloadResult(reader: XmlReader): OffloadResult {
  const parts: ResultParts = {};
  for (let local = nextData(reader); local !== undefined; local = nextData(reader)) {
    switch (local) {
      case "flow-id":
        reader.once(parts.flowId);
        parts.flowId = readUint64(reader);
        break;
      case "outcome":
        reader.once(parts.outcome);
        parts.outcome = readEnum<"unspecified" | "granted-pending" | "refused">(reader, [
          "unspecified",
          "granted-pending",
          "refused",
        ]);
        break;
      case "reason":
        reader.once(parts.reason);
        parts.reason = readEnum(reader, REFUSAL_REASONS);
        break;
      case "holder":
        reader.once(parts.holder);
        parts.holder = readUint64(reader);
        break;
      case "effective-idle-timeout":
        reader.once(parts.effectiveIdleTimeoutMs);
        parts.effectiveIdleTimeoutMs = readUint(reader, UINT32_MAX);
        break;
      default:
        failUnknown(reader, local);
    }
  }
  return finishResult(reader, parts);
}

function finishResult(reader: XmlReader, parts: ResultParts): OffloadResult {
  const { flowId, outcome, reason, holder, effectiveIdleTimeoutMs } = parts;
  if (flowId === undefined) failMissing(reader, "flow-id");
  if (outcome === undefined) failMissing(reader, "outcome");
  if (outcome === "granted-pending") {
    if (effectiveIdleTimeoutMs === undefined) failMissing(reader, "effective-idle-timeout");
    return { flowId: flowId ?? 0n, outcome, effectiveIdleTimeoutMs: effectiveIdleTimeoutMs ?? 0 };
  }
  // An unspecified outcome is a refusal: a missing verdict never forwards anything.
  if (outcome === "refused" && reason === undefined) failMissing(reader, "reason");
  return {
    flowId: flowId ?? 0n,
    outcome: "refused",
    reason: reason ?? "unspecified",
    ...(holder === undefined ? {} : { holder }),
  };
}

function decodeWithdrawResult(reader: XmlReader): WithdrawResult {
  let flowId: bigint | undefined;
  let outcome: "unspecified" | "closed" | "no-such-flow" | undefined;
  const counters: Collecting<FlowCounters> = {};
  for (let local = nextData(reader); local !== undefined; local = nextData(reader)) {
    if (local === "flow-id") {
      reader.once(flowId);
      flowId = readUint64(reader);
    } else if (local === "outcome") {
      reader.once(outcome);
      outcome = readEnum<"unspecified" | "closed" | "no-such-flow">(reader, [
        "unspecified",
        "closed",
        "no-such-flow",
      ]);
    } else if (!readCountersChild(reader, local, counters)) failUnknown(reader, local);
  }
  if (flowId === undefined) failMissing(reader, "flow-id");
  if (outcome === undefined) failMissing(reader, "outcome");
  if (outcome === "unspecified") failMust(reader, "An outcome is not 'unspecified'");
  if (outcome === "no-such-flow") return { flowId: flowId ?? 0n, outcome };
  return { flowId: flowId ?? 0n, outcome: "closed", counters: finishCounters(reader, counters) };
}

function decodeUpdateReply(reader: XmlReader, first: string | undefined): OffloadReply {
  const reply: Collecting<ReplyOf<"update-offload">> = { kind: "update-offload" };
  for (let local = first; local !== undefined; local = nextData(reader)) {
    if (local === "outcome") {
      reader.once(reply.outcome);
      reply.outcome = readEnum<"updated" | "refused">(reader, ["updated", "refused"]);
    } else if (local === "reason") {
      reader.once(reply.reason);
      reply.reason = readEnum(reader, REFUSAL_REASONS);
    } else if (local === "version") {
      reader.once(reply.version);
      reply.version = readUint64(reader);
    } else if (local === "effective-idle-timeout") {
      reader.once(reply.effectiveIdleTimeoutMs);
      reply.effectiveIdleTimeoutMs = readUint(reader, UINT32_MAX);
    } else failUnknown(reader, local);
  }
  if (reply.outcome === undefined) failMissing(reader, "outcome");
  if (reply.version === undefined) failMissing(reader, "version");
  return reply as ReplyOf<"update-offload">; // Complete, or a failure is kept and nobody looks.
}

function decodeFlowsReply(reader: XmlReader, first: string | undefined): OffloadReply {
  const flows: HeldFlow[] = [];
  let asOfSequence: bigint | undefined;
  let more: boolean | undefined;
  for (let local = first; local !== undefined; local = nextData(reader)) {
    if (local === "flow") flows.push(decodeHeldFlow(reader));
    else if (local === "as-of-sequence") {
      reader.once(asOfSequence);
      asOfSequence = readUint64(reader);
    } else if (local === "more") {
      reader.once(more);
      more = readBoolean(reader);
    } else failUnknown(reader, local);
  }
  if (asOfSequence === undefined) failMissing(reader, "as-of-sequence");
  if (more === undefined) failMissing(reader, "more");
  return { kind: "get-flows", asOfSequence: asOfSequence ?? 0n, more: more ?? false, flows };
}

function decodeHeldFlow(reader: XmlReader): HeldFlow {
  const held: Collecting<HeldFlow> = {};
  const counters: Collecting<FlowCounters> = {};
  const read = (local: string): boolean => {
    if (local === "epoch") {
      reader.once(held.epoch);
      held.epoch = readEpoch(reader);
      return true;
    }
    if (local !== "state") return readCountersChild(reader, local, counters);
    reader.once(held.state);
    held.state = readEnum<HeldFlow["state"]>(reader, ["pending", "active", "quiescing"]);
    return true;
  };
  const flow = decodeFlow(reader, { read });
  if (held.epoch === undefined) failMissing(reader, "epoch");
  if (held.state === undefined) failMissing(reader, "state");
  return {
    epoch: held.epoch ?? ("" as Epoch),
    flow,
    state: held.state ?? "pending",
    counters: finishCounters(reader, counters),
  };
}

function decodeLeaseReply(reader: XmlReader, first: string | undefined): number {
  let leaseMs: number | undefined;
  for (let local = first; local !== undefined; local = nextData(reader)) {
    if (local === "lease") {
      reader.once(leaseMs);
      leaseMs = readUint(reader, UINT32_MAX);
    } else failUnknown(reader, local);
  }
  if (leaseMs === undefined) failMissing(reader, "lease");
  return leaseMs ?? 0;
}
