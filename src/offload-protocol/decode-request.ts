/**
 * Requests from XML: the input of each rpc of the module.
 *
 * Pure. Source: yang/flowlift-offload.yang.
 */
import { protocolError } from "../lib/netconf/rpc-error.ts";
import { type Collecting, decodeEgressUpdate } from "./decode-direction.ts";
import { decodeFlow } from "./decode-flow.ts";
import { OFFLOAD_NAMESPACE } from "./hello.ts";
import {
  type Epoch,
  FLOW_IDS_PER_WITHDRAW_MAX,
  FLOWS_PER_PAGE_MAX,
  FLOWS_PER_REQUEST_MAX,
  type OffloadFlow,
  type OffloadRequest,
  type WithdrawSelection,
} from "./messages.ts";
import { FlowScanner } from "./scan-flow.ts";
import {
  failDuplicateKey,
  failMissing,
  failMust,
  failTooFew,
  failTooMany,
  failUnknown,
} from "./xml-failures.ts";
import { nextData, readEmpty, readEpoch, readUint, readUint64, UINT32_MAX } from "./xml-leaf.ts";
import type { XmlReader } from "./xml-reader.ts";

type RequestOf<K extends OffloadRequest["kind"]> = Extract<OffloadRequest, { readonly kind: K }>;

/** Reads the operation whose element was opened last; undefined when there is none of that name. */
export function decodeRequestBody(reader: XmlReader, local: string): OffloadRequest | undefined {
  switch (local) {
    case "request-offload":
      return decodeRequestOffload(reader);
    case "withdraw-offload":
      return decodeWithdraw(reader);
    case "update-offload":
      return decodeUpdate(reader);
    case "get-flows":
      return decodeGetFlows(reader);
    case "renew-lease":
      return { kind: "renew-lease", epoch: decodeRenewLease(reader) };
    case "acknowledge-events":
      return { kind: "acknowledge-events", sequence: decodeAcknowledge(reader) };
    default:
      return undefined;
  }
}

function decodeRequestOffload(reader: XmlReader): OffloadRequest {
  let epoch: Epoch | undefined;
  const flows: OffloadFlow[] = [];
  const scanner = new FlowScanner(reader.text);
  const next = (): string | undefined => {
    scanFlows(reader, scanner, flows);
    return nextData(reader);
  };
  for (let local = next(); local !== undefined; local = next()) {
    if (local === "flow") {
      const flow = decodeFlow(reader);
      if (reader.failure === undefined) scanner.learn(flow);
      flows.push(flow);
      if (flows.length > FLOWS_PER_REQUEST_MAX) failTooMany(reader, "flow", FLOWS_PER_REQUEST_MAX);
    } else if (local === "epoch") {
      reader.once(epoch);
      epoch = readEpoch(reader);
    } else failUnknown(reader, local);
  }
  if (epoch === undefined) failMissing(reader, "epoch");
  if (flows.length === 0) failTooFew(reader, "flow", 1);
  const ids = new Set(flows.map((flow) => flow.flowId));
  if (ids.size < flows.length) failDuplicateKey(reader, "flow");
  return { kind: "request-offload", epoch: epoch ?? NO_EPOCH, flows };
}

/** Takes the flows that stand next in the encoder's own form, as many as the message may have. */
function scanFlows(reader: XmlReader, scanner: FlowScanner, flows: OffloadFlow[]): void {
  let position = reader.positionIn(OFFLOAD_NAMESPACE);
  while (position !== undefined && flows.length < FLOWS_PER_REQUEST_MAX) {
    const scanned = scanner.scan(position);
    if (scanned === undefined) return;
    flows.push(scanned.flow);
    reader.skipTo(scanned.end);
    position = scanned.end;
  }
}

/** Stands where a failure is kept; nobody looks. */
const NO_EPOCH = "0000000000000000" as Epoch;

