/**
 * The offload engine: which flows leave the slow path, and what keeps them right until they are back.
 *
 * Pure: (state, event, now) → effects, to be carried out in their order. The state is this object's own.
 * See `flow-record.ts` for a flow's states, `core.ts` for the tables, `limits.ts` for the bounds.
 */
import type { OffloadReply } from "../offload-protocol/messages.ts";
import { EngineCore, type Outstanding } from "./core.ts";
import type { EngineEffect, EngineEvent, EngineOptions } from "./engine-types.ts";
import { OUTSIDE_STATES, toListing } from "./flow-record.ts";
import type { FlowListing, FlowState, OffloadState } from "./handle.ts";
import { considerEntry, endRecord, onConntrack } from "./intake.ts";
import { LEASE_RENEWALS, RENEWAL_RETRY_MS } from "./limits.ts";
import { flushAcknowledgement, onNotification } from "./notices.ts";
import { onPathsChanged, onUpdated } from "./repath.ts";
import { flushRequests, onPrepared, onRefused, onRequestAnswered } from "./requester.ts";
import { onHeldPage, onSessionDown, onSessionUp, onSnapshot } from "./resync.ts";
import { flushRevocations, onPolicy, onPolicyEntries, onPolicyScanned } from "./revocation.ts";
import type { LiveTraffic } from "./tally.ts";
import { nextTickMs, onTick } from "./upkeep.ts";
import { flushWithdrawals, onWithdrawn } from "./withdrawal.ts";

const FLOW_STATES: readonly FlowState[] = [
  "queued",
  "waiting",
  "requested",
  "pending",
  "active",
  "withdrawing",
  "refused",
];

export class OffloadEngine {
  readonly #core: EngineCore;

  constructor(options: EngineOptions) {
    this.#core = new EngineCore(options);
  }

  /** Takes one event and returns what is to be done, in order. `nowMs` never goes back. */
  handle(event: EngineEvent, nowMs: number): readonly EngineEffect[] {
    const core = this.#core;
    core.nowMs = nowMs;
    this.#dispatch(event);
    for (const entry of core.reconsider.splice(0)) considerEntry(core, entry);
    flushWithdrawals(core);
    flushRequests(core);
    flushAcknowledgement(core);
    flushRevocations(core);
    const { effects } = core;
    core.effects = [];
    return effects;
  }

