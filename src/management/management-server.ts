/**
 * A management plane with its datastores: what an appliance and a controller both are to an operator.
 *
 * Effect: loads YANG modules and stored datastores, listens, and serves until close().
 * It knows nothing of what is configured: modules and appliers come from its owner.
 */
import type { Duplex } from "node:stream";
import { MONOTONIC_CLOCK } from "../lib/base/clock.ts";
import { describeError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import type { RpcError } from "../lib/netconf/rpc-error.ts";
import type { ConfigData } from "../lib/service/provider.ts";
import { YangContext, type YangModuleRequest } from "../lib/yang/yang-context.ts";
import type { Applier } from "./applier.ts";
import { listCapabilities } from "./capabilities.ts";
import { ConfigStore } from "./config-store.ts";
import { ConfiguredUsers } from "./configured-users.ts";
import { AccessControl } from "./core/access-control.ts";
import { AuditLog } from "./core/audit-log.ts";
import { BaseEvents } from "./core/base-events.ts";
import { CompositeApplier } from "./core/composite-applier.ts";
import { EventBus } from "./core/event-bus.ts";
import { Operations } from "./core/operations.ts";
import { type PreviewCommit, registerHistory } from "./history-operations.ts";
import { makeHandlers } from "./netconf-handlers.ts";
import { NetconfSession } from "./netconf-session.ts";
import { OperationalState } from "./operational.ts";
import { listProviders } from "./own-state.ts";
import type { RpcHandlers } from "./rpc-answerer.ts";
import { buildSchema } from "./schema-build.ts";
import { SessionRegistry } from "./session-registry.ts";
import { loadHostKey } from "./ssh-keys.ts";
import { type ListenPoint, type SshClient, SshServer } from "./ssh-server.ts";
import { type DayZeroState, dropDayZero, loadDatastores } from "./startup.ts";
import { UserDirectory } from "./users.ts";

/** Modules that the server itself needs. */
export const SERVER_MODULES: readonly YangModuleRequest[] = [
  {
    name: "ietf-netconf",
    features: [
      "writable-running",
      "candidate",
      "confirmed-commit",
      "rollback-on-error",
      "startup",
      "validate",
      "xpath",
    ],
  },
  { name: "ietf-netconf-monitoring" },
  { name: "ietf-yang-library", revision: "2019-01-04" },
  { name: "ietf-datastores" },
  { name: "ietf-netconf-acm" },
  { name: "ietf-netconf-with-defaults" },
  { name: "ietf-netconf-notifications" },
  { name: "notifications" },
  { name: "nc-notifications" },
  { name: "ietf-origin" },
  { name: "ietf-netconf-nmda", features: ["origin", "with-defaults"] },
  { name: "flowlift-edit" },
  { name: "flowlift-history" },
];

export interface ManagementOptions {
  readonly searchDirectories: readonly string[];
  /** Besides SERVER_MODULES. */
  readonly modules: readonly YangModuleRequest[];
  readonly applier: Applier;
  /** More of them: a commit holds when it holds everywhere. */
  readonly appliers?: readonly Applier[];
  readonly stateDirectory: string;
  readonly hostKeyFile: string;
  /** The keys of `users`, whom access control does not bind. */
  readonly authorizedKeysFile: string;
  readonly users: readonly string[];
  readonly listen: readonly ListenPoint[];
  /** Tells what a commit would do beyond the configuration's difference. */
  readonly preview?: PreviewCommit;
  readonly bootId: string;
  /** RFC 7951 text or an XML `<config>`, loaded when there is no startup datastore. */
  readonly dayZeroConfig: string | undefined;
  readonly savesStartup: (config: ConfigData) => boolean;
  readonly log: Log;
}

/** The whole management plane of one process. */
export class ManagementServer {
  readonly operations: Operations;
  readonly events: EventBus = new EventBus();
  readonly registry: SessionRegistry = new SessionRegistry(new Date());
  readonly users: UserDirectory;
  readonly #options: ManagementOptions;
  readonly #store: ConfigStore;
  readonly #baseEvents: BaseEvents;
  readonly #audit: AuditLog;
  /** NETCONF's operations, for a transport that frames messages by itself. */
  readonly handlers: RpcHandlers;
  readonly #capabilities: readonly string[];
  readonly #ssh: SshServer;
  #dayZero: DayZeroState = { outcome: "absent" };
  #hasApplied = false;

  private constructor(options: ManagementOptions, yang: YangContext) {
    const { log, stateDirectory } = options;
    const applier = new CompositeApplier([options.applier, ...(options.appliers ?? [])], log);
    this.#options = options;
    const modules = yang.listModules();
    this.#capabilities = listCapabilities(modules);
    this.#audit = new AuditLog(stateDirectory, log);
    const schema = buildSchema(yang.walkSchema());
    const { bootId, savesStartup } = options;
    this.#store = new ConfigStore({
      yang,
      schema,
      applier,
      stateDirectory,
      bootId,
      savesStartup,
      log,
    });
    const running = (): ReturnType<ConfigStore["read"]> => this.#store.read("running");
    this.users = this.#makeUsers(new ConfiguredUsers(running));
    const access = new AccessControl(running, (username) => this.users.isRecovery(username));
    const operational = new OperationalState({
      store: this.#store,
      applier,
      registry: this.registry,
      modules,
      capabilities: this.#capabilities,
      providers: listProviders(this.#store, this.events, access.counters),
      log,
    });
    this.operations = new Operations({
      store: this.#store,
      operational,
      accessOf: (session) => access.accessOf(session),
    });
    registerHistory(this.operations, options.preview);
    this.handlers = makeHandlers({
      operations: this.operations,
      registry: this.registry,
      modules,
      bus: this.events,
      audit: this.#audit,
    });
    this.#baseEvents = new BaseEvents(this.events, this.#store, this.handlers.namespaceOf);
    this.#ssh = this.#makeSsh();
  }

  #makeUsers(configured: ConfiguredUsers): UserDirectory {
    const { authorizedKeysFile, log, users } = this.#options;
    return new UserDirectory({
      recoveryUsers: users,
      recoveryKeysFile: authorizedKeysFile,
      configured: () => configured.all,
      clock: MONOTONIC_CLOCK,
      log,
      onAttempt: (user, from, outcome) =>
        this.#audit.add({ event: "login", user, from, what: "log in", outcome }),
    });
  }

  #makeSsh(): SshServer {
    const { hostKeyFile, listen, log } = this.#options;
    return new SshServer({
      hostKey: loadHostKey(hostKeyFile),
      authenticator: this.users,
      listen,
      log,
      mayAccept: () => !this.registry.isFull,
      onClient: (client) => this.#openSession(client),
    });
  }

  /** Loads everything and listens; running is applied by reapply(), when the applier is there. */
  static async start(options: ManagementOptions): Promise<ManagementServer> {
    const yang = YangContext.create({
      searchDirectories: options.searchDirectories,
      modules: [...SERVER_MODULES, ...options.modules],
    });
    const server = new ManagementServer(options, yang);
    server.#dayZero = await loadDatastores(server.#store, options);
    await server.#ssh.start();
    return server;
  }

  get ports(): number[] {
    return this.#ssh.ports;
  }

  /** What became of the day-zero configuration at this start. */
  get dayZero(): DayZeroState {
    return this.#dayZero;
  }

  /**
   * Gives running to the applier once more; returns why that failed. A day-zero configuration that the
   * applier refuses at the first time is dropped, and nothing is applied in its place.
   */
  async reapply(): Promise<RpcError | undefined> {
    const problem = await this.#store.reapply();
    const isFresh = this.#dayZero.outcome === "applied" && !this.#hasApplied;
    if (problem === undefined) this.#hasApplied = true;
    if (problem === undefined || !isFresh || problem.appTag !== undefined) return problem;
    const text = `${problem.path ?? ""} ${problem.message}`.trim();
    this.#dayZero = await dropDayZero(this.#store, text, this.#options.log);
    return this.#store.reapply();
  }

  /** Replaces running by a document of RFC 7951 data, as a commit would; returns why that failed. */
  load(json: string): Promise<RpcError | undefined> {
    return this.#store.load(json);
  }

  /** Serves SSH on a byte stream, e.g. the VM's management port; `sourceHost` is what sessions show. */
  acceptStream(stream: Duplex, sourceHost: string): void {
    this.#ssh.accept(stream, sourceHost);
  }

  /** Serves NETCONF to a peer whose transport has authenticated it (SSH, TLS, call home). */
  openSession(client: SshClient, transport: string): void {
    this.#openSession(client, transport);
  }

  /** Notes an attempt to log in that a transport judged by itself. */
  auditLogin(user: string, from: string, outcome: string): void {
    this.#audit.add({ event: "login", user, from, what: "log in", outcome });
  }

  /** Ends every session and stops listening. */
  close(): void {
    for (const session of this.registry.list()) session.terminate("The server stops");
    this.#ssh.close();
    void this.#store.close();
  }

  #openSession(client: SshClient, transport = "netconf-ssh"): void {
    const { log } = this.#options;
    const id = this.registry.takeId();
    const audit = (what: string, outcome: string): void =>
      this.#audit.add({
        event: "session",
        user: client.username,
        from: client.sourceHost,
        session: id,
        what,
        outcome,
      });
    try {
      const session: NetconfSession = new NetconfSession({
        stream: client.stream,
        id,
        transport,
        username: client.username,
        sourceHost: client.sourceHost,
        capabilities: this.#capabilities,
        registry: this.registry,
        handlers: this.handlers,
        log,
        ...(client.groups === undefined ? {} : { groups: client.groups }),
        onStart: () => {
          audit("begin", "ok");
          this.#baseEvents.sessionStart(session);
        },
        onEnd: (why, killedBy) => {
          audit("end", why);
          this.operations.sessionEnded(session);
          this.#baseEvents.sessionEnd(session, why, killedBy);
          client.end();
        },
      });
      client.onGone(() => session.abandon());
    } catch (error) {
      log.error("A session could not begin", { reason: describeError(error) });
      client.end();
    }
  }
}
