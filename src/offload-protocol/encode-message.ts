/**
 * Requests, replies and notifications as the XML of their operation, without envelope.
 *
 * Pure. Source: yang/flowlift-offload.yang. Names carry no prefix: the envelope, or the operation
 * itself, makes the module's namespace the default.
 */
import { assert } from "../lib/base/assert.ts";
import { encodeCounters, encodeEgressUpdate, encodeFlow } from "./encode-flow.ts";
import { OFFLOAD_NAMESPACE } from "./hello.ts";
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
  type WithdrawSelection,
} from "./messages.ts";

/** Returns the operation's element. */
export function encodeRequestBody(request: OffloadRequest): string {
  return `<${request.kind} xmlns="${OFFLOAD_NAMESPACE}">${encodeInput(request)}</${request.kind}>`;
}

function encodeInput(request: OffloadRequest): string {
  switch (request.kind) {
    case "request-offload": {
      const { length } = request.flows;
      assert(length > 0 && length <= FLOWS_PER_REQUEST_MAX, "a request has 1 to 1024 flows");
      let text = `<epoch>${request.epoch}</epoch>`;
      for (const flow of request.flows) text += `<flow>${encodeFlow(flow)}</flow>`;
      return text;
    }
    case "withdraw-offload":
      return `<epoch>${request.epoch}</epoch>${encodeSelection(request.selection)}`;
    case "update-offload":
      return (
        `<epoch>${request.epoch}</epoch><flow-id>${request.flowId}</flow-id>` +
        `<expected-version>${request.expectedVersion}</expected-version>` +
        optional("idle-timeout", request.idleTimeoutMs) +
        encodeEgressUpdate("original-egress", request.originalEgress) +
        encodeEgressUpdate("reply-egress", request.replyEgress)
      );
    case "get-flows":
      return (
        optional("after-epoch", request.after?.epoch) +
        optional("after-flow-id", request.after?.flowId) +
        `<limit>${request.limit}</limit>`
      );
    case "renew-lease":
      return `<epoch>${request.epoch}</epoch>`;
    case "acknowledge-events":
      return `<sequence>${request.sequence}</sequence>`;
  }
}

function encodeSelection(selection: WithdrawSelection): string {
  switch (selection.kind) {
    case "flow-ids": {
      const { length } = selection.flowIds;
      assert(length > 0 && length <= FLOW_IDS_PER_WITHDRAW_MAX, "a withdrawal has 1 to 4096 ids");
      return selection.flowIds.map((flowId) => `<flow-id>${flowId}</flow-id>`).join("");
    }
    case "policy-tag":
      return `<policy-tag>${selection.policyTag}</policy-tag>`;
    case "all":
      return "<all/>";
  }
}

function optional(name: string, value: string | number | bigint | undefined): string {
  return value === undefined ? "" : `<${name}>${value}</${name}>`;
}

/** Returns the output's nodes; empty when there are none, which `<ok/>` then says. */
export function encodeReplyBody(reply: OffloadReply): string {
  switch (reply.kind) {
    case "request-offload":
      return reply.results.map(encodeOffloadResult).join("");
    case "withdraw-offload":
      return reply.results.map(encodeWithdrawResult).join("");
    case "update-offload":
      return (
        `<outcome>${reply.outcome}</outcome>${optional("reason", reply.reason)}` +
        `<version>${reply.version}</version>` +
        optional("effective-idle-timeout", reply.effectiveIdleTimeoutMs)
      );
    case "get-flows":
      return (
        `<as-of-sequence>${reply.asOfSequence}</as-of-sequence><more>${reply.more}</more>` +
        reply.flows.map(encodeHeldFlow).join("")
      );
    case "renew-lease":
      return `<lease>${reply.leaseMs}</lease>`;
    case "acknowledge-events":
      return "";
  }
}

function encodeOffloadResult(result: OffloadResult): string {
  const head = `<result><flow-id>${result.flowId}</flow-id><outcome>${result.outcome}</outcome>`;
  if (result.outcome === "granted-pending") {
    const timeout = result.effectiveIdleTimeoutMs;
    return `${head}<effective-idle-timeout>${timeout}</effective-idle-timeout></result>`;
  }
  return `${head}<reason>${result.reason}</reason>${optional("holder", result.holder)}</result>`;
}

function encodeWithdrawResult(result: WithdrawResult): string {
  const counters = result.outcome === "closed" ? encodeCounters(result.counters) : "";
  return (
    `<closed><flow-id>${result.flowId}</flow-id><outcome>${result.outcome}</outcome>` +
    `${counters}</closed>`
  );
}

function encodeHeldFlow(held: HeldFlow): string {
  return (
    `<flow><epoch>${held.epoch}</epoch>${encodeFlow(held.flow)}` +
    `<state>${held.state}</state>${encodeCounters(held.counters)}</flow>`
  );
}

/** Returns the notification's element. */
export function encodeNotificationBody(notification: OffloadNotification): string {
  const { kind } = notification;
  return `<${kind} xmlns="${OFFLOAD_NAMESPACE}">${encodeNews(notification)}</${kind}>`;
}

function encodeNews(notification: OffloadNotification): string {
  switch (notification.kind) {
    case "flow-events":
      return notification.events.map(encodeEvent).join("");
    case "flow-statistics":
      return notification.flows
        .map(
          (flow) =>
            `<flow><epoch>${flow.epoch}</epoch><flow-id>${flow.flowId}</flow-id>` +
            `${encodeCounters(flow.counters)}</flow>`,
        )
        .join("");
    case "credit":
      return `<flows>${notification.flows}</flows>`;
  }
}

function encodeEvent(event: FlowEvent): string {
  return (
    `<event><sequence>${event.sequence}</sequence><epoch>${event.epoch}</epoch>` +
    `<flow-id>${event.flowId}</flow-id>${encodeWhat(event.what)}</event>`
  );
}

function encodeWhat(what: FlowEvent["what"]): string {
  switch (what.kind) {
    case "activated":
      return `<activated><directions>${what.directions}</directions></activated>`;
    case "refused-late":
      return `<refused-late><reason>${what.reason}</reason></refused-late>`;
    case "closed":
      return `<closed><cause>${what.cause}</cause>${encodeCounters(what.counters)}</closed>`;
  }
}