  #dispatch(event: EngineEvent): void {
    const core = this.#core;
    switch (event.kind) {
      case "conntrack":
        onConntrack(core, event.events);
        break;
      case "snapshot":
        onSnapshot(core, event);
        break;
      case "session-up":
        onSessionUp(core);
        break;
      case "session-down":
        onSessionDown(core);
        break;
      case "reply":
        this.#onReply(event.requestId, event.reply);
        break;
      case "request-failed":
        this.#onFailed(event.requestId);
        break;
      case "notification":
        onNotification(core, event.notification);
        break;
      case "prepared":
        onPrepared(core, event.batchId, event.failed);
        break;
      case "gone":
        this.#onGone(event.keys);
        break;
      case "policy":
        onPolicy(core, event);
        break;
      case "policy-entries":
        onPolicyEntries(core, event.token, event.entries);
        break;
      case "policy-entries-end":
        onPolicyScanned(core, event.token);
        break;
      case "conntrack-timeouts":
        core.conntrackTimeouts = event.timeouts;
        break;
      case "interfaces":
        core.setInterfaces(event.interfaces);
        onPathsChanged(core);
        break;
      case "paths-changed":
        onPathsChanged(core);
        break;
      case "tick":
        onTick(core);
        break;
    }
  }

  /** Returns when to send the next "tick"; infinity when nothing is due ever. */
  nextTickMs(): number {
    return nextTickMs(this.#core);
  }

  get hasOffloadedFlows(): boolean {
    return this.#core.countOutside() > 0;
  }

  #onReply(requestId: number, reply: OffloadReply): void {
    const asked = this.#core.outstanding.get(requestId);
    if (asked === undefined) return; // Of an earlier session.
    this.#core.outstanding.delete(requestId);
    if (!answerFits(this.#core, asked, reply)) {
      this.#core.resetSession(`${reply.kind} answers ${asked.kind}`);
    }
  }

  /** An rpc-error concerns the message, not one flow: what it carried is left alone or tried once more. */
  #onFailed(requestId: number): void {
    const core = this.#core;
    const asked = core.outstanding.get(requestId);
    if (asked === undefined) return;
    core.outstanding.delete(requestId);
    core.tally.count(`${asked.kind}-failed`);
    if (asked.kind === "request-offload") {
      for (const flowId of asked.flowIds) {
        const record = core.find(core.options.epoch, flowId);
        if (record !== undefined) onRefused(core, record, "malformed");
      }
      core.credit.answered(asked.flowIds.length, asked.flowIds.length);
    } else if (asked.kind === "update-offload") {
      onUpdated(core, asked, { kind: "update-offload", outcome: "refused", version: 0n });
    } else if (asked.kind === "renew-lease") core.leaseRenewAtMs = core.nowMs + RENEWAL_RETRY_MS;
    else if (asked.kind !== "acknowledge-events") core.resetSession(`${asked.kind} failed`);
  }

  #onGone(keys: readonly string[]): void {
    for (const key of keys) {
      const record = this.#core.byKey.get(key);
      if (record !== undefined) endRecord(this.#core, record);
    }
  }

  /** Returns flows in the order in which they became known, at most `limit`. */
  listFlows(limit: number): readonly FlowListing[] {
    const listings: FlowListing[] = [];
    for (const record of this.#core.byKey.values()) {
      if (listings.length >= limit) break;
      listings.push(toListing(record));
    }
    return listings;
  }

  getState(): OffloadState {
    const core = this.#core;
    const flowsByState = Object.fromEntries(
      FLOW_STATES.map((state) => [state, core.countOf(state)]),
    ) as Record<FlowState, number>;
    flowsByState.queued += core.countOf("preparing");
    return {
      epoch: core.options.epoch,
      session: core.session,
      credit: core.credit.available,
      flowsByState,
      refusalsByReason: { ...core.tally.refusals },
      closesByCause: { ...core.tally.closes },
      timeToActive: core.tally.timeToActive(),
      activatedTotal: core.tally.timeToActive().count,
      counts: { ...core.tally.counts },
      rules: core.tally.traffic(liveTraffic(core)),
    };
  }
}

/** Yields what the flows on the fast path have carried so far. */
function* liveTraffic(core: EngineCore): Generator<LiveTraffic> {
  for (const { flow, counters, state } of core.byKey.values()) {
    if (counters === undefined || flow === undefined) continue;
    if (OUTSIDE_STATES.includes(state)) yield { rules: flow.rules, counters };
  }
}

/** Takes an answer; false when it is of another kind than the question. */
function answerFits(core: EngineCore, asked: Outstanding, reply: OffloadReply): boolean {
  if (asked.kind === "request-offload" && reply.kind === "request-offload") {
    onRequestAnswered(core, asked.flowIds, reply.results);
  } else if (asked.kind === "withdraw-offload" && reply.kind === "withdraw-offload") {
    onWithdrawn(core, asked, reply.results);
  } else if (asked.kind === "update-offload" && reply.kind === "update-offload") {
    onUpdated(core, asked, reply);
  } else if (asked.kind === "get-flows" && reply.kind === "get-flows") onHeldPage(core, reply);
  else if (asked.kind === "renew-lease" && reply.kind === "renew-lease") {
    core.renewed(asked.sentAtMs, reply.leaseMs, LEASE_RENEWALS);
  } else if (asked.kind === "acknowledge-events" && reply.kind === "acknowledge-events") {
    core.acknowledgedSequence = asked.sequence;
  } else return false;
  return true;
}
