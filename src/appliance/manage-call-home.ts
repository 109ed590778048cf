/**
 * Call home as the configuration wants it: a caller for each client.
 *
 * Effect: opens connections, and gives each to the server of its transport.
 */
import type { Socket } from "node:net";
import { isDeepStrictEqual } from "node:util";
import { MONOTONIC_CLOCK } from "../lib/base/clock.ts";
import { describeError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import { ok, type Result } from "../lib/base/result.ts";
import type { ConfigData, ConfigProblem } from "../lib/service/provider.ts";
import type { Applier, ApplyOutcome } from "../management/applier.ts";
import {
  type CalledClient,
  type CallTransport,
  parseCallHome,
} from "../management/call-home/call-home-config.ts";
import { Caller } from "../management/call-home/caller.ts";

const NOTHING_LATE: ApplyOutcome = { late: [] };

/** What serves a connection of each transport. */
export type CallServers = Readonly<Record<CallTransport, (socket: Socket) => Promise<void> | void>>;

interface Called {
  readonly client: CalledClient;
  readonly caller: Caller;
}

export class CallHomeApplier implements Applier {
  readonly #servers: CallServers;
  readonly #log: Log;
  #called: readonly Called[] = [];
  #prepared: readonly CalledClient[] = [];
  #before: { readonly transactionId: string; readonly clients: CalledClient[] } | undefined;

  constructor(servers: CallServers, log: Log) {
    this.#servers = servers;
    this.#log = log;
  }

  async prepare(
    _transactionId: string,
    config: ConfigData,
  ): Promise<Result<undefined, ConfigProblem>> {
    this.#prepared = parseCallHome(config); // Commits come one at a time.
    return ok(undefined);
  }

  async commit(transactionId: string): Promise<ApplyOutcome> {
    const clients = this.#called.map(({ client }) => client);
    this.#call(this.#prepared);
    this.#before = { transactionId, clients };
    return NOTHING_LATE;
  }

  async abort(transactionId: string): Promise<void> {
    if (this.#before?.transactionId !== transactionId) return;
    const { clients } = this.#before;
    this.#before = undefined;
    this.#call(clients);
  }

  async getState(): Promise<ConfigData> {
    if (this.#called.length === 0) return {};
    const client = this.#called.map(({ caller }) => caller.state);
    return { "flowlift-call-home:call-home": { state: { client } } };
  }

  close(): void {
    for (const { caller } of this.#called) caller.stop();
    this.#called = [];
  }

  /** A client that stays as it was keeps its connection: the commit may have come over it. */
  #call(clients: readonly CalledClient[]): void {
    const before = this.#called;
    this.#called = clients.map((client) => {
      const same = before.find((one) => isDeepStrictEqual(one.client, client));
      return same ?? { client, caller: this.#start(client) };
    });
    for (const one of before) if (!this.#called.includes(one)) one.caller.stop();
  }

  #start(client: CalledClient): Caller {
    const caller = new Caller({
      client,
      clock: MONOTONIC_CLOCK,
      log: this.#log,
      serve: (socket) => void this.#serve(client, socket),
    });
    caller.start();
    return caller;
  }

  async #serve(client: CalledClient, socket: Socket): Promise<void> {
    try {
      await this.#servers[client.transport](socket);
    } catch (error) {
      const reason = describeError(error);
      this.#log.error("A called client cannot be served", { client: client.name, reason });
      socket.destroy();
    }
  }
}
