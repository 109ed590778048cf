/**
 * Everything that an appliance's configuration is applied to: the data process, and the host's name.
 *
 * Effect: calls the data process and the helper.
 */
import { type as osType, release, uptime } from "node:os";
import { describeError } from "../lib/base/errors.ts";
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
  /** Members of `flowlift-system:appliance/state` that only a VM has. */
  readonly firstBoot: () => Readonly<Record<string, unknown>>;
  readonly log: Log;
}

/** Joins the appliers; the store sees one. */
export class ApplianceApplier implements Applier {
  readonly #options: ApplianceApplierOptions;
  /** Of the transaction that was prepared last: they come one after the other. */
  #wanted: string | undefined;
  /** Of the last transaction that was committed; `hasCommitted` says whether there was one. */
  #committed: string | undefined;
  #hasCommitted = false;
  /** What the helper was told last, and what the name was before that. */
  #hostname: string | undefined;
  #previous: string | undefined;

  constructor(options: ApplianceApplierOptions) {
    this.#options = options;
  }

  async prepare(
    transactionId: string,
    config: ConfigData,
  ): Promise<Result<undefined, ConfigProblem>> {
    const wanted = readHostname(config);
    this.#wanted = wanted;
    // A name that changes does so before the ruleset: the kernel must have agreed by then.
    const asksKernel = wanted !== undefined && wanted !== this.#hostname;
    return this.#options.dataLink.prepare(transactionId, config, asksKernel);
  }

  /** The name first: the data process need not be disturbed when the helper cannot be reached. */
  async commit(transactionId: string): Promise<ApplyOutcome> {
    const wanted = this.#wanted;
    this.#previous = undefined;
    if (wanted !== undefined && wanted !== this.#hostname) await this.#tryHostname(wanted);
    const outcome = await this.#options.dataLink.commit(transactionId);
    this.#committed = wanted;
    this.#hasCommitted = true;
    return outcome;
  }

  /** A commit that asks for a new name fails without it; one that does not goes on, and tells. */
  async #tryHostname(wanted: string): Promise<void> {
    try {
      this.#previous = await this.#setHostname(wanted);
    } catch (error) {
      if (this.#hasCommitted && wanted !== this.#committed) throw error;
      const reason = describeError(error);
      this.#options.log.warn("The host's name is not set; the next commit tries again", { reason });
    }
  }

  async abort(transactionId: string): Promise<void> {
    const previous = this.#previous;
    this.#previous = undefined;
    try {
      if (previous !== undefined) await this.#setHostname(previous);
    } finally {
      await this.#options.dataLink.abort(transactionId);
    }
  }

  async getState(): Promise<ConfigData> {
    const { bootId, dataLink, firstBoot, version } = this.#options;
    const own = {
      "flowlift-system:appliance": {
        state: { version, "boot-id": bootId, "data-process": dataLink.state, ...firstBoot() },
      },
      "ietf-system:system-state": {
        platform: { "os-name": osType(), "os-release": release(), machine: process.arch },
        clock: formatClock(new Date(), uptime()),
      },
    };
    if (dataLink.state === "away") return own;
    return { ...(await dataLink.getState()), ...own };
  }

  /** Returns the name before. */
  async #setHostname(hostname: string): Promise<string> {
    const helper = await connectLocalRpc(this.#options.helperSocket, {});
    try {
      const answer = await helper.call("set-hostname", { hostname }, HELPER_TIMEOUT_MS);
      this.#hostname = hostname;
      this.#options.log.info("The host's name is set", { hostname });
      return (answer as { readonly previous: string }).previous;
    } finally {
      helper.close();
    }
  }
}

/** Whole seconds: the time of boot must not tremble from one answer to the next. */
function formatClock(now: Date, uptimeSec: number): Readonly<Record<string, string>> {
  const format = (ms: number): string =>
    new Date(Math.round(ms / 1_000) * 1_000).toISOString().replace(/\.\d+Z$/, "+00:00");
  return {
    "current-datetime": format(now.getTime()),
    "boot-datetime": format(now.getTime() - uptimeSec * 1_000),
  };
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
