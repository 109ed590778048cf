/**
 * Requests, replies and notifications as the CBOR map of their operation, without envelope.
 *
 * Pure. Source: yang/flowlift-offload.yang, cbor-sids.ts; RFC 9254.
 */
import { assert } from "../lib/base/assert.ts";
import {
  COUNTERS_PAIRS,
  FLOW_BYTES_MAX,
  flowPairs,
  writeCounters,
  writeEgressUpdate,
  writeFlow,
} from "./cbor-flow.ts";
import {
  ACKNOWLEDGE,
  ACTIVATED,
  CLOSED,
  CREDIT,
  EVENT,
  EVENT_CLOSED,
  FLOW,
  FLOW_EVENTS,
  FLOW_STATISTICS,
  GET_FLOWS,
  REFUSED_LATE,
  RENEW_LEASE,
  REQUEST,
  RESULT,
  STATISTIC,
  UPDATE,
  WITHDRAW,
} from "./cbor-sids.ts";
import type { CborWriter } from "./cbor-writer.ts";
import { DIRECTIONS } from "./decode-flow.ts";
import { CLOSE_CAUSES } from "./decode-notification.ts";
import { REFUSAL_REASONS } from "./decode-reply.ts";
import {
  FLOW_IDS_PER_WITHDRAW_MAX,
  FLOWS_PER_REQUEST_MAX,
  type FlowEvent,
  type HeldFlow,
  type OffloadNotification,
  type OffloadReply,
  type OffloadRequest,
  type OffloadResult,
  type WithdrawResult,
} from "./messages.ts";

/** More than anything of a fixed size takes. */
const ITEM_BYTES_MAX = 128;
const ID_BYTES_MAX = 9;
export const STATES = ["unspecified", "pending", "active", "quiescing"] as const;

type RequestOf<K extends OffloadRequest["kind"]> = Extract<OffloadRequest, { readonly kind: K }>;
type ReplyOf<K extends OffloadReply["kind"]> = Extract<OffloadReply, { readonly kind: K }>;

/** Writes the map of an operation's input. */
export function writeRequest(writer: CborWriter, request: OffloadRequest): void {
  writer.reserve(ITEM_BYTES_MAX);
  switch (request.kind) {
    case "request-offload": {
      const { length } = request.flows;
      assert(length > 0 && length <= FLOWS_PER_REQUEST_MAX, "a request has 1 to 1024 flows");
      writer.map(2);
      writer.keyText(REQUEST.epoch, request.epoch);
      writer.key(REQUEST.flow);
      writer.array(length);
      for (const flow of request.flows) {
        writer.reserve(FLOW_BYTES_MAX);
        writer.map(flowPairs(flow));
        writeFlow(writer, flow);
      }
      return;
    }
    case "withdraw-offload":
      writeWithdraw(writer, request);
      return;
    case "update-offload":
      writeUpdate(writer, request);
      return;
    case "get-flows":
      writer.map(request.after === undefined ? 1 : 3);
      if (request.after !== undefined) {
        writer.keyText(GET_FLOWS.afterEpoch, request.after.epoch);
        writer.keyUint64(GET_FLOWS.afterFlowId, request.after.flowId);
      }
      writer.keyUint(GET_FLOWS.limit, request.limit);
      return;
    case "renew-lease":
      writer.map(1);
      writer.keyText(RENEW_LEASE.epoch, request.epoch);
      return;
    case "acknowledge-events":
      writer.map(1);
      writer.keyUint64(ACKNOWLEDGE.sequence, request.sequence);
  }
}

function writeWithdraw(
  writer: CborWriter,
  { epoch, selection }: RequestOf<"withdraw-offload">,
): void {
  writer.map(2);
  writer.keyText(WITHDRAW.epoch, epoch);
  if (selection.kind === "all") {
    writer.key(WITHDRAW.all);
    writer.null();
  } else if (selection.kind === "policy-tag") {
    writer.keyUint(WITHDRAW.policyTag, selection.policyTag);
  } else {
    const { length } = selection.flowIds;
    assert(length > 0 && length <= FLOW_IDS_PER_WITHDRAW_MAX, "a withdrawal has 1 to 4096 ids");
    writer.key(WITHDRAW.flowId);
    writer.array(length);
    writer.reserve(ID_BYTES_MAX * length);
    for (const flowId of selection.flowIds) writer.uint64(flowId);
  }
}

function writeUpdate(writer: CborWriter, request: RequestOf<"update-offload">): void {
  const { epoch, flowId, expectedVersion, idleTimeoutMs, originalEgress, replyEgress } = request;
  const options = [idleTimeoutMs, originalEgress, replyEgress];
  writer.map(3 + options.filter((option) => option !== undefined).length);
  writer.keyText(UPDATE.epoch, epoch);
  writer.keyUint64(UPDATE.flowId, flowId);
  writer.keyUint64(UPDATE.expectedVersion, expectedVersion);
  if (idleTimeoutMs !== undefined) writer.keyUint(UPDATE.idleTimeout, idleTimeoutMs);
  if (originalEgress !== undefined) {
    writer.key(UPDATE.originalEgress);
    writeEgressUpdate(writer, originalEgress);
  }
  if (replyEgress !== undefined) {
    writer.key(UPDATE.replyEgress);
    writeEgressUpdate(writer, replyEgress);
  }
}

