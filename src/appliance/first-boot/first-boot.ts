/**
 * First boot, and every later one: what the documents say becomes the machine's name, network, keys and settings.
 *
 * Effect: runs the network's commands, writes below the run directory and the data partition. Runs in the root
 * helper, before the other processes have their settings file.
 *
 * Documents are read at each boot at which their source is there; without a source the last ones hold. A new
 * instance-id on a partition that had another means a copy: host key and installed keys are made anew,
 * the configuration stays. The day-0 document counts only while there is no startup datastore.
 */
import { execFile } from "node:child_process";
import {
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../../lib/base/log.ts";
import { MANAGE_PORT_NAME, OFFLOAD_PORT_NAME } from "../../lib/guest/contract.ts";
import { readImageProfile } from "../image-version.ts";
import { isApplianceProfile } from "../modules.ts";
import type { ApplianceSettings } from "../settings.ts";
import { InstanceStore } from "./instance-store.ts";
import { listKernelLinks } from "./kernel-links.ts";
import type { NetworkPlan } from "./network-plan.ts";
import {
  defaultPlan,
  FAILURE_MARK,
  formatNetworkScript,
  type NetworkScript,
  planNetworkScript,
} from "./network-script.ts";
import type { GuestPlaces } from "./places.ts";
import { type FirstBootReport, formatProblem, ProblemList } from "./report.ts";
import { readSeed, readSource, type Seed } from "./seed-files.ts";

export const NETCONF_PORT = 830;
export const DEFAULT_USER = "admin";
export const DEFAULT_HOSTNAME = "flowlift";
/** The volumes are looked for while this program starts. */
const SEED_WAIT_MS = 60_000;
const SEED_POLL_MS = 20;
const NETWORK_TIMEOUT_MS = 60_000;
const OUTPUT_BYTES_MAX = 256 * 1024;
const NOTES_MAX = 16;

/** What the helper needs afterwards. */
export interface BootedInstance {
  readonly settings: ApplianceSettings;
  readonly report: FirstBootReport;
  readonly store: InstanceStore;
  readonly seedKeys: readonly string[];
}

/** Does everything, and writes the settings file last: the other processes wait for it. */
export async function runFirstBoot(places: GuestPlaces, log: Log): Promise<BootedInstance> {
  const store = new InstanceStore(places.dataDirectory);
  const done = recallBoot(places, store);
  if (done !== undefined) return done;
  await waitForSeed(places, log);
  const problems = new ProblemList();
  const source = readSource(places.seedDirectory);
  const last = store.readSeed();
  const read = readSeed(places.seedDirectory, problems);
  const seed: Seed =
    source === "none" && last !== undefined ? { ...last, dayZero: undefined } : read;
  const isNewInstance = last === undefined || isOther(last.instanceId, seed.instanceId);
  if (last !== undefined && isNewInstance) forgetInstance(places, store, log);
  if (source !== "none") tryStore(() => store.writeSeed(seed), problems);

  const links = listKernelLinks(places.linksDirectory);
  const script = await setUpNetwork(places, seed, links, problems);
  const hostname = seed.hostname ?? DEFAULT_HOSTNAME;
  writeFileSync(places.hostnameFile, hostname);
  writeNameServices(places, seed);
  const report: FirstBootReport = {
    bootId: readBootId(places),
    source,
    instanceId: seed.instanceId,
    isNewInstance,
    problems: problems.list(),
    notes: readNotes(places.notesFile),
  };
  for (const problem of report.problems) log.error(`First boot: ${formatProblem(problem)}`);
  const settings = makeSettings(places, seed, script, hostname, report);
  writeShared(places, "first-boot.json", JSON.stringify(report));
  if (seed.dayZero !== undefined) writeShared(places, "day0", seed.dayZero.text);
  writeKeys(places, store, seed.keys);
  writeShared(places, "appliance.json", JSON.stringify(settings));
  log.info("First boot is done", { source, instance: seed.instanceId, problems: problems.count });
  return { settings, report, store, seedKeys: seed.keys };
}

function isOther(last: string | undefined, now: string | undefined): boolean {
  return last !== undefined && now !== undefined && last !== now;
}

/** A helper that is started again in the same boot finds what the first one made, and does nothing twice. */
function recallBoot(places: GuestPlaces, store: InstanceStore): BootedInstance | undefined {
  const paths = ["first-boot.json", "appliance.json"].map((name) =>
    join(places.runDirectory, name),
  );
  if (!paths.every((path) => existsSync(path))) return undefined;
  const [report, settings] = paths.map((path) => JSON.parse(readFileSync(path, "utf8")) as unknown);
  const found = { report: report as FirstBootReport, settings: settings as ApplianceSettings };
  if (found.report.bootId !== readBootId(places)) return undefined;
  return { ...found, store, seedKeys: store.readSeed()?.keys ?? [] };
}

function readBootId(places: GuestPlaces): string {
  return readFileSync(places.bootIdFile, "utf8").trim();
}

async function waitForSeed(places: GuestPlaces, log: Log): Promise<void> {
  for (let waited = 0; waited < SEED_WAIT_MS; waited += SEED_POLL_MS) {
    if (existsSync(join(places.seedDirectory, "done"))) return;
    await sleep(SEED_POLL_MS);
  }
  log.error("The first-boot documents were not found in time", { waitedMs: SEED_WAIT_MS });
}

function forgetInstance(places: GuestPlaces, store: InstanceStore, log: Log): void {
  log.warn("The instance-id is new: SSH host key and installed keys are made anew");
  store.forgetInstalledKeys();
  for (const name of ["ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"]) {
    rmSync(join(places.dataDirectory, "state", name), { force: true });
  }
}

function tryStore(write: () => void, problems: ProblemList): void {
  try {
    write();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    problems.add("data partition", undefined, `first-boot data cannot be stored: ${reason}`);
  }
}

/** A plan of which a part cannot be done keeps its other parts; without any card of it, DHCP comes. */
async function setUpNetwork(
  places: GuestPlaces,
  seed: Seed,
  links: ReturnType<typeof listKernelLinks>,
  problems: ProblemList,
): Promise<NetworkScript> {
  const make = (plan: NetworkPlan): NetworkScript =>
    planNetworkScript(seed.networkDocument, plan, links, problems);
  const planned = make(seed.network ?? defaultPlan(links));
  const isMissed = seed.network !== undefined && planned.lines.length === 0;
  const script = isMissed ? make(defaultPlan(links)) : planned;
  const text = formatNetworkScript([
    ...script.lines,
    ...script.dhcp.map((name) => `${places.dhcpWords} ${name} </dev/null >/dev/null 2>&1 &`),
  ]);
  const output = await runShell(text);
  for (const line of output.split("\n")) {
    if (line.startsWith(FAILURE_MARK)) {
      problems.add(seed.networkDocument, undefined, line.slice(FAILURE_MARK.length + 1));
    }
  }
  return script;
}

function runShell(script: string): Promise<string> {
  return new Promise((resolve) => {
    const options = { timeout: NETWORK_TIMEOUT_MS, maxBuffer: OUTPUT_BYTES_MAX };
    const child = execFile("/bin/sh", ["-s"], options, (error, stdout) => {
      resolve(error === null ? stdout : `${stdout}\n${FAILURE_MARK} ${error.message}`);
    });
    child.stdin?.end(script);
  });
}

function writeNameServices(places: GuestPlaces, seed: Seed): void {
  const servers = seed.network?.nameservers ?? [];
  if (servers.length > 0) {
    writeFileSync(places.resolverFile, servers.map((server) => `nameserver ${server}\n`).join(""));
  }
  if (seed.ntpServers.length > 0) {
    const lines = seed.ntpServers.map((server) => `server ${server} iburst\n`).join("");
    writeFileSync(places.timeSourcesFile, lines);
  }
}

function readNotes(file: string): string[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n");
  return lines.filter((line) => line !== "").slice(0, NOTES_MAX);
}

function makeSettings(
  places: GuestPlaces,
  seed: Seed,
  script: NetworkScript,
  hostname: string,
  report: FirstBootReport,
): ApplianceSettings {
  const { dataDirectory, portsDirectory, runDirectory } = places;
  const profile = readImageProfile(places.releaseFile);
  return {
    ...(isApplianceProfile(profile) ? { profile } : {}),
    name: hostname,
    runDirectory: places.socketsDirectory,
    stateDirectory: join(dataDirectory, "state"),
    netconf: {
      listen: [{ address: "::", port: NETCONF_PORT }],
      authorizedKeysFile: join(runDirectory, "authorized_keys"),
      users: [...new Set([DEFAULT_USER, ...seed.users])],
    },
    offloadPort: { kind: "device", path: join(portsDirectory, OFFLOAD_PORT_NAME) },
    managePort: { kind: "device", path: join(portsDirectory, MANAGE_PORT_NAME) },
    interfaces: script.interfaces,
    ...(seed.dayZero === undefined ? {} : { dayZeroConfigFile: join(runDirectory, "day0") }),
    firstBootFile: join(runDirectory, "first-boot.json"),
    bootId: report.bootId,
  };
}

/** Writes the file that logins are checked against: keys of the documents, and installed ones. */
export function writeKeys(
  places: GuestPlaces,
  store: InstanceStore,
  seedKeys: readonly string[],
): number {
  const keys = [...new Set([...seedKeys, ...store.readInstalledKeys()])];
  writeShared(places, "authorized_keys", keys.map((key) => `${key}\n`).join(""));
  return keys.length;
}

/** A file that the appliance's group may read, as a whole or not at all. */
function writeShared(places: GuestPlaces, name: string, text: string): void {
  mkdirSync(places.runDirectory, { recursive: true });
  const path = join(places.runDirectory, name);
  writeFileSync(`${path}.new`, text, { mode: 0o640 });
  chownSync(`${path}.new`, 0, places.gid);
  renameSync(`${path}.new`, path);
}
