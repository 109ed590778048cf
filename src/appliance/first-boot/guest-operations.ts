/**
 * What the helper does besides in a VM: the console's banner, and installing the first key.
 *
 * Effect: writes to the consoles and the key files. The code is kept beside the sockets, for root alone, so that
 * a helper that is started again shows the same one.
 */
import { createHash, randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MONOTONIC_CLOCK } from "../../lib/base/clock.ts";
import { describeError, FlowliftError } from "../../lib/base/errors.ts";
import type { LocalRpcHandlers } from "../../lib/base/local-rpc.ts";
import type { Log } from "../../lib/base/log.ts";
import { readImageVersion } from "../image-version.ts";
import { type BannerFacts, formatBanner } from "./banner.ts";
import { type BootedInstance, NETCONF_PORT, writeKeys } from "./first-boot.ts";
import { type CodeVerdict, drawInstallCode, InstallCode, TRY_INTERVAL_MS } from "./install-code.ts";
import type { GuestPlaces } from "./places.ts";
import { formatProblem } from "./report.ts";
import { isPublicKey } from "./user-data.ts";

/** Addresses come by DHCP after the banner, and go; then it is shown again. */
const LOOK_INTERVAL_MS = 3_000;
const PROBLEM_CHARACTERS_MAX = 600;
const EXTRA_PROBLEMS_MAX = 8;

const REFUSALS: Readonly<Record<Exclude<CodeVerdict, "accepted">, string>> = {
  wrong: "The code is wrong; the VM's console shows it",
  "too-soon": "Another try came less than a second ago; try again",
  "used-up": "The code was tried too often or used; reboot the VM for a new one",
};

/** The VM's console and its keys. */
export class GuestConsole {
  readonly #places: GuestPlaces;
  readonly #booted: BootedInstance;
  readonly #log: Log;
  readonly #code: InstallCode;
  #keyCount: number;
  #problems: readonly string[] = [];
  #fingerprint: string | undefined;
  #shown = "";
  #timer: NodeJS.Timeout | undefined;

  constructor(places: GuestPlaces, booted: BootedInstance, log: Log) {
    this.#places = places;
    this.#booted = booted;
    this.#log = log;
    this.#code = new InstallCode(recallCode(join(places.runDirectory, "install-code")));
    this.#keyCount = writeKeys(places, booted.store, booted.seedKeys);
  }

  get operations(): LocalRpcHandlers {
    return {
      // NETCONF is served: what the console says is true from now on.
      "show-banner": async (params) => {
        this.#problems = readProblems(params);
        this.#fingerprint = readFingerprint(this.#booted.settings.stateDirectory);
        writeFileSync(join(this.#places.runDirectory, "served"), "");
        await this.#show();
        this.#timer ??= setInterval(() => void this.#show(), LOOK_INTERVAL_MS);
        return {};
      },
      "install-key": async (params) => await this.#installKey(params),
    };
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #installKey(params: unknown): Promise<{ readonly fingerprint: string }> {
    const { code, key } = (params ?? {}) as { readonly code?: unknown; readonly key?: unknown };
    const refuse = (text: string): never => {
      this.#log.warn("A key was not installed", { reason: text });
      throw new FlowliftError("LOCAL_RPC_FAILED", text);
    };
    if (typeof code !== "string" || typeof key !== "string" || !isPublicKey(key.trim())) {
      return refuse("The key is no public key that is taken (ed25519, ecdsa or rsa, one line)");
    }
    if (this.#keyCount > 0) {
      return refuse("A key is installed already; log in with it, or give keys at first boot");
    }
    const verdict = await this.#judge(code);
    if (verdict !== "accepted") return refuse(REFUSALS[verdict]);
    this.#booted.store.addInstalledKey(key.trim());
    this.#keyCount = writeKeys(this.#places, this.#booted.store, this.#booted.seedKeys);
    this.#fingerprint ??= readFingerprint(this.#booted.settings.stateDirectory);
    this.#log.info("The first key is installed", { fingerprint: fingerprintOf(key.trim()) });
    await this.#show();
    return { fingerprint: fingerprintOf(key.trim()) };
  }

  /** A try that comes too soon after another one waits a little before it is refused. */
  async #judge(code: string): Promise<CodeVerdict> {
    const verdict = this.#code.check(code, MONOTONIC_CLOCK.nowMs());
    if (verdict !== "too-soon") return verdict;
    await sleep(TRY_INTERVAL_MS);
    return this.#code.check(code, MONOTONIC_CLOCK.nowMs());
  }

  /** Writes the banner when it says something new. */
  async #show(): Promise<void> {
    if (this.#fingerprint === undefined) return;
    const text = formatBanner(this.#facts(this.#fingerprint));
    if (text === this.#shown) return;
    this.#shown = text;
    for (const path of this.#places.consoles) {
      if (!existsSync(path)) continue;
      await writeFile(path, text.replaceAll("\n", "\r\n")).catch((error: unknown) => {
        this.#log.debug("A console takes no text", { path, reason: describeError(error) });
      });
    }
  }

  #facts(hostKeyFingerprint: string): BannerFacts {
    const { report, settings } = this.#booted;
    return {
      version: readImageVersion(this.#places.releaseFile) ?? "",
      hostname: readFileSync(this.#places.hostnameFile, "utf8").trim(),
      addresses: listAddresses(),
      netconfPort: NETCONF_PORT,
      users: settings.netconf.users,
      hostKeyFingerprint,
      keyCount: this.#keyCount,
      installCode: this.#keyCount === 0 ? this.#code.code : undefined,
      problems: [...report.notes, ...report.problems.map(formatProblem), ...this.#problems],
    };
  }
}

function recallCode(path: string): string {
  if (existsSync(path)) return readFileSync(path, "utf8");
  const code = drawInstallCode(() => randomBytes(1)[0] ?? 0);
  writeFileSync(path, code, { mode: 0o600 });
  return code;
}

function readProblems(params: unknown): string[] {
  const problems = (params as { readonly problems?: unknown } | null)?.problems;
  if (!Array.isArray(problems)) return [];
  return problems
    .filter((one) => typeof one === "string")
    .slice(0, EXTRA_PROBLEMS_MAX)
    .map((one) => one.slice(0, PROBLEM_CHARACTERS_MAX));
}

function readFingerprint(stateDirectory: string): string {
  return fingerprintOf(readFileSync(join(stateDirectory, "ssh_host_ed25519_key.pub"), "utf8"));
}

/** As ssh-keygen(1) shows it. */
export function fingerprintOf(publicKey: string): string {
  const [, data = ""] = publicKey.split(" ");
  const digest = createHash("sha256").update(Buffer.from(data, "base64")).digest("base64");
  return `SHA256:${digest.replace(/=+$/, "")}`;
}

function listAddresses(): BannerFacts["addresses"] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
    addresses
      .filter(({ address, internal }) => !internal && !address.startsWith("fe80:"))
      .map(({ address }) => ({ interface: name, address })),
  );
}
