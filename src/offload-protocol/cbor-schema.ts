/**
 * The schema tree of flowlift-offload with its SIDs: names for numbers, for whoever explains a message.
 *
 * Pure: constants made from cbor-sids.ts. Source: yang/flowlift-offload@2026-11-21.sid.
 */
import { STATES } from "./cbor-encode-message.ts";
import {
  bothCounters,
  egressUpdate,
  flow,
  leaf,
  nodes,
  output,
  type SchemaChildren,
} from "./cbor-schema-nodes.ts";
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
  SID_OF_NOTIFICATION,
  SID_OF_RPC,
  STATISTIC,
  UPDATE,
  WITHDRAW,
} from "./cbor-sids.ts";
import { DIRECTIONS } from "./decode-flow.ts";
import { CLOSE_CAUSES } from "./decode-notification.ts";
import { REFUSAL_REASONS } from "./decode-reply.ts";

/** RPCs and notifications by SID. */
export const SCHEMA: SchemaChildren = nodes(
  [
    SID_OF_RPC["request-offload"],
    {
      name: "request-offload",
      children: nodes(
        [REQUEST.epoch, leaf("epoch")],
        [REQUEST.flow, { name: "flow", children: nodes(...flow) }],
        [
          REQUEST.result,
          output({
            name: "result",
            children: nodes(
              [RESULT.flowId, leaf("flow-id")],
              [RESULT.outcome, leaf("outcome", ["unspecified", "granted-pending", "refused"])],
              [RESULT.reason, leaf("reason", REFUSAL_REASONS)],
              [RESULT.holder, leaf("holder")],
              [RESULT.effectiveIdleTimeout, leaf("effective-idle-timeout")],
            ),
          }),
        ],
      ),
    },
  ],
  [
    SID_OF_RPC["withdraw-offload"],
    {
      name: "withdraw-offload",
      children: nodes(
        [WITHDRAW.epoch, leaf("epoch")],
        [WITHDRAW.flowId, leaf("flow-id")],
        [WITHDRAW.policyTag, leaf("policy-tag")],
        [WITHDRAW.all, leaf("all")],
        [
          WITHDRAW.closed,
          output({
            name: "closed",
            children: nodes(
              [CLOSED.flowId, leaf("flow-id")],
              [CLOSED.outcome, leaf("outcome", ["unspecified", "closed", "no-such-flow"])],
              ...bothCounters(CLOSED.counters),
            ),
          }),
        ],
      ),
    },
  ],
  [
    SID_OF_RPC["update-offload"],
    {
      name: "update-offload",
      children: nodes(
        [UPDATE.epoch, leaf("epoch")],
        [UPDATE.flowId, leaf("flow-id")],
        [UPDATE.expectedVersion, leaf("expected-version")],
        [UPDATE.idleTimeout, leaf("idle-timeout")],
        [UPDATE.originalEgress, { name: "original-egress", children: egressUpdate }],
        [UPDATE.replyEgress, { name: "reply-egress", children: egressUpdate }],
        [UPDATE.outcome, output(leaf("outcome", ["unspecified", "updated", "refused"]))],
        [UPDATE.reason, output(leaf("reason", REFUSAL_REASONS))],
        [UPDATE.version, output(leaf("version"))],
        [UPDATE.effectiveIdleTimeout, output(leaf("effective-idle-timeout"))],
      ),
    },
  ],
  [
    SID_OF_RPC["get-flows"],
    {
      name: "get-flows",
      children: nodes(
        [GET_FLOWS.afterEpoch, leaf("after-epoch")],
        [GET_FLOWS.afterFlowId, leaf("after-flow-id")],
        [GET_FLOWS.limit, leaf("limit")],
        [GET_FLOWS.asOfSequence, output(leaf("as-of-sequence"))],
        [GET_FLOWS.more, output(leaf("more"))],
        [
          GET_FLOWS.flow,
          output({
            name: "flow",
            children: nodes(
              ...flow,
              [FLOW.epoch, leaf("epoch")],
              [FLOW.state, leaf("state", STATES)],
              ...bothCounters(FLOW.counters),
            ),
          }),
        ],
      ),
    },
  ],
  [
    SID_OF_RPC["renew-lease"],
    {
      name: "renew-lease",
      children: nodes(
        [RENEW_LEASE.epoch, leaf("epoch")],
        [RENEW_LEASE.lease, output(leaf("lease"))],
      ),
    },
  ],
  [
    SID_OF_RPC["acknowledge-events"],
    {
      name: "acknowledge-events",
      children: nodes([ACKNOWLEDGE.sequence, leaf("sequence")]),
    },
  ],
  [
    SID_OF_NOTIFICATION["flow-events"],
    {
      name: "flow-events",
      children: nodes([
        FLOW_EVENTS.event,
        {
          name: "event",
          children: nodes(
            [EVENT.sequence, leaf("sequence")],
            [EVENT.epoch, leaf("epoch")],
            [EVENT.flowId, leaf("flow-id")],
            [
              EVENT.activated,
              {
                name: "activated",
                children: nodes([ACTIVATED.directions, leaf("directions", DIRECTIONS)]),
              },
            ],
            [
              EVENT.refusedLate,
              {
                name: "refused-late",
                children: nodes([REFUSED_LATE.reason, leaf("reason", REFUSAL_REASONS)]),
              },
            ],
            [
              EVENT.closed,
              {
                name: "closed",
                children: nodes(
                  [EVENT_CLOSED.cause, leaf("cause", CLOSE_CAUSES)],
                  ...bothCounters(EVENT_CLOSED.counters),
                ),
              },
            ],
          ),
        },
      ]),
    },
  ],
  [
    SID_OF_NOTIFICATION["flow-statistics"],
    {
      name: "flow-statistics",
      children: nodes([
        FLOW_STATISTICS.flow,
        {
          name: "flow",
          children: nodes(
            [STATISTIC.epoch, leaf("epoch")],
            [STATISTIC.flowId, leaf("flow-id")],
            ...bothCounters(STATISTIC.counters),
          ),
        },
      ]),
    },
  ],
  [SID_OF_NOTIFICATION.credit, { name: "credit", children: nodes([CREDIT.flows, leaf("flows")]) }],
);
