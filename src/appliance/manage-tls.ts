/**
 * NETCONF over TLS as the configuration wants it: who is believed, enabled or not, and where.
 *
 * Effect: listens; makes a key and a certificate in the state directory when they are first needed.
 * Invariant: a new place to listen is taken before the old one is left, so that a commit that cannot have
 * it changes nothing.
 */
import { X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import { isDeepStrictEqual } from "node:util";
import { FlowliftError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import { ok, type Result } from "../lib/base/result.ts";
import type { ConfigData, ConfigProblem } from "../lib/service/provider.ts";
import type { Applier, ApplyOutcome } from "../management/applier.ts";
import type { ManagementServer } from "../management/management-server.ts";
import { formatFingerprint } from "../management/tls/cert-to-name.ts";
import { ClientCertificates, NO_TRUST } from "../management/tls/client-certificates.ts";
import { type ListenPlace, parseTlsConfig, type TlsConfig } from "../management/tls/tls-config.ts";
import { NetconfTlsServer } from "../management/tls/tls-server.ts";
import { loadTlsIdentity } from "./tls-identity.ts";

const IDENTITY_NAME = "netconf-tls";
const NOTHING_LATE: ApplyOutcome = { late: [] };
const NOTHING: Applied = { place: undefined, trust: NO_TRUST, source: undefined };

interface Applied extends TlsConfig {
  /** The container as it was configured. */
  readonly source: unknown;
}

export class TlsApplier implements Applier {
  /** RESTCONF takes the same ones. */
  readonly certificates: ClientCertificates;
  readonly #stateDirectory: string;
  readonly #log: Log;
  #management: ManagementServer | undefined;
  #server: NetconfTlsServer | undefined;
  #port: number | undefined;
  #applied: Applied = NOTHING;
  #prepared: Applied = NOTHING;
  #before: { readonly transactionId: string; readonly config: Applied } | undefined;

  constructor(stateDirectory: string, log: Log) {
    this.#stateDirectory = stateDirectory;
    this.#log = log;
    this.certificates = new ClientCertificates(
      (username) => this.#management?.users.isRecovery(username) ?? true,
    );
  }

  /** Whose datastores are served. */
  attach(management: ManagementServer): void {
    this.#management = management;
  }

  async prepare(
    _transactionId: string,
    config: ConfigData,
  ): Promise<Result<undefined, ConfigProblem>> {
    const source = config["flowlift-tls:netconf-tls"];
    // Most commits change nothing here, and certificates are slow to read.
    if (isDeepStrictEqual(source, this.#applied.source)) {
      this.#prepared = this.#applied;
      return ok(undefined);
    }
    const parsed = parseTlsConfig(config);
    if (!parsed.ok) return parsed;
    this.#prepared = { ...parsed.value, source }; // Commits come one at a time.
    return ok(undefined);
  }

  async commit(transactionId: string): Promise<ApplyOutcome> {
    const before = this.#applied;
    await this.#apply(this.#prepared);
    this.#before = { transactionId, config: before };
    return NOTHING_LATE;
  }

  async abort(transactionId: string): Promise<void> {
    if (this.#before?.transactionId !== transactionId) return;
    const { config } = this.#before;
    this.#before = undefined;
    await this.#apply(config);
  }

  async getState(): Promise<ConfigData> {
    if (this.#server === undefined) return {};
    const { certificate, counters } = this.#server;
    const { accepted, failedHandshakes, refused } = counters;
    const state = {
      ...(this.#port === undefined ? {} : { port: this.#port }),
      fingerprint: formatFingerprint(new X509Certificate(certificate)),
      certificate,
      accepted: String(accepted),
      refused: String(refused),
      "failed-handshakes": String(failedHandshakes),
    };
    return { "flowlift-tls:netconf-tls": { state } };
  }

  /** Serves a connection that the appliance opened. Throws CERTIFICATE_INVALID. */
  accept(socket: Socket): void {
    this.#demandServer().accept(socket);
  }

  close(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  /** The place first: it is what can fail. */
  async #apply(config: Applied): Promise<void> {
    if (config === this.#applied) return;
    await this.#move(config.place);
    this.#applied = config;
    this.certificates.trust = config.trust;
  }

  async #move(place: ListenPlace | undefined): Promise<void> {
    const now = this.#applied.place;
    if (place?.address === now?.address && place?.port === now?.port) return;
    if (place === undefined) {
      this.#server?.stopListening();
      this.#port = undefined;
      return;
    }
    this.#port = await this.#demandServer().listen(place);
    this.#log.info("NETCONF over TLS is served", { address: place.address, port: this.#port });
  }

  #demandServer(): NetconfTlsServer {
    const management = this.#management;
    if (management === undefined) {
      const text = "NETCONF over TLS cannot be served before the datastores are";
      throw new FlowliftError("PORT_IN_USE", text);
    }
    this.#server ??= new NetconfTlsServer({
      identity: loadTlsIdentity(this.#stateDirectory, IDENTITY_NAME),
      certificates: this.certificates,
      log: this.#log,
      mayAccept: () => !management.registry.isFull,
      onClient: (client) => {
        management.auditLogin(client.username, client.sourceHost, "accepted");
        management.openSession(client, "netconf-tls");
      },
      onRefused: (who, from) => management.auditLogin(who, from, "refused"),
    });
    return this.#server;
  }
}
