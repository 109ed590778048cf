/**
 * The end of an offload: final counters, and what becomes of the conntrack entry.
 *
 * Pure. Invariant: an entry is deleted, or its timeout restored, only after the fast path is done with it.
 */
import { MARK_WORTHY } from "../lib/conntrack/mark-bits.ts";
import type { CloseCause, FlowCounters } from "../offload-protocol/messages.ts";
import type { EngineCore } from "./core.ts";
import { type AfterClose, type FlowRecord, toListing } from "./flow-record.ts";
import { CLOSING_TIMEOUT_SEC, RETRIES_MAX, retryDelayMs } from "./limits.ts";

/** The controller holds the flow no more. */
export function finishFlow(
  core: EngineCore,
  record: FlowRecord,
  cause: CloseCause,
  counters: FlowCounters | undefined,
): void {
  record.counters = counters ?? record.counters;
  if (counters !== undefined) record.lastUsedAtMs = core.nowMs - Number(counters.lastUsedMsAgo);
  if (record.counters !== undefined) {
    core.tally.addTraffic(record.flow?.rules ?? [], record.counters);
  }
  core.tally.closed(cause);
  if (core.options.reports !== false) {
    core.emit({
      kind: "report",
      report: { kind: "closed", flow: toListing(record), cause, counters: record.counters },
    });
  }
  core.unidentify(record);
  record.flow = undefined;
  record.counters = undefined;
  const after = record.after ?? afterCause(cause);
  if (after === "refuse") {
    restoreTimeout(core, record, {});
    core.setState(record, "refused");
    core.settled(record);
  } else settle(core, record, after);
}

/** What follows when the controller ended the flow by itself. */
function afterCause(cause: CloseCause): AfterClose | "refuse" {
  switch (cause) {
    case "idle":
      return "rearm";
    case "not-entitled-any-more":
      return "refuse";
    case "unspecified":
    case "withdrawn":
    case "evicted":
    case "lease-expired":
    case "neighbour-moved":
    case "operator":
      return "requeue";
  }
}

/** Does what was wished for a flow that nobody outside holds. */
export function settle(core: EngineCore, record: FlowRecord, after: AfterClose): void {
  if (record.ended) {
    if (after === "delete" && record.successor !== undefined) {
      core.emit({ kind: "delete", entry: record.successor });
      record.successor = undefined;
    }
    core.forget(record);
    return;
  }
  switch (after) {
    case "requeue":
      waitAndRetry(core, record);
      return;
    case "rearm":
      rearm(core, record);
      return;
    case "restore":
      restoreTimeout(core, record, {});
      break;
    case "closing":
      core.emit({
        kind: "settle-closing",
        change: {
          key: record.key,
          change: {
            original: record.entry.original,
            zone: record.entry.zone,
            timeoutSec: CLOSING_TIMEOUT_SEC,
          },
        },
      });
      break;
    case "delete":
      core.emit({ kind: "delete", entry: record.entry });
      break;
  }
  core.forget(record);
}

/** Tries again after a pause, a bounded number of times; then the next packets must earn it anew. */
export function waitAndRetry(core: EngineCore, record: FlowRecord): void {
  record.attempts += 1;
  record.after = undefined;
  if (record.attempts > RETRIES_MAX) {
    core.tally.count("retries-exhausted");
    rearm(core, record);
    return;
  }
  core.setState(record, "waiting");
  core.settled(record);
  core.timers.set(record, core.nowMs + retryDelayMs(record.attempts));
}

/** Takes the mark's worthy bit away, so that packets on the slow path make a new event. */
function rearm(core: EngineCore, record: FlowRecord): void {
  restoreTimeout(core, record, { mark: { value: 0, mask: MARK_WORTHY } });
  core.forget(record);
}

/** Gives the entry what would be left if the kernel had seen the last packet. */
function restoreTimeout(
  core: EngineCore,
  record: FlowRecord,
  also: { readonly mark?: { readonly value: number; readonly mask: number } },
): void {
  const idleSec = Math.floor((core.nowMs - record.lastUsedAtMs) / 1000);
  const timeoutSec = Math.max(1, core.protocolSec(record.entry) - idleSec);
  record.expiresAtMs = core.nowMs + 1000 * timeoutSec;
  const { original, zone } = record.entry;
  core.emit({
    kind: "change",
    changes: [{ key: record.key, change: { original, zone, timeoutSec, ...also } }],
  });
}
