/** A kernel, a controller and a clock around the offload engine, each moved on by hand. */
import type { ConntrackEntry, ConntrackEvent } from "../../src/lib/conntrack/entry.ts";
import { IPS_ASSURED, IPS_CONFIRMED, IPS_SEEN_REPLY } from "../../src/lib/conntrack/entry.ts";
import { MARK_CLOSING, MARK_WORTHY } from "../../src/lib/conntrack/mark-bits.ts";
import type { IpAddress, MacAddress } from "../../src/lib/inet/address.ts";
import type { ApplianceInterface, FlowJudgement } from "../../src/lib/service/provider.ts";
import { OffloadEngine } from "../../src/offload/engine.ts";
import type {
  EngineEffect,
  EngineEvent,
  EngineOptions,
  Hop,
} from "../../src/offload/engine-types.ts";
import { keyOf } from "../../src/offload/flow-record.ts";
import type { FlowReport, PolicyOutcome } from "../../src/offload/handle.ts";
import { ZERO_COUNTERS } from "../../src/offload/tally.ts";
import type {
  CloseCause,
  Epoch,
  FlowCounters,
  FlowEvent,
  HeldFlow,
  OffloadReply,
  OffloadRequest,
  OffloadResult,
} from "../../src/offload-protocol/messages.ts";

export const EPOCH = "00000000000000aa" as Epoch;
export const OLD_EPOCH = "0000000000000001" as Epoch;
const INSIDE_MAC = "02:00:00:00:00:01" as MacAddress;
const OUTSIDE_MAC = "02:00:00:00:00:02" as MacAddress;
export const CLIENT_MAC = "02:00:00:00:01:01" as MacAddress;
export const SERVER_MAC = "02:00:00:00:02:01" as MacAddress;

export const INTERFACES: readonly ApplianceInterface[] = [
  { name: "inside", markIndex: 1, mac: INSIDE_MAC, mtuBytes: 1500, prefixes: [] },
  { name: "outside", markIndex: 2, mac: OUTSIDE_MAC, mtuBytes: 1400, prefixes: [] },
];

export const ALLOW: FlowJudgement = {
  allowed: true,
  service: "nat",
  eligible: true,
  rules: [{ attachment: "inside", direction: "ingress", name: "web" }],
  policyTag: 7,
};

const PLACE_MARK = (1 << 8) | (2 << 16);

/** A TCP or UDP flow through NAT, worthy and assured unless told otherwise. */
export function makeEntry(number: number, change: Partial<ConntrackEntry> = {}): ConntrackEntry {
  const protocol = change.original?.protocol ?? 6;
  const sourcePort = 1024 + (number % 60_000);
  const address = `10.0.${number >>> 16}.${1 + ((number >>> 8) % 250)}` as IpAddress;
  const server = "192.0.2.80" as IpAddress;
  return {
    id: 1000 + number,
    zone: 0,
    status: IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED,
    mark: MARK_WORTHY | PLACE_MARK,
    hasSequenceAdjustment: false,
    timeoutSec: protocol === 17 ? 120 : 432_000,
    original: {
      protocol,
      sourceAddress: address,
      sourcePort,
      destinationAddress: server,
      destinationPort: 80,
    },
    reply: {
      protocol,
      sourceAddress: server,
      sourcePort: 80,
      destinationAddress: "198.51.100.1" as IpAddress,
      destinationPort: sourcePort,
    },
    ...change,
  };
}

export function makeUdp(number: number, change: Partial<ConntrackEntry> = {}): ConntrackEntry {
  const entry = makeEntry(number);
  return {
    ...entry,
    timeoutSec: 120,
    original: { ...entry.original, protocol: 17 },
    reply: { ...entry.reply, protocol: 17 },
    ...change,
  };
}

export function counters(packets: bigint, lastUsedMsAgo = 0n): FlowCounters {
  const one = {
    fastPackets: packets,
    fastBytes: packets * 100n,
    passedPackets: 0n,
    passedBytes: 0n,
  };
  return { original: one, reply: one, lastUsedMsAgo };
}

