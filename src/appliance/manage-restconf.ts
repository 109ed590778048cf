/**
 * RESTCONF as the configuration wants it: enabled or not, and where.
 *
 * Effect: listens; makes a key and a certificate in the state directory when it is first enabled.
 * Invariant: a new place to listen is taken before the old one is left, so that a commit that cannot have
 * it changes nothing.
 */
import { X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import { MONOTONIC_CLOCK } from "../lib/base/clock.ts";
import { FlowliftError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import { ok, type Result } from "../lib/base/result.ts";
import { childNode, readBoolean, readNumber, readText } from "../lib/service/data-reader.ts";
import type { ConfigData, ConfigProblem } from "../lib/service/provider.ts";
import type { Applier, ApplyOutcome } from "../management/applier.ts";
import type { ManagementServer } from "../management/management-server.ts";
import type { RestconfServer } from "../management/restconf/restconf-server.ts";
import type { ClientCertificates } from "../management/tls/client-certificates.ts";
import { loadTlsIdentity } from "./tls-identity.ts";

export const RESTCONF_PORT_DEFAULT = 443;
const ADDRESS_DEFAULT = "::";
const IDENTITY_NAME = "restconf";
const NOTHING_LATE: ApplyOutcome = { late: [] };

interface Place {
  readonly address: string;
  readonly port: number;
}

interface Serving {
  readonly place: Place;
  readonly server: RestconfServer;
  readonly port: number;
}

export class RestconfApplier implements Applier {
  readonly #stateDirectory: string;
  readonly #certificates: ClientCertificates;
  readonly #log: Log;
  readonly #prepared = new Map<string, Place | undefined>();
  #management: ManagementServer | undefined;
  #serving: Serving | undefined;
  /** Serves called clients, and never listens. */
  #called: RestconfServer | undefined;
  #before: { readonly transactionId: string; readonly place: Place | undefined } | undefined;

  constructor(stateDirectory: string, certificates: ClientCertificates, log: Log) {
    this.#stateDirectory = stateDirectory;
    this.#certificates = certificates;
    this.#log = log;
  }

  /** Whose datastores are served. */
  attach(management: ManagementServer): void {
    this.#management = management;
  }

  async prepare(
    transactionId: string,
    config: ConfigData,
  ): Promise<Result<undefined, ConfigProblem>> {
    this.#prepared.clear(); // Commits come one at a time.
    this.#prepared.set(transactionId, readPlace(config));
    return ok(undefined);
  }

  async commit(transactionId: string): Promise<ApplyOutcome> {
    const before = this.#serving?.place;
    await this.#move(this.#prepared.get(transactionId));
    this.#before = { transactionId, place: before };
    return NOTHING_LATE;
  }

  async abort(transactionId: string): Promise<void> {
    this.#prepared.delete(transactionId);
    if (this.#before?.transactionId !== transactionId) return;
    const { place } = this.#before;
    this.#before = undefined;
    await this.#move(place);
  }

  async getState(): Promise<ConfigData> {
    if (this.#serving === undefined) return {};
    const { certificate } = loadTlsIdentity(this.#stateDirectory, IDENTITY_NAME);
    const { fingerprint256 } = new X509Certificate(certificate);
    const state = { port: this.#serving.port, "certificate-fingerprint": fingerprint256 };
    return { "flowlift-restconf:restconf": { state } };
  }

  /** Serves a connection that the appliance opened. Throws CERTIFICATE_INVALID. */
  async accept(socket: Socket): Promise<void> {
    if (this.#called === undefined) {
      const server = await this.#makeServer();
      this.#called = server;
      await server.prepare();
    }
    this.#called.accept(socket);
  }

  close(): void {
    this.#stopListening();
    this.#called?.close();
    this.#called = undefined;
  }

  #stopListening(): void {
    this.#serving?.server.close();
    this.#serving = undefined;
  }

  async #move(place: Place | undefined): Promise<void> {
    const now = this.#serving;
    if (place?.address === now?.place.address && place?.port === now?.place.port) return;
    if (place === undefined) return this.#stopListening();
    const next = await this.#serve(place);
    now?.server.close();
    this.#serving = next;
    this.#log.info("RESTCONF is served", { address: place.address, port: next.port });
  }

  async #serve(place: Place): Promise<Serving> {
    const server = await this.#makeServer();
    return { place, server, port: await server.start(place) };
  }

  /** Loaded when it is needed: a VM that serves none boots without it. */
  async #makeServer(): Promise<RestconfServer> {
    const management = this.#management;
    if (management === undefined) {
      throw new FlowliftError("PORT_IN_USE", "RESTCONF cannot be served before the datastores are");
    }
    const restconf = await import("../management/restconf/restconf-server.ts");
    return new restconf.RestconfServer({
      operations: management.operations,
      registry: management.registry,
      authenticator: management.users,
      bus: management.events,
      modules: management.operations.store.yang.listModules(),
      ...loadTlsIdentity(this.#stateDirectory, IDENTITY_NAME),
      clientCertificates: this.#certificates,
      clock: MONOTONIC_CLOCK,
      log: this.#log,
    });
  }
}

function readPlace(config: ConfigData): Place | undefined {
  const node = childNode(config, "flowlift-restconf:restconf");
  if (!readBoolean(node, "enabled", false)) return undefined;
  const address = readText(node, "address") ?? ADDRESS_DEFAULT;
  return { address, port: readNumber(node, "port") ?? RESTCONF_PORT_DEFAULT };
}
