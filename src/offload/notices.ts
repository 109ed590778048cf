/**
 * What the controller tells without being asked.
 *
 * Pure. Flow events carry a sequence number: each is settled once and then acknowledged; repeated ones are
 * counted and left.
 */
import type {
  FlowEvent,
  FlowStatistic,
  OffloadNotification,
} from "../offload-protocol/messages.ts";
import { finishFlow } from "./closing.ts";
import type { EngineCore } from "./core.ts";
import { type FlowRecord, toListing } from "./flow-record.ts";
import { ACKNOWLEDGE_AFTER_MS, ACKNOWLEDGE_EVENTS, EVENTS_HELD_MAX } from "./limits.ts";
import { onRefused } from "./requester.ts";
import { schedule } from "./schedule.ts";
import { NEVER_MS } from "./timers.ts";

/** Takes a notification; flow events wait while the engine resynchronises. */
export function onNotification(core: EngineCore, notification: OffloadNotification): void {
  if (core.session === "down") return;
  if (notification.kind === "credit") {
    core.credit.notified(notification.flows);
    return;
  }
  const { resync } = core;
  if (resync === undefined) {
    applyNotification(core, notification);
    return;
  }
  if (notification.kind !== "flow-events") return; // The dump has newer statistics.
  resync.noticeEvents += notification.events.length;
  if (resync.noticeEvents > EVENTS_HELD_MAX) {
    core.resetSession("too many events while resynchronising");
    return;
  }
  resync.notices.push(notification);
}

/** Settles a notification's content. */
export function applyNotification(core: EngineCore, notification: OffloadNotification): void {
  if (notification.kind === "flow-statistics") {
    for (const statistic of notification.flows) onStatistic(core, statistic);
  } else if (notification.kind === "flow-events") {
    for (const event of notification.events) {
      if (event.sequence <= core.settledSequence) core.tally.count("events-repeated");
      else {
        onFlowEvent(core, event);
        core.settledSequence = event.sequence;
      }
    }
  }
}

/** Acknowledges what is settled, one message at a time. */
export function flushAcknowledgement(core: EngineCore): void {
  const count = core.settledSequence - core.acknowledgedSequence;
  if (core.session !== "up" || count <= 0n) {
    core.acknowledgeAtMs = NEVER_MS;
    return;
  }
  if (core.countOutstanding("acknowledge-events") > 0) return;
  if (core.acknowledgeAtMs === NEVER_MS) core.acknowledgeAtMs = core.nowMs + ACKNOWLEDGE_AFTER_MS;
  if (core.nowMs < core.acknowledgeAtMs && count < ACKNOWLEDGE_EVENTS) return;
  core.acknowledgeAtMs = NEVER_MS;
  const sequence = core.settledSequence;
  core.send({ kind: "acknowledge-events", sequence }, { kind: "acknowledge-events", sequence });
}

function onFlowEvent(core: EngineCore, event: FlowEvent): void {
  const record = core.find(event.epoch, event.flowId);
  switch (event.what.kind) {
    case "activated":
      if (record === undefined) core.addOrphan(event.epoch, event.flowId);
      else if (event.what.directions !== record.flow?.directions) {
        core.tally.count("activated-in-part");
      } else activate(core, record);
      return;
    case "refused-late":
      if (record === undefined) return;
      if (record.state === "withdrawing") finishFlow(core, record, "withdrawn", undefined);
      else onRefused(core, record, event.what.reason);
      return;
    case "closed":
      if (record === undefined) core.tally.count("closed-unknown");
      else finishFlow(core, record, event.what.cause, event.what.counters);
  }
}

/** The flow is on the fast path. */
export function activate(core: EngineCore, record: FlowRecord): void {
  if (record.state !== "requested" && record.state !== "pending") return;
  core.setState(record, "active");
  record.attempts = 0;
  record.lastUsedAtMs = core.nowMs;
  schedule(core, record);
  const timeToActiveMs = core.nowMs - record.candidateAtMs;
  core.tally.activated(timeToActiveMs);
  if (core.options.reports === false) return;
  core.emit({
    kind: "report",
    report: { kind: "activated", flow: toListing(record), timeToActiveMs },
  });
}

function onStatistic(core: EngineCore, statistic: FlowStatistic): void {
  const record: FlowRecord | undefined = core.find(statistic.epoch, statistic.flowId);
  if (record === undefined) return;
  record.counters = statistic.counters;
  record.lastUsedAtMs = core.nowMs - Number(statistic.counters.lastUsedMsAgo);
}
