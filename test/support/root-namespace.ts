/** What a user's machine looks like from outside every lab: the same before and after. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** Changes by itself, or is the announced exception's own counter. */
const VOLATILE_SYSCTLS = new Set([
  "/proc/sys/net/netfilter/nf_conntrack_count",
  "/proc/sys/net/ipv4/tcp_fastopen_key",
]);

export interface RootSnapshot {
  readonly links: readonly string[];
  readonly routes: readonly string[];
  readonly sysctls: Readonly<Record<string, string>>;
  readonly ruleset: string;
  readonly bpfPrograms: readonly string[];
  readonly bpfPins: readonly string[];
  readonly mounts: readonly string[];
}

function run(...argv: string[]): string {
  const [file = "", ...args] = argv;
  return execFileSync(file, args, { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
}

function readSysctls(folder: string, found: Record<string, string>): Record<string, string> {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) readSysctls(path, found);
    else if (!VOLATILE_SYSCTLS.has(path)) {
      try {
        found[path] = readFileSync(path, "utf8");
      } catch {
        found[path] = "unreadable";
      }
    }
  }
  return found;
}

function listLinks(): string[] {
  const links = JSON.parse(run("ip", "-j", "link")) as {
    ifname: string;
    address: string;
    mtu: number;
    flags: string[];
  }[];
  return links.map(({ ifname, address, mtu, flags }) =>
    [ifname, address, mtu, ...flags.toSorted()].join(" "),
  );
}

function listMounts(ownPrefix: string): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .trim()
    .split("\n")
    .map((line) => line.split(" "))
    .filter(([, , , , point = ""]) => {
      const isNamespace = point.startsWith("/run/netns/");
      return !isNamespace || point.startsWith(`/run/netns/${ownPrefix}`);
    })
    .map((fields) => [fields[4], fields[3], ...fields.slice(fields.indexOf("-"))].join(" "))
    .toSorted();
}

function listPins(): string[] {
  const folder = "/sys/fs/bpf";
  return existsSync(folder) ? readdirSync(folder).toSorted() : [];
}

/** `ownPrefix`: namespaces of other labs on the machine are none of this test's business. */
export function takeRootSnapshot(ownPrefix: string): RootSnapshot {
  const programs = JSON.parse(run("bpftool", "-j", "prog")) as { id: number; name?: string }[];
  return {
    links: listLinks(),
    routes: [run("ip", "route", "show", "table", "all"), run("ip", "-6", "route")],
    sysctls: readSysctls("/proc/sys/net", {}),
    ruleset: run("nft", "list", "ruleset"),
    bpfPrograms: programs.map(({ id, name }) => `${id} ${name ?? ""}`),
    bpfPins: listPins(),
    mounts: listMounts(ownPrefix),
  };
}

/**
 * Returns what a lab changed: nothing may differ. Programs and mounts that vanish are not the lab's: the
 * kernel frees those of earlier tests in its own time.
 */
export function listChanges(before: RootSnapshot, after: RootSnapshot): string[] {
  const changed: string[] = [];
  for (const part of ["links", "routes", "ruleset", "bpfPins"] as const) {
    if (JSON.stringify(before[part]) !== JSON.stringify(after[part])) {
      changed.push(
        `${part}: ${JSON.stringify(before[part])} became ${JSON.stringify(after[part])}`,
      );
    }
  }
  for (const name of new Set([...Object.keys(before.sysctls), ...Object.keys(after.sysctls)])) {
    const [was, is] = [before.sysctls[name], after.sysctls[name]];
    if (was !== is) changed.push(`${name}: ${was} became ${is}`);
  }
  for (const part of ["bpfPrograms", "mounts"] as const) {
    const known = new Set(before[part]);
    changed.push(...after[part].filter((item) => !known.has(item)).map((item) => `new: ${item}`));
  }
  return changed;
}

/** Returns the changes once there are none, or those that stay; namespaces go in the kernel's own time. */
export async function listLastingChanges(
  ownPrefix: string,
  before: RootSnapshot,
  timeoutMs = 5_000,
): Promise<string[]> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const changes = listChanges(before, takeRootSnapshot(ownPrefix));
    if (changes.length === 0 || performance.now() > deadline) return changes;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
