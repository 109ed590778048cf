/**
 * Requests from CBOR: the input of each rpc of the module.
 *
 * Pure. Source: yang/flowlift-offload.yang, cbor-sids.ts. What the module does not allow is thrown as
 * CBOR_REFUSED; codec-cbor.ts finds out what to tell.
 */
import { readFlow } from "./cbor-decode-flow.ts";
import { once, readEpoch, readMac, readMtu } from "./cbor-leaf.ts";
import type { CborReader } from "./cbor-reader.ts";
import {
  ACKNOWLEDGE,
  EGRESS_UPDATE,
  GET_FLOWS,
  RENEW_LEASE,
  REQUEST,
  UPDATE,
  WITHDRAW,
} from "./cbor-sids.ts";
import {
  type EgressUpdate,
  type Epoch,
  FLOW_IDS_PER_WITHDRAW_MAX,
  FLOWS_PER_PAGE_MAX,
  FLOWS_PER_REQUEST_MAX,
  type OffloadFlow,
  type OffloadRequest,
  type WithdrawSelection,
} from "./messages.ts";
import { UINT32_MAX } from "./xml-leaf.ts";

/** Where the flows of a request stand in its message, one behind the other; for whoever keeps their bytes. */
export class FlowPlaces {
  bytes: Buffer = Buffer.alloc(0);
  /** Where flow `index` begins, and at `index + 1` where it ends. */
  readonly at: Uint32Array = new Uint32Array(FLOWS_PER_REQUEST_MAX + 1);
  count = 0;
}

/** Reads the input of an operation; `places` is told of flows. */
export function readRequest(
  reader: CborReader,
  kind: OffloadRequest["kind"],
  places?: FlowPlaces,
): OffloadRequest {
  switch (kind) {
    case "request-offload":
      return readRequestOffload(reader, places);
    case "withdraw-offload":
      return readWithdraw(reader);
    case "update-offload":
      return readUpdate(reader);
    case "get-flows":
      return readGetFlows(reader);
    case "renew-lease":
      oneKey(reader, RENEW_LEASE.epoch);
      return { kind, epoch: readEpoch(reader) };
    case "acknowledge-events":
      oneKey(reader, ACKNOWLEDGE.sequence);
      return { kind, sequence: reader.uint64() };
  }
}

/** Reads a map that has one pair, up to its value. */
export function oneKey(reader: CborReader, key: number): void {
  if (reader.map() !== 1 || reader.key() !== key) reader.refuse();
}

function readRequestOffload(reader: CborReader, places?: FlowPlaces): OffloadRequest {
  let seen = 0;
  let epoch: Epoch | undefined;
  let flows: OffloadFlow[] = [];
  for (let pairs = reader.map(); pairs > 0; pairs--) {
    const key = reader.key();
    seen = once(reader, seen, key);
    if (key === REQUEST.epoch) epoch = readEpoch(reader);
    else if (key === REQUEST.flow) flows = readFlows(reader, places);
    else reader.refuse();
  }
  if (epoch === undefined || flows.length === 0) return reader.refuse();
  return { kind: "request-offload", epoch, flows };
}

function readFlows(reader: CborReader, places?: FlowPlaces): OffloadFlow[] {
  const count = reader.array();
  if (count > FLOWS_PER_REQUEST_MAX) reader.refuse();
  const flows: OffloadFlow[] = [];
  if (places !== undefined) {
    places.bytes = reader.bytes;
    places.at[0] = reader.at;
    places.count = count;
  }
  let largest = -1n;
  let grows = true;
  for (let index = 0; index < count; index++) {
    const flow = readFlow(reader);
    // Ids that grow are unique without a look at all of them.
    if (flow.flowId > largest) largest = flow.flowId;
    else grows = false;
    flows.push(flow);
    if (places !== undefined) places.at[index + 1] = reader.at;
  }
  if (!grows && new Set(flows.map(({ flowId }) => flowId)).size < count) reader.refuse();
  return flows;
}

