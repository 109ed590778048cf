/**
 * The offload engine at work in the appliance: conntrack events, routes, the serial port and timers around
 * the pure core.
 *
 * Effect: starts threads and sockets; everything it decides is decided in `engine.ts`.
 * Set `nf_conntrack_events=1` and `nf_conntrack_acct=1` in the namespace before the first flow.
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { describeError } from "../lib/base/errors.ts";
import { waitForGracePeriod } from "../lib/bpf/membarrier.ts";
import type { ConntrackEntry } from "../lib/conntrack/entry.ts";
import { listenConntrack } from "../lib/conntrack/events.ts";
import { MARK_WORTHY } from "../lib/conntrack/mark-bits.ts";
import { ConntrackTable } from "../lib/conntrack/table.ts";
import type { EventStream } from "../lib/netlink/event-stream.ts";
import { openSerialPort } from "../lib/serial/open-port.ts";
import type { ApplianceInterface, JudgeFlow } from "../lib/service/provider.ts";
import type { SessionId } from "../offload-protocol/framing.ts";
import type { Epoch } from "../offload-protocol/messages.ts";
import { OffloadClient } from "./client.ts";
import { EffectRunner } from "./effects.ts";
import { OffloadEngine } from "./engine.ts";
import type { ConntrackTimeouts, EngineEvent } from "./engine-types.ts";
import type {
  FlowListing,
  OffloadHandle,
  OffloadOptions,
  OffloadState,
  PolicyOutcome,
} from "./handle.ts";
import { IDLE_TIMEOUT_TCP_MS, IDLE_TIMEOUT_UDP_MS } from "./limits.ts";
import { NextHops } from "./next-hops.ts";

/** Entries judged before other work gets its turn. */
const POLICY_ENTRIES_PER_TURN = 512;
/** How often the kernel is asked for the list of flows when it fails. */
const POLICY_LISTS_MAX = 3;
const NEIGHBOURS_VERIFIED_MS = 30_000;
/** setTimeout takes no more. */
const TIMER_MS_MAX = 0x7fff_ffff;
const CONNTRACK_SETTINGS = "/proc/sys/net/netfilter/nf_conntrack_";
const TCP_ESTABLISHED_DEFAULT_SEC = 432_000;
const UDP_STREAM_DEFAULT_SEC = 120;

/** Starts following flows and asking for their offload. Resolves when events are being followed. */
export async function startOffload(options: OffloadOptions): Promise<OffloadHandle> {
  const shell = new OffloadShell(options);
  try {
    await shell.start();
  } catch (error) {
    await shell.stop();
    throw error;
  }
  return shell;
}

class OffloadShell implements OffloadHandle {
  readonly #options: OffloadOptions;
  readonly #table: ConntrackTable = new ConntrackTable();
  readonly #engine: OffloadEngine;
  readonly #runner: EffectRunner;
  readonly #policies = new Map<number, (outcome: PolicyOutcome) => void>();
  #nextHops: NextHops | undefined;
  #client: OffloadClient | undefined;
  #events: EventStream | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs: number = Number.POSITIVE_INFINITY;
  #verifyTimer: NodeJS.Timeout | undefined;
  #nextToken = 1;
  #stopped = false;

