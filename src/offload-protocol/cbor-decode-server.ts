/**
 * Replies and notifications from CBOR: the virtual machine's side.
 *
 * Pure. Source: yang/flowlift-offload.yang, cbor-sids.ts. What the module does not allow is thrown as
 * CBOR_REFUSED.
 */
import { type CountersParts, finishCounters, readCountersPair } from "./cbor-decode-counters.ts";
import { readFlow } from "./cbor-decode-flow.ts";
import { oneKey } from "./cbor-decode-request.ts";
import { STATES } from "./cbor-encode-message.ts";
import { once, readEpoch } from "./cbor-leaf.ts";
import type { CborReader } from "./cbor-reader.ts";
import {
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
import { DIRECTIONS } from "./decode-flow.ts";
import { CLOSE_CAUSES } from "./decode-notification.ts";
import { REFUSAL_REASONS } from "./decode-reply.ts";
import type {
  CloseCause,
  Directions,
  Epoch,
  FlowEvent,
  FlowStatistic,
  HeldFlow,
  OffloadNotification,
  OffloadReply,
  OffloadResult,
  RefusalReason,
  WithdrawResult,
} from "./messages.ts";
import { UINT32_MAX } from "./xml-leaf.ts";

/** Reads the output of an operation. */
export function readReply(reader: CborReader, kind: OffloadReply["kind"]): OffloadReply {
  switch (kind) {
    case "request-offload":
      return { kind, results: readOnlyList(reader, REQUEST.result, readResult) };
    case "withdraw-offload":
      return { kind, results: readOnlyList(reader, WITHDRAW.closed, readClosed) };
    case "update-offload":
      return readUpdateReply(reader);
    case "get-flows":
      return readFlowsReply(reader);
    case "renew-lease":
      oneKey(reader, RENEW_LEASE.lease);
      return { kind, leaseMs: reader.uint(UINT32_MAX) };
    case "acknowledge-events":
      if (reader.map() !== 0) reader.refuse();
      return { kind };
  }
}

/** Reads a map whose one pair is a list; without it the list is empty. */
function readOnlyList<T>(reader: CborReader, key: number, read: (reader: CborReader) => T): T[] {
  const pairs = reader.map();
  if (pairs === 0) return [];
  if (pairs !== 1 || reader.key() !== key) reader.refuse();
  return readList(reader, read);
}

function readList<T>(reader: CborReader, read: (reader: CborReader) => T): T[] {
  const items: T[] = [];
  for (let count = reader.array(); count > 0; count--) items.push(read(reader));
  return items;
}

function readResult(reader: CborReader): OffloadResult {
  let seen = 0;
  let flowId: bigint | undefined;
  let outcome: "unspecified" | "granted-pending" | "refused" | undefined;
  let reason: RefusalReason | undefined;
  let holder: bigint | undefined;
  let effectiveIdleTimeoutMs: number | undefined;
  for (let pairs = reader.map(); pairs > 0; pairs--) {
    const key = reader.key();
    seen = once(reader, seen, key);
    if (key === RESULT.flowId) flowId = reader.uint64();
    else if (key === RESULT.outcome) {
      outcome = reader.enumeration(["unspecified", "granted-pending", "refused"] as const);
    } else if (key === RESULT.reason) reason = reader.enumeration(REFUSAL_REASONS);
    else if (key === RESULT.holder) holder = reader.uint64();
    else if (key === RESULT.effectiveIdleTimeout) effectiveIdleTimeoutMs = reader.uint(UINT32_MAX);
    else reader.refuse();
  }
  if (flowId === undefined || outcome === undefined) return reader.refuse();
  if (outcome === "granted-pending") {
    if (effectiveIdleTimeoutMs === undefined) return reader.refuse();
    return { flowId, outcome, effectiveIdleTimeoutMs };
  }
  // An unspecified outcome is a refusal: a missing verdict never forwards anything.
  if (outcome === "refused" && reason === undefined) reader.refuse();
  const refused = { flowId, outcome: "refused" as const, reason: reason ?? "unspecified" };
  return holder === undefined ? refused : { ...refused, holder };
}

function readClosed(reader: CborReader): WithdrawResult {
  let seen = 0;
  let flowId: bigint | undefined;
  let outcome: "unspecified" | "closed" | "no-such-flow" | undefined;
  const counters: CountersParts = {};
  for (let pairs = reader.map(); pairs > 0; pairs--) {
    const key = reader.key();
    seen = once(reader, seen, key);
    if (key === CLOSED.flowId) flowId = reader.uint64();
    else if (key === CLOSED.outcome) {
      outcome = reader.enumeration(["unspecified", "closed", "no-such-flow"] as const);
    } else if (!readCountersPair(reader, key, CLOSED.counters, counters)) reader.refuse();
  }
  if (flowId === undefined || outcome === undefined || outcome === "unspecified") {
    return reader.refuse();
  }
  if (outcome === "no-such-flow") return { flowId, outcome };
  return { flowId, outcome, counters: finishCounters(reader, counters) };
}

function readUpdateReply(reader: CborReader): OffloadReply {
  let seen = 0;
  let outcome: "unspecified" | "updated" | "refused" | undefined;
  let version: bigint | undefined;
  const options: { reason?: RefusalReason; effectiveIdleTimeoutMs?: number } = {};
  for (let pairs = reader.map(); pairs > 0; pairs--) {
    const key = reader.key();
    seen = once(reader, seen, key);
    if (key === UPDATE.outcome) {
      outcome = reader.enumeration(["unspecified", "updated", "refused"] as const);
    } else if (key === UPDATE.reason) options.reason = reader.enumeration(REFUSAL_REASONS);
    else if (key === UPDATE.version) version = reader.uint64();
    else if (key === UPDATE.effectiveIdleTimeout) {
      options.effectiveIdleTimeoutMs = reader.uint(UINT32_MAX);
    } else reader.refuse();
  }
  if (version === undefined || outcome === undefined || outcome === "unspecified") {
    return reader.refuse();
  }
  return { kind: "update-offload", outcome, version, ...options };
}

function readFlowsReply(reader: CborReader): OffloadReply {
  let seen = 0;
  let asOfSequence: bigint | undefined;
  let more: boolean | undefined;
  let flows: HeldFlow[] = [];
  for (let pairs = reader.map(); pairs > 0; pairs--) {
    const key = reader.key();
    seen = once(reader, seen, key);
    if (key === GET_FLOWS.asOfSequence) asOfSequence = reader.uint64();
    else if (key === GET_FLOWS.more) more = reader.boolean();
    else if (key === GET_FLOWS.flow) flows = readList(reader, readHeldFlow);
    else reader.refuse();
  }
  if (asOfSequence === undefined || more === undefined) return reader.refuse();
  return { kind: "get-flows", asOfSequence, more, flows };
}

function readHeldFlow(reader: CborReader): HeldFlow {
  let epoch: Epoch | undefined;
  let state: (typeof STATES)[number] | undefined;
  const counters: CountersParts = {};
  const read = (key: number): boolean => {
    if (key === FLOW.epoch) epoch = readEpoch(reader);
    else if (key === FLOW.state) state = reader.enumeration(STATES);
    else return readCountersPair(reader, key, FLOW.counters, counters);
    return true;
  };
  const flow = readFlow(reader, { read });
  if (epoch === undefined || state === undefined || state === "unspecified") {
    return reader.refuse();
  }
  return { epoch, flow, state, counters: finishCounters(reader, counters) };
}

/** Reads a notification's map. */
export function readNotification(
  reader: CborReader,
  kind: OffloadNotification["kind"],
): OffloadNotification {
  switch (kind) {
    case "flow-events":
      return { kind, events: readOnlyList(reader, FLOW_EVENTS.event, readEvent) };
    case "flow-statistics":
      return { kind, flows: readOnlyList(reader, FLOW_STATISTICS.flow, readStatistic) };
    case "credit":
      oneKey(reader, CREDIT.flows);
      return { kind, flows: reader.uint(UINT32_MAX) };
  }
}

const BOTH: FlowEvent["what"] = { kind: "activated", directions: "both" };

/** Reads what `writeEvent` writes. */
export function readEvent(reader: CborReader): FlowEvent {
  let seen = 0;
  let sequence: bigint | undefined;
  let epoch: Epoch | undefined;
  let flowId: bigint | undefined;
  let what: FlowEvent["what"] | undefined;
  // Three leaves and one case of the choice.
  if (reader.map() !== 4) reader.refuse();
  for (let pairs = 4; pairs > 0; pairs--) {
    const key = reader.key();
    seen = once(reader, seen, key);
    if (key === EVENT.sequence) sequence = reader.uint64();
    else if (key === EVENT.epoch) epoch = readEpoch(reader);
    else if (key === EVENT.flowId) flowId = reader.uint64();
    else what = readWhat(reader, key);
  }
  if (sequence === undefined || epoch === undefined || flowId === undefined || what === undefined) {
    return reader.refuse();
  }
  return { sequence, epoch, flowId, what };
}

function readWhat(reader: CborReader, key: number): FlowEvent["what"] {
  if (key === EVENT.activated) {
    oneKey(reader, ACTIVATED.directions);
    const directions: Directions = reader.enumeration(DIRECTIONS);
    return directions === "both" ? BOTH : { kind: "activated", directions };
  }
  if (key === EVENT.refusedLate) {
    oneKey(reader, REFUSED_LATE.reason);
    return { kind: "refused-late", reason: reader.enumeration(REFUSAL_REASONS) };
  }
  if (key !== EVENT.closed) return reader.refuse();
  let seen = 0;
  let cause: CloseCause | undefined;
  const counters: CountersParts = {};
  for (let pairs = reader.map(); pairs > 0; pairs--) {
    const inner = reader.key();
    seen = once(reader, seen, inner);
    if (inner === EVENT_CLOSED.cause) cause = reader.enumeration(CLOSE_CAUSES);
    else if (!readCountersPair(reader, inner, EVENT_CLOSED.counters, counters)) reader.refuse();
  }
  if (cause === undefined) return reader.refuse();
  return { kind: "closed", cause, counters: finishCounters(reader, counters) };
}

function readStatistic(reader: CborReader): FlowStatistic {
  let seen = 0;
  let epoch: Epoch | undefined;
  let flowId: bigint | undefined;
  const counters: CountersParts = {};
  for (let pairs = reader.map(); pairs > 0; pairs--) {
    const key = reader.key();
    seen = once(reader, seen, key);
    if (key === STATISTIC.epoch) epoch = readEpoch(reader);
    else if (key === STATISTIC.flowId) flowId = reader.uint64();
    else if (!readCountersPair(reader, key, STATISTIC.counters, counters)) reader.refuse();
  }
  if (epoch === undefined || flowId === undefined) return reader.refuse();
  return { epoch, flowId, counters: finishCounters(reader, counters) };
}