function readWithdraw(reader: CborReader): OffloadRequest {
  let seen = 0;
  let epoch: Epoch | undefined;
  let selection: WithdrawSelection | undefined;
  // The choice has one case.
  if (reader.map() !== 2) reader.refuse();
  for (let pairs = 2; pairs > 0; pairs--) {
    const key = reader.key();
    seen = once(reader, seen, key);
    if (key === WITHDRAW.epoch) epoch = readEpoch(reader);
    else if (key === WITHDRAW.flowId) selection = readFlowIds(reader);
    else if (key === WITHDRAW.policyTag) {
      selection = { kind: "policy-tag", policyTag: reader.uint(UINT32_MAX) };
    } else if (key === WITHDRAW.all) {
      reader.null();
      selection = { kind: "all" };
    } else reader.refuse();
  }
  if (epoch === undefined || selection === undefined) return reader.refuse();
  return { kind: "withdraw-offload", epoch, selection };
}

function readFlowIds(reader: CborReader): WithdrawSelection {
  const count = reader.array();
  if (count === 0 || count > FLOW_IDS_PER_WITHDRAW_MAX) reader.refuse();
  const flowIds = new Set<bigint>();
  for (let index = 0; index < count; index++) flowIds.add(reader.uint64());
  return { kind: "flow-ids", flowIds: Array.from(flowIds) };
}

function readUpdate(reader: CborReader): OffloadRequest {
  let seen = 0;
  let epoch: Epoch | undefined;
  let flowId: bigint | undefined;
  let expectedVersion: bigint | undefined;
  const options: {
    idleTimeoutMs?: number;
    originalEgress?: EgressUpdate;
    replyEgress?: EgressUpdate;
  } = {};
  for (let pairs = reader.map(); pairs > 0; pairs--) {
    const key = reader.key();
    seen = once(reader, seen, key);
    if (key === UPDATE.epoch) epoch = readEpoch(reader);
    else if (key === UPDATE.flowId) flowId = reader.uint64();
    else if (key === UPDATE.expectedVersion) expectedVersion = reader.uint64();
    else if (key === UPDATE.idleTimeout) options.idleTimeoutMs = reader.uint(UINT32_MAX);
    else if (key === UPDATE.originalEgress) options.originalEgress = readEgressUpdate(reader);
    else if (key === UPDATE.replyEgress) options.replyEgress = readEgressUpdate(reader);
    else reader.refuse();
  }
  if (epoch === undefined || flowId === undefined || expectedVersion === undefined) {
    return reader.refuse();
  }
  return { kind: "update-offload", epoch, flowId, expectedVersion, ...options };
}

function readEgressUpdate(reader: CborReader): EgressUpdate {
  let seen = 0;
  const update: { -readonly [K in keyof EgressUpdate]: EgressUpdate[K] } = {};
  for (let pairs = reader.map(); pairs > 0; pairs--) {
    const key = reader.key();
    seen = once(reader, seen, key);
    if (key === EGRESS_UPDATE.nextHop) update.nextHop = readMac(reader);
    else if (key === EGRESS_UPDATE.mtu) update.mtuBytes = readMtu(reader);
    else reader.refuse();
  }
  return update;
}

function readGetFlows(reader: CborReader): OffloadRequest {
  let seen = 0;
  let epoch: Epoch | undefined;
  let flowId: bigint | undefined;
  let limit = FLOWS_PER_PAGE_MAX;
  for (let pairs = reader.map(); pairs > 0; pairs--) {
    const key = reader.key();
    seen = once(reader, seen, key);
    if (key === GET_FLOWS.afterEpoch) epoch = readEpoch(reader);
    else if (key === GET_FLOWS.afterFlowId) flowId = reader.uint64();
    else if (key === GET_FLOWS.limit) limit = reader.uint(FLOWS_PER_PAGE_MAX);
    else reader.refuse();
  }
  if (limit === 0 || (epoch === undefined) !== (flowId === undefined)) reader.refuse();
  if (epoch === undefined || flowId === undefined) return { kind: "get-flows", limit };
  return { kind: "get-flows", after: { epoch, flowId }, limit };
}
