/**
 * The SIDs of flowlift-offload: which number stands for which node.
 *
 * Pure: constants. Source: yang/flowlift-offload@2026-11-21.sid, which a test holds equal (RFC 9595).
 * A key in a map is the node's SID less its parent's (RFC 9254 §3.2). Nodes of a grouping have the same
 * deltas wherever the grouping is used, so that one function reads them everywhere.
 */
import type { OffloadNotification, OffloadRequest } from "./messages.ts";

/** An RPC or a notification at the top of a message. */
export const SID_OF_RPC: Readonly<Record<OffloadRequest["kind"], number>> = {
  "request-offload": 60_010,
  "withdraw-offload": 60_080,
  "update-offload": 60_105,
  "get-flows": 60_125,
  "renew-lease": 60_195,
  "acknowledge-events": 60_200,
};
export const SID_OF_NOTIFICATION: Readonly<Record<OffloadNotification["kind"], number>> = {
  "flow-events": 60_210,
  "flow-statistics": 60_235,
  credit: 60_255,
};

/** In request-offload. */
export const REQUEST = { epoch: 3, result: 4, flow: 10 } as const;
export const RESULT = {
  flowId: 1,
  outcome: 2,
  reason: 3,
  holder: 4,
  effectiveIdleTimeout: 5,
} as const;
export const WITHDRAW = { epoch: 3, flowId: 4, policyTag: 5, all: 6, closed: 7 } as const;
/** An entry of withdraw-offload's `closed`. */
export const CLOSED = { flowId: 1, outcome: 2, counters: 3 } as const;
export const UPDATE = {
  epoch: 3,
  flowId: 4,
  expectedVersion: 5,
  idleTimeout: 6,
  originalEgress: 7,
  replyEgress: 8,
  outcome: 9,
  reason: 10,
  version: 11,
  effectiveIdleTimeout: 12,
} as const;
export const EGRESS_UPDATE = { nextHop: 6, mtu: 8 } as const;
export const GET_FLOWS = {
  afterEpoch: 3,
  afterFlowId: 4,
  limit: 5,
  asOfSequence: 6,
  more: 7,
  flow: 8,
} as const;
export const RENEW_LEASE = { epoch: 3, lease: 4 } as const;
export const ACKNOWLEDGE = { sequence: 3 } as const;

/** The grouping `flow`, and what get-flows adds. */
export const FLOW = {
  flowId: 1,
  service: 2,
  rule: 3,
  policyTag: 4,
  policyEpoch: 5,
  directions: 6,
  idleTimeout: 7,
  version: 8,
  original: 9,
  reply: 10,
  epoch: 11,
  state: 12,
  counters: 13,
} as const;
export const RULE = { attachment: 21, direction: 22, name: 23 } as const;
export const DIRECTION = { match: 18, rewrite: 20, egress: 22 } as const;
export const MATCH = {
  vnic: 6,
  protocol: 8,
  sourceAddress: 10,
  destinationAddress: 12,
  sourcePort: 14,
  destinationPort: 16,
} as const;
export const REWRITE = {
  sourceAddress: 16,
  destinationAddress: 18,
  sourcePort: 20,
  destinationPort: 22,
} as const;
export const EGRESS = { vnic: 22, nextHop: 24, mtu: 26 } as const;

/** The grouping `both-counters` begins at a delta of its own in each place; these come on top. */
export const BOTH_COUNTERS = { original: 0, reply: 1, lastUsed: 2 } as const;
export const COUNTERS = { fastPackets: 3, fastBytes: 5, passedPackets: 7, passedBytes: 9 } as const;

export const FLOW_EVENTS = { event: 1 } as const;
export const EVENT = {
  sequence: 1,
  epoch: 2,
  flowId: 3,
  activated: 4,
  refusedLate: 5,
  closed: 6,
} as const;
export const ACTIVATED = { directions: 3 } as const;
export const REFUSED_LATE = { reason: 3 } as const;
export const EVENT_CLOSED = { cause: 3, counters: 4 } as const;
export const FLOW_STATISTICS = { flow: 1 } as const;
export const STATISTIC = { epoch: 1, flowId: 2, counters: 3 } as const;
export const CREDIT = { flows: 1 } as const;
