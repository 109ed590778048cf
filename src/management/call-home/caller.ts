/**
 * Calls one management client, again and again, and hands the connections over.
 *
 * Effect: opens TCP connections. Source: RFC 8071 §4.
 * Invariant: at most one connection or attempt at any time; after stop() there is none.
 */
import { connect, type Socket } from "node:net";
import type { Clock } from "../../lib/base/clock.ts";
import type { Log } from "../../lib/base/log.ts";
import type { CallEndpoint, CalledClient } from "./call-home-config.ts";
import { type Call, CallPlan } from "./call-plan.ts";

/** How often within the idle time a connection is looked at. */
const IDLE_LOOKS = 8;

export interface CallerOptions {
  readonly client: CalledClient;
  /** Serves the connection; whoever takes it may destroy it, and its end is noticed here. */
  readonly serve: (socket: Socket) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: () => number;
}

export class Caller {
  readonly #options: CallerOptions;
  readonly #plan: CallPlan;
  #status: "connecting" | "connected" | "waiting" = "waiting";
  #endpoint: CallEndpoint | undefined;
  #attempts = 0;
  #connections = 0;
  #problem: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #socket: Socket | undefined;
  #isStopped = false;

  constructor(options: CallerOptions) {
    const { client, random = Math.random } = options;
    this.#options = options;
    const periodMs = client.periodic?.periodMs;
    this.#plan = new CallPlan({
      endpointCount: client.endpoints.length,
      strategy: client.strategy,
      random,
      ...(periodMs === undefined ? {} : { periodMs }),
    });
  }

  start(): void {
    this.#follow(this.#plan.begin());
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#socket?.destroy();
  }

  /** As the list entry of flowlift-call-home's state. */
  get state(): Readonly<Record<string, unknown>> {
    return {
      name: this.#options.client.name,
      status: this.#status,
      endpoint: this.#endpoint?.name,
      attempts: String(this.#attempts),
      connections: String(this.#connections),
      ...(this.#problem === undefined ? {} : { "last-problem": this.#problem }),
    };
  }

  #follow(call: Call): void {
    if (this.#isStopped) return;
    const endpoint = this.#options.client.endpoints[call.endpointIndex];
    if (endpoint === undefined) return;
    this.#status = "waiting";
    this.#endpoint = endpoint;
    this.#timer = setTimeout(() => this.#call(endpoint), call.afterMs);
  }

  #call(endpoint: CallEndpoint): void {
    const { client, clock } = this.#options;
    this.#status = "connecting";
    this.#attempts++;
    const socket = connect({ host: endpoint.host, port: endpoint.port });
    this.#socket = socket;
    let why = "";
    let connectedAtMs: number | undefined;
    let isWanted = false;
    const timer = setTimeout(() => {
      why = `no connection within ${client.strategy.maxWaitMs / 1_000} s`;
      socket.destroy();
    }, client.strategy.maxWaitMs);
    socket.once("error", (error) => {
      why = error.message;
    });
    socket.once("connect", () => {
      clearTimeout(timer);
      connectedAtMs = clock.nowMs();
      this.#connected(socket, endpoint, () => {
        isWanted = true;
      });
    });
    socket.once("close", () => {
      clearTimeout(timer);
      this.#socket = undefined;
      if (connectedAtMs !== undefined) {
        this.#follow(this.#plan.ended(clock.nowMs() - connectedAtMs, isWanted));
      } else if (!this.#isStopped) {
        this.#complain(endpoint, why);
        this.#follow(this.#plan.failed());
      }
    });
  }

  #connected(socket: Socket, endpoint: CallEndpoint, onIdle: () => void): void {
    const { client, log, serve } = this.#options;
    this.#status = "connected";
    this.#connections++;
    this.#problem = undefined;
    this.#plan.connected();
    log.info("A client was called", { client: client.name, endpoint: endpoint.name });
    serve(socket);
    socket.setKeepAlive(true, client.keepaliveMs);
    const idleMs = client.periodic?.idleMs ?? 0;
    if (idleMs > 0) this.#endIdle(socket, idleMs, onIdle);
  }

  /** Looks at the counters: the timeout of a socket that TLS has taken over sees nothing. */
  #endIdle(socket: Socket, idleMs: number, onIdle: () => void): void {
    const { clock } = this.#options;
    let bytes = 0;
    let sinceMs = clock.nowMs();
    const timer = setInterval(() => {
      const now = socket.bytesRead + socket.bytesWritten;
      if (now !== bytes) sinceMs = clock.nowMs();
      bytes = now;
      if (clock.nowMs() - sinceMs < idleMs) return;
      onIdle();
      socket.destroy();
    }, idleMs / IDLE_LOOKS);
    socket.once("close", () => clearInterval(timer));
  }

  /** Said once for each reason; an endpoint may be away for days. */
  #complain(endpoint: CallEndpoint, why: string): void {
    const problem = `${endpoint.name}: ${why}`;
    if (problem === this.#problem) return;
    this.#problem = problem;
    const { client, log } = this.#options;
    log.warn("A client cannot be called", { client: client.name, reason: problem });
  }
}
