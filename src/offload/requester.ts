/**
 * Asking for flows: batches, conntrack made ready first, never more than the credit.
 *
 * Pure. A batch goes when there is something to ask and a message may be in flight, so batches grow with the
 * load and a lone flow waits for nobody.
 */
import type { ConntrackChange } from "../lib/conntrack/entry.ts";
import {
  FLOWS_PER_REQUEST_MAX,
  MESSAGE_BYTES_MAX,
  type OffloadFlow,
  type OffloadResult,
  type RefusalReason,
  RULES_PER_FLOW_MAX,
} from "../offload-protocol/messages.ts";
import { settle, waitAndRetry } from "./closing.ts";
import type { EngineCore } from "./core.ts";
import { type FlowPath, findPath } from "./flow-path.ts";
import { type FlowRecord, isCandidate, PROTOCOL_TCP } from "./flow-record.ts";
import { HOLD_MIN_MS, REQUESTS_IN_FLIGHT_MAX } from "./limits.ts";
import { schedule } from "./schedule.ts";
import { NEVER_MS } from "./timers.ts";

const FIRST_VERSION = 1n;
/** What a message holds besides its flows. */
const ENVELOPE_BYTES_MAX = 4096;
/** A request is never longer than a message may be, whatever its rules are called. */
export const REQUEST_FLOWS_BYTES_MAX: number = MESSAGE_BYTES_MAX - ENVELOPE_BYTES_MAX;

/** Starts as many batches as credit, lease and messages in flight allow. */
export function flushRequests(core: EngineCore): void {
  while (core.session === "up" && core.leaseHolds && core.queue.size > 0) {
    const inFlight = core.preparing.size + core.countOutstanding("request-offload");
    const room = Math.min(FLOWS_PER_REQUEST_MAX, core.credit.available);
    if (inFlight >= REQUESTS_IN_FLIGHT_MAX || room <= 0) return;
    const batch = takeBatch(core, room);
    if (batch.length === 0) continue;
    core.credit.reserve(batch.length);
    const batchId = core.drawBatchId();
    core.preparing.set(batchId, batch);
    const changes = batch.map((record) => makeReady(core, record));
    core.emit({ kind: "prepare", batchId, changes });
  }
}

function takeBatch(core: EngineCore, room: number): FlowRecord[] {
  const batch: FlowRecord[] = [];
  let bytes = 0;
  for (const record of core.queue) {
    if (batch.length >= room) break;
    if (!isCandidate(record.entry, core.options.requiredMark)) {
      core.forget(record);
      continue;
    }
    const path = findPath(record.entry, core.interfaces, core.options.locate);
    if (path.kind === "unresolved") {
      core.tally.count("neighbours-awaited");
      waitAndRetry(core, record);
    } else if (path.kind === "not-forwarded") {
      core.tally.count("not-forwarded");
      core.setState(record, "refused");
      core.timers.set(record, NEVER_MS);
    } else {
      const flow = makeFlow(core, record, path);
      bytes += core.options.flowBytesMax?.(flow) ?? 0;
      if (bytes > REQUEST_FLOWS_BYTES_MAX && batch.length > 0) break; // The next message takes it.
      core.setState(record, "preparing");
      core.timers.set(record, NEVER_MS);
      record.flow = flow;
      batch.push(record);
    }
  }
  return batch;
}

function makeFlow(
  core: EngineCore,
  { judgement, entry }: FlowRecord,
  path: FlowPath & { kind: "path" },
): OffloadFlow {
  return {
    flowId: 0n,
    service: judgement.service,
    rules:
      judgement.rules.length <= RULES_PER_FLOW_MAX
        ? judgement.rules
        : judgement.rules.slice(0, RULES_PER_FLOW_MAX),
    policyTag: judgement.policyTag,
    policyEpoch: core.policyEpoch,
    directions: "both",
    original: path.original,
    reply: path.reply,
    idleTimeoutMs: core.idleTimeoutMs(entry),
    version: FIRST_VERSION,
  };
}

