/**
 * A NETCONF server with its datastores: what an appliance and a controller both are to an operator.
 *
 * Effect: loads YANG modules and stored datastores, listens, and serves until close().
 * It knows nothing of what is configured: modules and applier come from its owner.
 */

import { describeError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import type { NamespaceOfModule } from "../lib/netconf/error-path.ts";
import { NS_MONITORING, NS_NETCONF } from "../lib/netconf/names.ts";
import type { RpcError } from "../lib/netconf/rpc-error.ts";
import type { ConfigData } from "../lib/service/provider.ts";
import type { YangModule } from "../lib/yang/module-list.ts";
import { YangContext, type YangModuleRequest } from "../lib/yang/yang-context.ts";
import type { Applier } from "./applier.ts";
import { listCapabilities } from "./capabilities.ts";
import { ConfigStore } from "./config-store.ts";
import { DatastoreFiles } from "./datastore-files.ts";
import { NetconfSession } from "./netconf-session.ts";
import { OperationalState } from "./operational.ts";
import { makeEditHandlers } from "./operations/edit.ts";
import { makeGetSchema, makeReadHandlers } from "./operations/read.ts";
import { makeSessionHandlers, releaseLocks } from "./operations/session.ts";
import type { RpcHandler, RpcHandlers } from "./rpc-answerer.ts";
import { buildSchema } from "./schema-build.ts";
import { SessionRegistry } from "./session-registry.ts";
import { loadHostKey } from "./ssh-keys.ts";
import { type ListenPoint, type SshClient, SshServer } from "./ssh-server.ts";
import { loadDatastores } from "./startup.ts";

/** Modules that the server itself needs. */
export const SERVER_MODULES: readonly YangModuleRequest[] = [
  {
    name: "ietf-netconf",
    features: ["candidate", "rollback-on-error", "startup", "validate"],
  },
  { name: "ietf-netconf-monitoring" },
  { name: "ietf-yang-library", revision: "2019-01-04" },
  { name: "ietf-datastores" },
  { name: "flowlift-edit" },
];

export interface ManagementOptions {
  readonly searchDirectories: readonly string[];
  /** Besides SERVER_MODULES. */
  readonly modules: readonly YangModuleRequest[];
  readonly applier: Applier;
  readonly stateDirectory: string;
  readonly hostKeyFile: string;
  readonly authorizedKeysFile: string;
  readonly users: readonly string[];
  readonly listen: readonly ListenPoint[];
  readonly bootId: string;
  /** RFC 7951 text, loaded when there is no startup datastore. */
  readonly dayZeroConfig: string | undefined;
  readonly savesStartup: (config: ConfigData) => boolean;
  readonly log: Log;
}

/** The whole management plane of one process. */
export class ManagementServer {
  readonly #options: ManagementOptions;
  readonly #store: ConfigStore;
  readonly #registry = new SessionRegistry(new Date());
  readonly #handlers: RpcHandlers;
  readonly #capabilities: readonly string[];
  readonly #ssh: SshServer;

  private constructor(options: ManagementOptions, yang: YangContext) {
    const { applier, log } = options;
    this.#options = options;
    const modules = yang.listModules();
    this.#capabilities = listCapabilities(modules);
    this.#store = new ConfigStore({
      yang,
      schema: buildSchema(yang.walkSchema()),
      applier,
      files: new DatastoreFiles(options.stateDirectory),
      bootId: options.bootId,
      savesStartup: options.savesStartup,
      log,
    });
    const operational = new OperationalState({
      store: this.#store,
      applier,
      registry: this.#registry,
      modules,
      capabilities: this.#capabilities,
      log,
    });
    this.#handlers = makeHandlers(this.#store, operational, this.#registry, modules);
    this.#ssh = new SshServer({
      hostKey: loadHostKey(options.hostKeyFile),
      authorizedKeysFile: options.authorizedKeysFile,
      users: options.users,
      listen: options.listen,
      log,
      mayAccept: () => !this.#registry.isFull,
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
    await loadDatastores(server.#store, options);
    await server.#ssh.start();
    return server;
  }

  get ports(): number[] {
    return this.#ssh.ports;
  }

  /** Gives running to the applier once more; returns why that failed. */
  reapply(): Promise<RpcError | undefined> {
    return this.#store.reapply();
  }

  load(json: string): Promise<RpcError | undefined> {
    return this.#store.load(json);
  }

  /** Ends every session and stops listening. */
  close(): void {
    for (const session of this.#registry.list()) session.terminate("The server stops");
    this.#ssh.close();
  }

  #openSession(client: SshClient): void {
    const { log } = this.#options;
    const id = this.#registry.takeId();
    try {
      const session = new NetconfSession({
        stream: client.stream,
        id,
        transport: "netconf-ssh",
        username: client.username,
        sourceHost: client.sourceHost,
        capabilities: this.#capabilities,
        registry: this.#registry,
        handlers: this.#handlers,
        log,
        onEnd: () => {
          releaseLocks(this.#store, id);
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

function makeHandlers(
  store: ConfigStore,
  operational: OperationalState,
  registry: SessionRegistry,
  modules: readonly YangModule[],
): RpcHandlers {
  const byName = new Map<string, RpcHandler>();
  const ofNetconf = {
    ...makeReadHandlers(store, operational),
    ...makeEditHandlers(store),
    ...makeSessionHandlers(store, registry),
  };
  for (const [name, handler] of Object.entries(ofNetconf)) {
    byName.set(`${NS_NETCONF} ${name}`, handler);
  }
  byName.set(`${NS_MONITORING} get-schema`, makeGetSchema(store, modules));
  const namespaces = new Map(modules.map(({ name, namespace }) => [name, namespace]));
  const namespaceOf: NamespaceOfModule = (module) => namespaces.get(module);
  return { byName, namespaceOf };
}