function decodeWithdraw(reader: XmlReader): OffloadRequest {
  let epoch: Epoch | undefined;
  let selection: WithdrawSelection | undefined;
  const flowIds: bigint[] = [];
  for (let local = nextData(reader); local !== undefined; local = nextData(reader)) {
    if (local === "epoch") {
      reader.once(epoch);
      epoch = readEpoch(reader);
    } else if (local === "flow-id") {
      // One case of the choice excludes the others.
      if (flowIds.length === 0) reader.once(selection);
      flowIds.push(readUint64(reader));
      if (flowIds.length > FLOW_IDS_PER_WITHDRAW_MAX) {
        failTooMany(reader, "flow-id", FLOW_IDS_PER_WITHDRAW_MAX);
      }
      selection = { kind: "flow-ids", flowIds };
    } else if (local === "policy-tag") {
      reader.once(selection);
      selection = { kind: "policy-tag", policyTag: readUint(reader, UINT32_MAX) };
    } else if (local === "all") {
      reader.once(selection);
      readEmpty(reader);
      selection = { kind: "all" };
    } else failUnknown(reader, local);
  }
  if (epoch === undefined) failMissing(reader, "epoch");
  if (selection === undefined) failMissingChoice(reader);
  // Outside of configuration a leaf-list may repeat a value (RFC 7950 §7.7); once says the same.
  else if (selection.kind === "flow-ids") {
    selection = { kind: "flow-ids", flowIds: Array.from(new Set(flowIds)) };
  }
  return {
    kind: "withdraw-offload",
    epoch: epoch ?? NO_EPOCH,
    selection: selection ?? { kind: "all" },
  };
}

/** RFC 7950 §15.6. */
function failMissingChoice(reader: XmlReader): void {
  reader.failClosed(
    protocolError("data-missing", "None of flow-id, policy-tag and all is there", {
      type: "application",
      appTag: "missing-choice",
    }),
  );
}

function decodeUpdate(reader: XmlReader): OffloadRequest {
  const update: Collecting<RequestOf<"update-offload">> = { kind: "update-offload" };
  for (let local = nextData(reader); local !== undefined; local = nextData(reader)) {
    switch (local) {
      case "epoch":
        reader.once(update.epoch);
        update.epoch = readEpoch(reader);
        break;
      case "flow-id":
        reader.once(update.flowId);
        update.flowId = readUint64(reader);
        break;
      case "expected-version":
        reader.once(update.expectedVersion);
        update.expectedVersion = readUint64(reader);
        break;
      case "idle-timeout":
        reader.once(update.idleTimeoutMs);
        update.idleTimeoutMs = readUint(reader, UINT32_MAX);
        break;
      case "original-egress":
        reader.once(update.originalEgress);
        update.originalEgress = decodeEgressUpdate(reader);
        break;
      case "reply-egress":
        reader.once(update.replyEgress);
        update.replyEgress = decodeEgressUpdate(reader);
        break;
      default:
        failUnknown(reader, local);
    }
  }
  if (update.epoch === undefined) failMissing(reader, "epoch");
  if (update.flowId === undefined) failMissing(reader, "flow-id");
  if (update.expectedVersion === undefined) failMissing(reader, "expected-version");
  return update as RequestOf<"update-offload">; // Complete, or a failure is kept and nobody looks.
}

function decodeGetFlows(reader: XmlReader): OffloadRequest {
  let epoch: Epoch | undefined;
  let flowId: bigint | undefined;
  let limit: number | undefined;
  for (let local = nextData(reader); local !== undefined; local = nextData(reader)) {
    if (local === "after-epoch") {
      reader.once(epoch);
      epoch = readEpoch(reader);
    } else if (local === "after-flow-id") {
      reader.once(flowId);
      flowId = readUint64(reader);
    } else if (local === "limit") {
      reader.once(limit);
      limit = readUint(reader, FLOWS_PER_PAGE_MAX, 1);
    } else failUnknown(reader, local);
  }
  if (epoch === undefined && flowId !== undefined) failMust(reader, "'after-epoch' is missing");
  if (epoch !== undefined && flowId === undefined) failMust(reader, "'after-flow-id' is missing");
  return {
    kind: "get-flows",
    ...(epoch === undefined || flowId === undefined ? {} : { after: { epoch, flowId } }),
    limit: limit ?? FLOWS_PER_PAGE_MAX,
  };
}

function decodeRenewLease(reader: XmlReader): Epoch {
  let epoch: Epoch | undefined;
  for (let local = nextData(reader); local !== undefined; local = nextData(reader)) {
    if (local === "epoch") {
      reader.once(epoch);
      epoch = readEpoch(reader);
    } else failUnknown(reader, local);
  }
  if (epoch === undefined) failMissing(reader, "epoch");
  return epoch ?? NO_EPOCH;
}

function decodeAcknowledge(reader: XmlReader): bigint {
  let sequence: bigint | undefined;
  for (let local = nextData(reader); local !== undefined; local = nextData(reader)) {
    if (local === "sequence") {
      reader.once(sequence);
      sequence = readUint64(reader);
    } else failUnknown(reader, local);
  }
  if (sequence === undefined) failMissing(reader, "sequence");
  return sequence ?? 0n;
}