  constructor(options: OffloadOptions) {
    this.#options = options;
    const requiredMark = options.requiredMark ?? MARK_WORTHY;
    this.#engine = new OffloadEngine({
      epoch: randomBytes(8).toString("hex") as Epoch,
      judge: options.judge,
      policyEpoch: options.policyEpoch,
      interfaces: options.interfaces,
      requiredMark,
      idleTimeoutTcpMs: options.idleTimeoutMs?.tcp ?? IDLE_TIMEOUT_TCP_MS,
      idleTimeoutUdpMs: options.idleTimeoutMs?.udp ?? IDLE_TIMEOUT_UDP_MS,
      conntrackTimeouts: readTimeouts(),
      reports: options.onFlow !== undefined,
      flowBytesMax: (flow) => this.#client?.codec.flowBytesMax(flow) ?? 0,
      locate: (destination) => this.#nextHops?.locate(destination) ?? { kind: "unresolved" },
    });
    this.#runner = new EffectRunner({
      table: this.#table,
      clock: options.clock,
      log: options.log,
      requiredMark,
      handle: (event) => this.#handle(event),
      send: (requestId, request) => this.#client?.send(requestId, request),
      resetSession: (why) => this.#client?.reset(why),
      report: (report) => options.onFlow?.(report),
      policyDone: (token, outcome) => {
        this.#policies.get(token)?.(outcome);
        this.#policies.delete(token);
      },
    });
  }

  async start(): Promise<void> {
    const { clock, log, port } = this.#options;
    this.#nextHops = await NextHops.open(clock, log, () => this.#handle({ kind: "paths-changed" }));
    this.#events = await listenConntrack({
      ownPort: this.#table.port,
      onEvents: (events) => this.#handle({ kind: "conntrack", events }),
      onFailed: (error) => {
        if (this.#stopped) return;
        // Without events nothing here is true any more: the process ends and is started again.
        setImmediate(() => {
          throw error;
        });
      },
    });
    this.#verifyTimer = setInterval(() => this.#verifyNeighbours(), NEIGHBOURS_VERIFIED_MS);
    if (port === undefined) return;
    this.#client = new OffloadClient(
      {
        port: await openSerialPort(port, log),
        clock,
        log,
        drawSessionId: () => randomBytes(8).toString("hex") as SessionId,
        offersCbor: port.encoding !== "xml",
      },
      {
        onUp: () => this.#handle({ kind: "session-up" }),
        onDown: () => this.#handle({ kind: "session-down" }),
        onReply: (requestId, reply) => this.#handle({ kind: "reply", requestId, reply }),
        onFailed: (requestId) => this.#handle({ kind: "request-failed", requestId }),
        onNotification: (notification) => this.#handle({ kind: "notification", notification }),
      },
    );
  }

  async applyPolicy(
    judge: JudgeFlow,
    policyEpoch: bigint,
    deadlineMs: number,
  ): Promise<PolicyOutcome> {
    const token = this.#nextToken++;
    const done = new Promise<PolicyOutcome>((resolve) => this.#policies.set(token, resolve));
    this.#handle({ kind: "conntrack-timeouts", timeouts: readTimeouts() }); // A policy has its own.
    this.#handle({ kind: "policy", token, judge, policyEpoch, deadlineMs });
    void this.#judgeAll(token);
    return await done;
  }

  /** Brings every entry before the judge, also when the commit was answered before the list has ended. */
  async #judgeAll(token: number): Promise<void> {
    for (let attempt = 1; attempt <= POLICY_LISTS_MAX && !this.#stopped; attempt++) {
      try {
        // A packet that passed the rules of before has confirmed its entry after this, so that the list has it.
        await waitForGracePeriod();
        if (this.#stopped) return;
        await this.#listEntries(token);
        this.#handle({ kind: "policy-entries-end", token });
        return;
      } catch (error) {
        this.#options.log.error("flows cannot be judged again", {
          attempt,
          reason: describeError(error),
        });
      }
    }
  }

  async #listEntries(token: number): Promise<void> {
    let entries: ConntrackEntry[] = [];
    const judgeEntries = (): void => {
      if (entries.length > 0) this.#handle({ kind: "policy-entries", token, entries });
      entries = [];
    };
    await this.#table.dump((entry) => {
      entries.push(entry);
      if (entries.length >= POLICY_ENTRIES_PER_TURN) judgeEntries();
    });
    judgeEntries();
  }

  setInterfaces(interfaces: readonly ApplianceInterface[]): void {
    this.#handle({ kind: "interfaces", interfaces });
  }

  getState(): OffloadState {
    return this.#engine.getState();
  }

  listFlows(limit: number): readonly FlowListing[] {
    return this.#engine.listFlows(limit);
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#runner.stop();
    clearTimeout(this.#timer);
    clearInterval(this.#verifyTimer);
    await this.#client?.close();
    await this.#events?.stop();
    this.#nextHops?.close();
    this.#table.close();
    const late = ["the engine was stopped"];
    for (const resolve of this.#policies.values()) {
      resolve({ cutFlows: 0, cutOffloadedFlows: 0, late });
    }
    this.#policies.clear();
  }

  #handle(event: EngineEvent): void {
    if (this.#stopped) return;
    this.#runner.run(this.#engine.handle(event, this.#options.clock.nowMs()));
    this.#armTimer();
  }

  /** A timer that comes too early does no harm, so it is moved only when it would come too late. */
  #armTimer(): void {
    const dueAtMs = this.#engine.nextTickMs();
    if (this.#stopped || dueAtMs >= this.#timerAtMs) return;
    clearTimeout(this.#timer);
    this.#timerAtMs = dueAtMs;
    const delayMs = Math.max(0, Math.ceil(dueAtMs - this.#options.clock.nowMs()));
    this.#timer = setTimeout(
      () => {
        this.#timerAtMs = Number.POSITIVE_INFINITY;
        this.#handle({ kind: "tick" });
      },
      Math.min(delayMs, TIMER_MS_MAX),
    );
  }

  #verifyNeighbours(): void {
    if (this.#engine.hasOffloadedFlows) this.#nextHops?.verify();
  }
}

function readTimeouts(): ConntrackTimeouts {
  return {
    tcpSec: readSeconds("tcp_timeout_established", TCP_ESTABLISHED_DEFAULT_SEC),
    udpSec: readSeconds("udp_timeout_stream", UDP_STREAM_DEFAULT_SEC),
  };
}

/** Returns one of the namespace's conntrack timeouts. */
function readSeconds(name: string, otherwise: number): number {
  try {
    const value = Number(readFileSync(`${CONNTRACK_SETTINGS}${name}`, "utf8"));
    return Number.isInteger(value) && value > 0 ? value : otherwise;
  } catch {
    return otherwise;
  }
}