interface Holding {
  readonly epoch: Epoch;
  readonly flow: HeldFlow["flow"];
  state: "pending" | "active";
  counters: FlowCounters;
}

/** What a controller does, as slowly as the test wants. */
export class FakeController {
  readonly held = new Map<string, Holding>();
  readonly inbox: { readonly requestId: number; readonly request: OffloadRequest }[] = [];
  readonly answered: OffloadRequest[] = [];
  sequence = 0n;
  unacknowledged: FlowEvent[] = [];
  pageMax = 1024;
  leaseMs = 30_000;
  decide: (flow: HeldFlow["flow"]) => OffloadResult | undefined = () => undefined;
  quota = 1_000_000;

  get credit(): number {
    return Math.max(0, this.quota - this.held.size);
  }

  answer(request: OffloadRequest): OffloadReply {
    this.answered.push(request);
    switch (request.kind) {
      case "request-offload":
        return {
          kind: "request-offload",
          results: request.flows.map((flow) => {
            const decided = this.decide(flow);
            if (decided?.outcome === "refused") return { ...decided, flowId: flow.flowId };
            this.held.set(`${request.epoch}/${flow.flowId}`, {
              epoch: request.epoch,
              flow,
              state: "pending",
              counters: ZERO_COUNTERS,
            });
            return {
              flowId: flow.flowId,
              outcome: "granted-pending",
              effectiveIdleTimeoutMs: flow.idleTimeoutMs,
            };
          }),
        };
      case "withdraw-offload":
        return {
          kind: "withdraw-offload",
          results: (request.selection.kind === "flow-ids" ? request.selection.flowIds : []).map(
            (flowId) => {
              const key = `${request.epoch}/${flowId}`;
              const holding = this.held.get(key);
              if (holding === undefined) return { flowId, outcome: "no-such-flow" };
              this.held.delete(key);
              return { flowId, outcome: "closed", counters: holding.counters };
            },
          ),
        };
      case "get-flows": {
        const { after } = request;
        const all = [...this.held.entries()].sort(([a], [b]) => (a < b ? -1 : 1));
        const from =
          after === undefined
            ? 0
            : all.findIndex(([key]) => key === `${after.epoch}/${after.flowId}`) + 1;
        const flows = all.slice(from, from + this.pageMax).map(([, holding]) => ({ ...holding }));
        return {
          kind: "get-flows",
          asOfSequence: this.sequence,
          more: from + this.pageMax < all.length,
          flows,
        };
      }
      case "renew-lease":
        return { kind: "renew-lease", leaseMs: this.leaseMs };
      case "acknowledge-events":
        this.unacknowledged = this.unacknowledged.filter(
          (event) => event.sequence > request.sequence,
        );
        return { kind: "acknowledge-events" };
      case "update-offload": {
        const holding = this.held.get(`${request.epoch}/${request.flowId}`);
        if (holding === undefined) {
          return {
            kind: "update-offload",
            outcome: "refused",
            reason: "no-such-flow",
            version: 0n,
          };
        }
        return {
          kind: "update-offload",
          outcome: "updated",
          version: request.expectedVersion + 1n,
        };
      }
    }
  }

  /** Returns the event that tells of a holding's activation. */
  activate(holding: Holding): FlowEvent {
    holding.state = "active";
    return this.#event(holding, { kind: "activated", directions: holding.flow.directions });
  }

  close(holding: Holding, cause: CloseCause): FlowEvent {
    this.held.delete(`${holding.epoch}/${holding.flow.flowId}`);
    return this.#event(holding, { kind: "closed", cause, counters: holding.counters });
  }

  #event(holding: Holding, what: FlowEvent["what"]): FlowEvent {
    this.sequence += 1n;
    const event = {
      sequence: this.sequence,
      epoch: holding.epoch,
      flowId: holding.flow.flowId,
      what,
    };
    this.unacknowledged.push(event);
    return event;
  }
}

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
      conntrackTcpSec: 432_000,
      conntrackUdpSec: 120,
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