/** Without window tracking, and not the first to go when the table is full. */
function makeReady(core: EngineCore, record: FlowRecord): ConntrackChange {
  const { original, zone } = record.entry;
  if (original.protocol === PROTOCOL_TCP) return { original, zone, liberal: true };
  const timeoutSec = Math.max(core.protocolSec(record.entry), (2 * HOLD_MIN_MS) / 1000);
  record.expiresAtMs = core.nowMs + 1000 * timeoutSec;
  return { original, zone, assured: true, timeoutSec };
}

/** The kernel has acknowledged a batch's changes: what still stands is asked for. */
export function onPrepared(core: EngineCore, batchId: number, failed: readonly number[]): void {
  const batch = core.preparing.get(batchId);
  if (batch === undefined) return;
  core.preparing.delete(batchId);
  const failures = new Set(failed);
  const asked: FlowRecord[] = [];
  for (const [index, record] of batch.entries()) {
    if (failures.has(index)) record.ended = true;
    if (record.ended || record.after !== undefined) {
      record.flow = undefined;
      settle(core, record, record.after ?? "restore");
    } else if (core.session !== "up") {
      core.setState(record, "queued");
      schedule(core, record);
    } else asked.push(record);
  }
  // A session that ended meanwhile has taken its credit along.
  const unasked = Math.min(batch.length - asked.length, core.credit.unanswered);
  core.credit.answered(unasked, unasked);
  if (failed.length > 0) core.tally.count("entries-not-ready", failed.length);
  if (asked.length > 0) sendRequest(core, asked);
}

function sendRequest(core: EngineCore, records: readonly FlowRecord[]): void {
  const flows = [];
  for (const record of records) {
    const { flow } = record;
    if (flow === undefined) continue;
    core.identify(record);
    record.flow = Object.assign(flow, { flowId: record.flowId }); // Nobody else has it yet.
    record.lastUsedAtMs = core.nowMs;
    core.setState(record, "requested");
    schedule(core, record);
    flows.push(record.flow);
  }
  core.tally.count("flows-requested", flows.length);
  core.send(
    { kind: "request-offload", epoch: core.options.epoch, flows },
    { kind: "request-offload", flowIds: flows.map((flow) => flow.flowId) },
  );
}

/** Takes the answer: one result for each flow. */
export function onRequestAnswered(
  core: EngineCore,
  flowIds: readonly bigint[],
  results: readonly OffloadResult[],
): void {
  const byId = new Map(results.map((result) => [result.flowId, result]));
  let notGranted = 0;
  for (const flowId of flowIds) {
    const result = byId.get(flowId);
    const record = core.find(core.options.epoch, flowId);
    if (result?.outcome === "granted-pending") {
      if (record === undefined) core.addOrphan(core.options.epoch, flowId);
      else onGranted(core, record, result.effectiveIdleTimeoutMs);
    } else {
      notGranted += 1;
      if (record !== undefined) onRefused(core, record, result?.reason ?? "unspecified");
    }
  }
  core.credit.answered(flowIds.length, notGranted);
}

function onGranted(core: EngineCore, record: FlowRecord, idleTimeoutMs: number): void {
  record.idleTimeoutMs = idleTimeoutMs;
  if (record.state !== "requested") return; // Active already, or a withdrawal is on its way.
  core.setState(record, "pending");
  schedule(core, record);
}

/** The controller does not hold the flow. While it is being withdrawn, that answer is awaited. */
export function onRefused(core: EngineCore, record: FlowRecord, reason: RefusalReason): void {
  core.tally.refused(reason);
  if (record.state === "withdrawing") return;
  core.unidentify(record);
  record.flow = undefined;
  if (mayPass(reason) && isCandidate(record.entry, core.options.requiredMark)) {
    waitAndRetry(core, record);
    return;
  }
  core.setState(record, "refused");
  core.timers.set(record, NEVER_MS);
}

/** Whether the same request may be granted soon. */
function mayPass(reason: RefusalReason): boolean {
  return (
    reason === "location-unknown" ||
    reason === "rate-limited" ||
    reason === "no-lease" ||
    reason === "duplicate"
  );
}
