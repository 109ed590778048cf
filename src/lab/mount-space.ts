/**
 * Private mount namespaces: one for the lab, one more for each appliance.
 *
 * Effect: a sleeping process holds each of them and dies with the lab's supervisor; then its mounts,
 * and pins in its BPF file system, are gone. Nothing is mounted in the namespace of whoever starts a lab.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { FlowliftError } from "../lib/base/errors.ts";
import type { LabLayout, VmLayout } from "./layout.ts";
import { netnsPath } from "./namespaces.ts";
import { AGENT_UID, FLOWLIFT_GID } from "./privileges.ts";
import { type ProcessRecord, recordProcess } from "./process-record.ts";

/** How long a holder may take to mount what it mounts. */
const HOLDER_TIMEOUT_MS = 10_000;

/** The process that keeps namespaces alive; its /proc entries are how others enter. */
export interface Holder {
  readonly record: ProcessRecord;
  /** Words of `nsenter` that enter what it holds. */
  readonly enterWords: readonly string[];
  kill(): void;
}

/** Words must not need quoting; paths of the project may. */
export function quoteWord(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Returns the script that gives all of the lab's processes the project, Node and a BPF file system. */
export function formatLabSpaceScript(
  layout: LabLayout,
  projectRoot: string,
  nodePath: string,
  moreLines: readonly string[] = [],
): string {
  const app = quoteWord(layout.appDirectory);
  const node = quoteWord(layout.nodeFile);
  const bpf = quoteWord(layout.bpfDirectory);
  const pins = quoteWord(layout.pinDirectory);
  return [
    "set -e",
    `mount -n --bind ${quoteWord(projectRoot)} ${app}`,
    `mount -n -o remount,bind,ro ${app}`,
    `mount -n --bind ${quoteWord(nodePath)} ${node}`,
    `mount -n -o remount,bind,ro ${node}`,
    `mount -n -t bpf bpf ${bpf}`,
    `mkdir ${pins}`,
    `chown ${AGENT_UID}:${FLOWLIFT_GID} ${bpf} ${pins}`,
    `chmod 0700 ${bpf} ${pins}`,
    ...moreLines,
    "echo READY",
    "exec sleep infinity",
  ].join("\n");
}

/** Returns the script that leaves an appliance nothing of any lab but its own files. */
export function formatVmSpaceScript(layout: LabLayout, vm: VmLayout, hostName: string): string {
  const own = quoteWord(vm.vmDirectory);
  const aside = quoteWord(layout.vmMountPoint);
  return [
    "set -e",
    `mount -n --bind ${own} ${aside}`,
    `mount -n -t tmpfs -o mode=755,size=1m flowlift ${quoteWord(layout.labsDirectory)}`,
    `mkdir -p ${own}`,
    `mount -n --move ${aside} ${own}`,
    `hostname ${quoteWord(hostName)}`,
    "echo READY",
    "exec sleep infinity",
  ].join("\n");
}

/** Starts the lab's holder in the host's network namespace. */
export function holdLabSpace(hostNetns: string, script: string): Promise<Holder> {
  const words = ["nsenter", `--net=${netnsPath(hostNetns)}`];
  return hold([...words, "unshare", "--mount", "--propagation", "private"], script, false);
}

/** Starts an appliance's holder, on top of the lab's mounts, with a host name of its own. */
export function holdVmSpace(lab: Holder, netns: string, script: string): Promise<Holder> {
  const pid = lab.record.pid;
  const words = ["nsenter", `--mount=/proc/${pid}/ns/mnt`, `--net=${netnsPath(netns)}`];
  return hold([...words, "unshare", "--mount", "--uts"], script, true);
}

function hold(wrapper: readonly string[], script: string, ownHostName: boolean): Promise<Holder> {
  // No wrapper changes identity, so the death signal stays, and none forks, so the pid stays.
  const args = ["--pdeathsig", "KILL", "--", ...wrapper, "sh", "-c", script];
  const child = spawn("setpriv", args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
  return new Promise((resolve, reject) => {
    let words = "";
    child.stderr.on("data", (chunk: Buffer) => {
      words += chunk.toString();
    });
    const fail = (reason: string): void => {
      child.kill("SIGKILL");
      reject(new FlowliftError("LAB_FAILED", `Cannot make a mount namespace: ${reason}`));
    };
    const timer = setTimeout(() => fail("it took too long"), HOLDER_TIMEOUT_MS);
    child.once("error", (error) => fail(error.message));
    child.once("close", () => fail(words.trim().split("\n").join("; ")));
    child.stdout.once("data", () => {
      clearTimeout(timer);
      child.removeAllListeners("close");
      const record = recordProcess(child.pid ?? 0);
      if (record === undefined) fail("its holder ended");
      else resolve(describeHolder(child, record, ownHostName));
    });
  });
}

function describeHolder(child: ChildProcess, record: ProcessRecord, ownHostName: boolean): Holder {
  child.unref();
  child.on("close", () => {});
  child.stdout?.destroy();
  child.stderr?.destroy();
  const names = ownHostName ? ["mnt", "net", "uts"] : ["mnt", "net"];
  const option = { mnt: "mount", net: "net", uts: "uts" };
  return {
    record,
    enterWords: names.map(
      (name) => `--${option[name as keyof typeof option]}=/proc/${record.pid}/ns/${name}`,
    ),
    kill: () => child.kill("SIGKILL"),
  };
}
