/** A kernel, a controller and a clock around the offload engine, each moved on by hand. */
import type { ConntrackEntry, ConntrackEvent } from "../../src/lib/conntrack/entry.ts";
import { MARK_CLOSING, MARK_WORTHY } from "../../src/lib/conntrack/mark-bits.ts";
import { OffloadEngine } from "../../src/offload/engine.ts";
import type {
  EngineEffect,
  EngineEvent,
  EngineOptions,
  Hop,
} from "../../src/offload/engine-types.ts";
import { keyOf } from "../../src/offload/flow-record.ts";
import type { FlowReport, PolicyOutcome } from "../../src/offload/handle.ts";
import type { FlowEvent, OffloadRequest } from "../../src/offload-protocol/messages.ts";
import { FakeController } from "./fake-controller.ts";
import { ALLOW, CLIENT_MAC, EPOCH, INTERFACES, SERVER_MAC } from "./flows.ts";

export class World {
  nowMs = 1_000_000;
  readonly kernel = new Map<string, ConntrackEntry>();
  readonly controller = new FakeController();
  readonly engine: OffloadEngine;
  readonly reports: FlowReport[] = [];
  readonly deleted: string[] = [];
  readonly changes: { readonly key: string; readonly timeoutSec: number | undefined }[] = [];
  readonly policies = new Map<number, PolicyOutcome>();
  readonly resets: string[] = [];
  /** Called before an entry is deleted, so that a test can look at the controller then. */
  onDelete: (entry: ConntrackEntry) => void = () => {};
  /** Answered by hand when false. */
  snapshotsAtOnce = true;
  snapshotsWanted = 0;
  hops = new Map<string, Hop>();
  connected = false;

  constructor(options: Partial<EngineOptions> = {}) {
    this.engine = new OffloadEngine({
      epoch: EPOCH,
      judge: () => ALLOW,
      policyEpoch: 1n,
      interfaces: INTERFACES,
      requiredMark: MARK_WORTHY,
      idleTimeoutTcpMs: 60_000,
      idleTimeoutUdpMs: 30_000,
      conntrackTimeouts: { tcpSec: 432_000, udpSec: 120 },
      locate: (destination) => this.hops.get(destination) ?? defaultHop(destination),
      ...options,
    });
  }

  handle(event: EngineEvent): void {
    for (const effect of this.engine.handle(event, this.nowMs)) this.#carryOut(effect);
  }

  /** A session with credit, resynchronised. */
  connect(): void {
    this.connected = true;
    this.handle({ kind: "session-up" });
    this.work();
    this.giveCredit();
  }

  disconnect(): void {
    this.connected = false;
    this.controller.inbox.length = 0;
    this.handle({ kind: "session-down" });
  }

  giveCredit(): void {
    const flows = this.controller.credit;
    this.handle({ kind: "notification", notification: { kind: "credit", flows } });
  }

  /** Lets the controller answer its oldest message; false when there is none. */
  answerOne(): boolean {
    const message = this.controller.inbox.shift();
    if (message === undefined) return false;
    const reply = this.controller.answer(message.request);
    this.handle({ kind: "reply", requestId: message.requestId, reply });
    return true;
  }

  /** Lets the controller answer everything and activate what is pending. */
  work(): void {
    while (this.answerOne()) {}
  }

  activateAll(): void {
    const events = [...this.controller.held.values()]
      .filter((holding) => holding.state === "pending")
      .map((holding) => this.controller.activate(holding));
    this.notify(events);
  }

  notify(events: readonly FlowEvent[]): void {
    if (events.length === 0) return;
    this.handle({ kind: "notification", notification: { kind: "flow-events", events } });
  }

  /** The kernel has the entry and tells of it. */
  update(entry: ConntrackEntry): void {
    this.kernel.set(keyOf(entry), entry);
    this.conntrack({ kind: "update", entry });
  }

  closing(entry: ConntrackEntry): void {
    this.update({ ...entry, mark: entry.mark | MARK_CLOSING });
  }

  destroy(entry: ConntrackEntry): void {
    this.kernel.delete(keyOf(entry));
    this.conntrack({ kind: "destroy", entry });
  }

  conntrack(...events: ConntrackEvent[]): void {
    this.handle({ kind: "conntrack", events });
  }

  advance(ms: number): void {
    const until = this.nowMs + ms;
    for (let turns = 0; turns < 100_000; turns++) {
      const next = this.engine.nextTickMs();
      if (next > until) break;
      this.nowMs = Math.max(this.nowMs, next);
      this.handle({ kind: "tick" });
    }
    this.nowMs = until;
    this.handle({ kind: "tick" });
  }

  /** Requests, grants and activates the entries. */
  offload(...entries: readonly ConntrackEntry[]): void {
    for (const entry of entries) this.update(entry);
    this.work();
    this.activateAll();
    this.work();
  }

  count(state: keyof ReturnType<OffloadEngine["getState"]>["flowsByState"]): number {
    return this.engine.getState().flowsByState[state];
  }

  get flowCount(): number {
    return Object.values(this.engine.getState().flowsByState).reduce((a, b) => a + b, 0);
  }

  requests<K extends OffloadRequest["kind"]>(kind: K): (OffloadRequest & { kind: K })[] {
    return this.controller.answered.filter(
      (request): request is OffloadRequest & { kind: K } => request.kind === kind,
    );
  }

  snapshot(): void {
    this.snapshotsWanted -= 1;
    const entries = [...this.kernel.values()].filter((entry) => (entry.mark & MARK_WORTHY) !== 0);
    this.handle({ kind: "snapshot", startedAtMs: this.nowMs, entries });
  }

  #carryOut(effect: EngineEffect): void {
    switch (effect.kind) {
      case "send":
        if (this.connected) this.controller.inbox.push(effect);
        break;
      case "prepare": {
        const failed = effect.changes.flatMap((change, index) =>
          this.kernel.has(keyOf({ original: change.original, zone: change.zone ?? 0 }))
            ? []
            : [index],
        );
        this.handle({ kind: "prepared", batchId: effect.batchId, failed });
        break;
      }
      case "change": {
        const gone = effect.changes.filter(({ key }) => !this.kernel.has(key));
        for (const { key, change } of effect.changes) {
          this.changes.push({ key, timeoutSec: change.timeoutSec });
          const entry = this.kernel.get(key);
          if (entry !== undefined && change.mark !== undefined) {
            const mark = (entry.mark & ~change.mark.mask) | change.mark.value;
            this.kernel.set(key, { ...entry, mark });
          }
        }
        if (gone.length > 0) this.handle({ kind: "gone", keys: gone.map(({ key }) => key) });
        break;
      }
      case "settle-closing":
        this.changes.push({
          key: effect.change.key,
          timeoutSec: effect.change.change.timeoutSec,
        });
        break;
      case "delete":
        this.onDelete(effect.entry);
        this.deleted.push(keyOf(effect.entry));
        this.kernel.delete(keyOf(effect.entry));
        break;
      case "read-snapshot":
        this.snapshotsWanted += 1;
        if (this.snapshotsAtOnce) this.snapshot();
        break;
      case "policy-done":
        this.policies.set(effect.token, effect.outcome);
        break;
      case "reset-session":
        this.resets.push(effect.why);
        break;
      case "report":
        this.reports.push(effect.report);
        break;
    }
  }
}

function defaultHop(destination: string): Hop {
  return destination.startsWith("10.")
    ? { kind: "hop", interfaceName: "inside", nextHop: CLIENT_MAC, mtuBytes: 1500 }
    : { kind: "hop", interfaceName: "outside", nextHop: SERVER_MAC, mtuBytes: 1500 };
}
