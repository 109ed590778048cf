/**
 * Network namespaces of a lab: made, wired, listed, removed.
 *
 * Effect: `ip` and `nsenter`. No link ever exists in the root namespace: veth pairs are created inside.
 */
import { existsSync, readdirSync, readFileSync, rmdirSync, statSync } from "node:fs";
import { forEachAtOnce, runCommand } from "./commands.ts";
import {
  formatHostBatch,
  formatMachineBatch,
  formatNamespaceBatch,
  formatSysctlScript,
} from "./network-script.ts";
import { type LabPlan, listNamespaces } from "./plan.ts";

export const NETNS_DIRECTORY = "/run/netns";

/** Returns the file that names a namespace. */
export function netnsPath(name: string): string {
  return `${NETNS_DIRECTORY}/${name}`;
}

/** Makes and wires all namespaces of the plan. What it made stays behind when it throws. */
export async function createNamespaces(plan: LabPlan): Promise<void> {
  await runCommand(["ip", "-batch", "-"], formatNamespaceBatch(plan));
  const machines = plan.machines.filter((machine) => machine.vmUid === undefined);
  const kinds = new Map(machines.map((machine) => [machine.netns, machine.kind]));
  await forEachAtOnce(listNamespaces(plan), async (name) => {
    const script = formatSysctlScript(kinds.get(name) ?? "host-namespace");
    await runCommand(["nsenter", `--net=${netnsPath(name)}`, "sh"], script);
  });
  await runCommand(["ip", "-n", plan.hostNetns, "-batch", "-"], formatHostBatch(plan));
  await forEachAtOnce(machines, async (machine) => {
    await runCommand(["ip", "-n", machine.netns, "-batch", "-"], formatMachineBatch(machine));
  });
}

/** Removes the namespaces that exist; their links go with them. */
export async function destroyNamespaces(names: readonly string[]): Promise<void> {
  const present = names.filter((name) => existsSync(netnsPath(name)));
  if (present.length === 0) return;
  await runCommand(["ip", "-batch", "-"], present.map((name) => `netns del ${name}\n`).join(""));
}

/** Returns whether `ip netns` had its directory mounted before. */
export function isNetnsDirectoryMounted(): boolean {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .some((line) => line.split(" ")[4] === NETNS_DIRECTORY);
}

/** Takes back the mount that the first `ip netns add` makes, when no namespace is left. */
export async function releaseNetnsDirectory(): Promise<void> {
  if (!isNetnsDirectoryMounted() || readdirSync(NETNS_DIRECTORY).length > 0) return;
  try {
    await runCommand(["umount", NETNS_DIRECTORY]);
    rmdirSync(NETNS_DIRECTORY);
  } catch {
    // Somebody else made a namespace in the meantime: it is theirs now.
  }
}

/** Returns the processes whose network namespace is one of `names`. */
export function listNamespacePids(names: readonly string[]): number[] {
  const inodes = new Set(
    names
      .map(netnsPath)
      .filter((path) => existsSync(path))
      .map((path) => statSync(path).ino),
  );
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => {
      try {
        return inodes.has(statSync(`/proc/${pid}/ns/net`).ino);
      } catch {
        return false; // It is gone.
      }
    })
    .map(Number);
}
