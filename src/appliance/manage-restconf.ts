/**
 * RESTCONF as the configuration wants it: enabled or not, and where.
 *
 * Effect: listens; makes a key and a certificate in the state directory when it is first enabled.
 * Invariant: a new place to listen is taken before the old one is left, so that a commit that cannot have
 * it changes nothing.
 */
import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { MONOTONIC_CLOCK } from "../lib/base/clock.ts";
import { FlowliftError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import { ok, type Result } from "../lib/base/result.ts";
import { issueCertificate } from "../lib/pki/certificate.ts";
import { childNode, readBoolean, readNumber, readText } from "../lib/service/data-reader.ts";
import type { ConfigData, ConfigProblem } from "../lib/service/provider.ts";
import type { Applier, ApplyOutcome } from "../management/applier.ts";
import type { ManagementServer } from "../management/management-server.ts";
import { RestconfServer } from "../management/restconf/restconf-server.ts";

export const RESTCONF_PORT_DEFAULT = 443;
const ADDRESS_DEFAULT = "::";
const KEY_NAME = "restconf.key";
const CERTIFICATE_NAME = "restconf.crt";
const KEY_MODE = 0o600;
/** Nobody renews it but who deletes the file; a browser asks about it anyway. */
const VALID_DAYS = 3650;
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
  readonly #log: Log;
  readonly #prepared = new Map<string, Place | undefined>();
  #management: ManagementServer | undefined;
  #serving: Serving | undefined;
  #before: { readonly transactionId: string; readonly place: Place | undefined } | undefined;

  constructor(stateDirectory: string, log: Log) {
    this.#stateDirectory = stateDirectory;
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
    const { fingerprint256 } = new X509Certificate(this.#readMaterial().certificate);
    const state = { port: this.#serving.port, "certificate-fingerprint": fingerprint256 };
    return { "flowlift-restconf:restconf": { state } };
  }

  close(): void {
    this.#serving?.server.close();
    this.#serving = undefined;
  }

  async #move(place: Place | undefined): Promise<void> {
    const now = this.#serving;
    if (place?.address === now?.place.address && place?.port === now?.place.port) return;
    if (place === undefined) return this.close();
    const next = await this.#serve(place);
    now?.server.close();
    this.#serving = next;
    this.#log.info("RESTCONF is served", { address: place.address, port: next.port });
  }

  async #serve(place: Place): Promise<Serving> {
    const management = this.#management;
    if (management === undefined) {
      throw new FlowliftError("PORT_IN_USE", "RESTCONF cannot be served before the datastores are");
    }
    const server = new RestconfServer({
      operations: management.operations,
      registry: management.registry,
      authenticator: management.users,
      bus: management.events,
      modules: management.operations.store.yang.listModules(),
      ...this.#readMaterial(),
      clock: MONOTONIC_CLOCK,
      log: this.#log,
    });
    return { place, server, port: await server.start(place) };
  }

  /** Throws CERTIFICATE_INVALID, STATE_FILE_UNWRITABLE. */
  #readMaterial(): { readonly certificate: string; readonly key: string } {
    const keyFile = join(this.#stateDirectory, KEY_NAME);
    const certificateFile = join(this.#stateDirectory, CERTIFICATE_NAME);
    if (!existsSync(keyFile) || !existsSync(certificateFile)) {
      makeMaterial(keyFile, certificateFile);
    }
    const key = readFileSync(keyFile, "utf8");
    const certificate = readFileSync(certificateFile, "utf8");
    try {
      if (new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))) {
        return { certificate, key };
      }
    } catch (cause) {
      const text = `"${certificateFile}" or its key is damaged; delete both, and they are made anew`;
      throw new FlowliftError("CERTIFICATE_INVALID", text, { cause });
    }
    const text = `"${certificateFile}" is not of the key beside it; delete both, and they are made anew`;
    throw new FlowliftError("CERTIFICATE_INVALID", text);
  }
}

/** The certificate comes last: where it is, the key is too. */
function makeMaterial(keyFile: string, certificateFile: string): void {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const name = hostname();
  const certificate = issueCertificate({
    role: "server",
    commonName: name,
    issuerName: name,
    alternativeNames: [{ kind: "dns", name }],
    subjectKey: privateKey,
    issuerKey: privateKey,
    now: new Date(),
    validDays: VALID_DAYS,
  });
  const key = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  try {
    for (const [file, text] of [
      [keyFile, key],
      [certificateFile, certificate],
    ] as const) {
      writeFileSync(`${file}.new`, text, { mode: KEY_MODE, flush: true });
      renameSync(`${file}.new`, file);
    }
  } catch (cause) {
    throw new FlowliftError("STATE_FILE_UNWRITABLE", `Cannot write "${keyFile}"`, { cause });
  }
}

function readPlace(config: ConfigData): Place | undefined {
  const node = childNode(config, "flowlift-restconf:restconf");
  if (!readBoolean(node, "enabled", false)) return undefined;
  const address = readText(node, "address") ?? ADDRESS_DEFAULT;
  return { address, port: readNumber(node, "port") ?? RESTCONF_PORT_DEFAULT };
}
