/**
 * Everything that an appliance's configuration is applied to: the data process, and the host's name.
 *
 * Effect: calls the data process and the helper. The name is set last, because it can be taken back.
 */
import { type as osType, release } from "node:os";
import { connectLocalRpc } from "../lib/base/local-rpc.ts";
import type { Log } from "../lib/base/log.ts";
import type { Result } from "../lib/base/result.ts";
import type { ConfigData, ConfigProblem } from "../lib/service/provider.ts";
import type { Applier, ApplyOutcome } from "../management/applier.ts";
import type { DataLink } from "./manage-data-link.ts";

export const HELPER_TIMEOUT_MS = 5_000;

export interface ApplianceApplierOptions {
  readonly dataLink: DataLink;
  readonly helperSocket: string;
  readonly bootId: string;
  readonly version: string;
  readonly log: Log;
}

/** Joins the appliers; the store sees one. */
export class ApplianceApplier implements Applier {
  readonly #options: ApplianceApplierOptions;
  readonly #hostnames = new Map<string, string | undefined>();
  /** What the helper was told last. */
  #hostname: string | undefined;
  #hostnameBefore: string | undefined;

  constructor(options: ApplianceApplierOptions) {
    this.#options = options;
  }

  async prepare(
    transactionId: string,
    config: ConfigData,
  ): Promise<Result<undefined, ConfigProblem>> {
    const prepared = await this.#options.dataLink.prepare(transactionId, config);
    if (prepared.ok) {
      this.#hostnames.clear(); // Transactions come one after the other.
      this.#hostnames.set(transactionId, readHostname(config));
    }
    return prepared;
  }

  async commit(transactionId: string): Promise<ApplyOutcome> {
    const outcome = await this.#options.dataLink.commit(transactionId);
    const wanted = this.#hostnames.get(transactionId);
    this.#hostnameBefore = this.#hostname;
    if (wanted !== undefined && wanted !== this.#hostname) await this.#setHostname(wanted);
    return outcome;
  }

  async abort(transactionId: string): Promise<void> {
    const before = this.#hostnameBefore;
    if (before !== undefined && before !== this.#hostname) await this.#setHostname(before);
    await this.#options.dataLink.abort(transactionId);
  }

  async getState(): Promise<ConfigData> {
    const { bootId, dataLink, version } = this.#options;
    const own = {
      "flowlift-system:appliance": {
        state: { version, "boot-id": bootId, "data-process": dataLink.state },
      },
      "ietf-system:system-state": {
        platform: { "os-name": osType(), "os-release": release(), machine: process.arch },
      },
    };
    if (dataLink.state === "away") return own;
    return { ...(await dataLink.getState()), ...own };
  }

  async #setHostname(hostname: string): Promise<void> {
    const helper = await connectLocalRpc(this.#options.helperSocket, {});
    try {
      await helper.call("set-hostname", { hostname }, HELPER_TIMEOUT_MS);
      this.#hostname = hostname;
      this.#options.log.info("The host's name is set", { hostname });
    } finally {
      helper.close();
    }
  }
}

function readHostname(config: ConfigData): string | undefined {
  const system = config["ietf-system:system"] as { readonly hostname?: string } | undefined;
  return system?.hostname;
}

/** `auto-save` is on unless the configuration says otherwise. */
export function readAutoSave(config: ConfigData): boolean {
  const appliance = config["flowlift-system:appliance"] as
    | { readonly "auto-save"?: boolean }
    | undefined;
  return appliance?.["auto-save"] ?? true;
}
