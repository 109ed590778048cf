/**
 * The bridge's channel to the controller, made anew when its certificate files change.
 *
 * Effect: reads the files now and then, opens channels. Files that cannot be used leave the channel as it is.
 */
import { Client, credentials } from "@grpc/grpc-js";
import { describeError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import { loadBridgeTls, type TlsMaterial } from "../lib/pki/store.ts";
import { UPSTREAM_CHANNEL_OPTIONS } from "../offload-protocol/upstream.ts";
import type { BridgeSettings } from "./settings.ts";

const RECONNECT_MIN_MS = 100;
const RECONNECT_MAX_MS = 2_000;
/** A controller that does not answer a ping for this long is gone. */
const KEEPALIVE_MS = 10_000;
/** How often the files are looked at. */
export const FILES_CHECK_MS = 10_000;

/** Where calls are made. */
export interface ClientSource {
  /** The client of calls that begin now. */
  readonly client: Client;
}

/** A channel that follows its certificate. */
export class Channel implements ClientSource {
  readonly #settings: BridgeSettings;
  readonly #log: Log;
  readonly #timer: NodeJS.Timeout;
  #tls: TlsMaterial;
  #client: Client;
  #problem = "";
  /** Called when `client` is another one: calls of the earlier one are to be made again. */
  onRenewed: () => void = () => {};

  /** Throws CERTIFICATE_INVALID. */
  constructor(settings: BridgeSettings, log: Log) {
    this.#settings = settings;
    this.#log = log;
    this.#tls = loadBridgeTls(settings.pkiDirectory, settings.hostName);
    this.#client = createClient(settings.controllerAddress, this.#tls);
    this.#timer = setInterval(() => this.reload(), FILES_CHECK_MS);
  }

  get client(): Client {
    return this.#client;
  }

  /** Takes over the files if they have changed and can be used. */
  reload(): void {
    const { pkiDirectory, hostName, controllerAddress } = this.#settings;
    let tls: TlsMaterial;
    try {
      tls = loadBridgeTls(pkiDirectory, hostName);
    } catch (error) {
      const problem = describeError(error);
      if (problem !== this.#problem) {
        this.#log.error("the certificate stays as it was", { error: problem });
      }
      this.#problem = problem;
      return;
    }
    this.#problem = "";
    if (JSON.stringify(tls) === JSON.stringify(this.#tls)) return;
    const before = this.#client;
    this.#tls = tls;
    this.#client = createClient(controllerAddress, tls);
    this.#log.info("the certificate was renewed");
    this.onRenewed();
    before.close();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#client.close();
  }
}

function createClient(address: string, tls: TlsMaterial): Client {
  const secure = credentials.createSsl(
    Buffer.from(tls.authority),
    Buffer.from(tls.key),
    Buffer.from(tls.certificate),
  );
  return new Client(address, secure, {
    ...UPSTREAM_CHANNEL_OPTIONS,
    // The certificate carries the controller's name, whatever address it is reached at.
    "grpc.ssl_target_name_override": tls.controllerName,
    "grpc.default_authority": tls.controllerName,
    "grpc.initial_reconnect_backoff_ms": RECONNECT_MIN_MS,
    "grpc.max_reconnect_backoff_ms": RECONNECT_MAX_MS,
    "grpc.keepalive_time_ms": KEEPALIVE_MS,
    "grpc.keepalive_timeout_ms": KEEPALIVE_MS,
    "grpc.enable_retries": 0,
  });
}