/** Writes the map of an operation's output; `acknowledge-events` has none. */
export function writeReply(writer: CborWriter, reply: OffloadReply): void {
  writer.reserve(ITEM_BYTES_MAX);
  switch (reply.kind) {
    case "request-offload":
      writer.map(1);
      writer.key(REQUEST.result);
      writer.array(reply.results.length);
      for (const result of reply.results) writeResult(writer, result);
      return;
    case "withdraw-offload":
      writer.map(1);
      writer.key(WITHDRAW.closed);
      writer.array(reply.results.length);
      for (const result of reply.results) writeClosed(writer, result);
      return;
    case "update-offload":
      writeUpdateReply(writer, reply);
      return;
    case "get-flows":
      writer.map(3);
      writer.keyUint64(GET_FLOWS.asOfSequence, reply.asOfSequence);
      writer.key(GET_FLOWS.more);
      writer.boolean(reply.more);
      writer.key(GET_FLOWS.flow);
      writer.array(reply.flows.length);
      for (const held of reply.flows) writeHeldFlow(writer, held);
      return;
    case "renew-lease":
      writer.map(1);
      writer.keyUint(RENEW_LEASE.lease, reply.leaseMs);
      return;
    case "acknowledge-events":
      writer.map(0);
  }
}

function writeResult(writer: CborWriter, result: OffloadResult): void {
  writer.reserve(ITEM_BYTES_MAX);
  if (result.outcome === "granted-pending") {
    writer.map(3);
    writer.keyUint64(RESULT.flowId, result.flowId);
    writer.keyUint(RESULT.outcome, 1);
    writer.keyUint(RESULT.effectiveIdleTimeout, result.effectiveIdleTimeoutMs);
    return;
  }
  writer.map(result.holder === undefined ? 3 : 4);
  writer.keyUint64(RESULT.flowId, result.flowId);
  writer.keyUint(RESULT.outcome, 2);
  writer.keyUint(RESULT.reason, REFUSAL_REASONS.indexOf(result.reason));
  if (result.holder !== undefined) writer.keyUint64(RESULT.holder, result.holder);
}

function writeClosed(writer: CborWriter, result: WithdrawResult): void {
  writer.reserve(FLOW_BYTES_MAX);
  const isClosed = result.outcome === "closed";
  writer.map(isClosed ? 2 + COUNTERS_PAIRS : 2);
  writer.keyUint64(CLOSED.flowId, result.flowId);
  writer.keyUint(CLOSED.outcome, isClosed ? 1 : 2);
  if (isClosed) writeCounters(writer, CLOSED.counters, result.counters);
}

function writeUpdateReply(writer: CborWriter, reply: ReplyOf<"update-offload">): void {
  const { outcome, reason, version, effectiveIdleTimeoutMs } = reply;
  const options = [reason, effectiveIdleTimeoutMs].filter((option) => option !== undefined);
  writer.map(2 + options.length);
  writer.keyUint(UPDATE.outcome, outcome === "updated" ? 1 : 2);
  if (reason !== undefined) writer.keyUint(UPDATE.reason, REFUSAL_REASONS.indexOf(reason));
  writer.keyUint64(UPDATE.version, version);
  if (effectiveIdleTimeoutMs !== undefined) {
    writer.keyUint(UPDATE.effectiveIdleTimeout, effectiveIdleTimeoutMs);
  }
}

function writeHeldFlow(writer: CborWriter, { epoch, flow, state, counters }: HeldFlow): void {
  writer.reserve(FLOW_BYTES_MAX);
  writer.map(flowPairs(flow) + 2 + COUNTERS_PAIRS);
  writeFlow(writer, flow);
  writer.reserve(FLOW_BYTES_MAX);
  writer.keyText(FLOW.epoch, epoch);
  writer.keyUint(FLOW.state, STATES.indexOf(state));
  writeCounters(writer, FLOW.counters, counters);
}

/** Writes the map of a notification. */
export function writeNotification(writer: CborWriter, notification: OffloadNotification): void {
  writer.reserve(ITEM_BYTES_MAX);
  writer.map(1);
  switch (notification.kind) {
    case "flow-events":
      writer.key(FLOW_EVENTS.event);
      writer.array(notification.events.length);
      for (const event of notification.events) writeEvent(writer, event);
      return;
    case "flow-statistics":
      writer.key(FLOW_STATISTICS.flow);
      writer.array(notification.flows.length);
      for (const { epoch, flowId, counters } of notification.flows) {
        writer.reserve(FLOW_BYTES_MAX);
        writer.map(2 + COUNTERS_PAIRS);
        writer.keyText(STATISTIC.epoch, epoch);
        writer.keyUint64(STATISTIC.flowId, flowId);
        writeCounters(writer, STATISTIC.counters, counters);
      }
      return;
    case "credit":
      writer.keyUint(CREDIT.flows, notification.flows);
  }
}

/** Writes an event as a map. */
export function writeEvent(writer: CborWriter, { sequence, epoch, flowId, what }: FlowEvent): void {
  writer.reserve(FLOW_BYTES_MAX);
  writer.map(4);
  writer.keyUint64(EVENT.sequence, sequence);
  writer.keyText(EVENT.epoch, epoch);
  writer.keyUint64(EVENT.flowId, flowId);
  switch (what.kind) {
    case "activated":
      writer.key(EVENT.activated);
      writer.map(1);
      writer.keyUint(ACTIVATED.directions, DIRECTIONS.indexOf(what.directions));
      return;
    case "refused-late":
      writer.key(EVENT.refusedLate);
      writer.map(1);
      writer.keyUint(REFUSED_LATE.reason, REFUSAL_REASONS.indexOf(what.reason));
      return;
    case "closed":
      writer.key(EVENT.closed);
      writer.map(1 + COUNTERS_PAIRS);
      writer.keyUint(EVENT_CLOSED.cause, CLOSE_CAUSES.indexOf(what.cause));
      writeCounters(writer, EVENT_CLOSED.counters, what.counters);
  }
}
