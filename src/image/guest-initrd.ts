/**
 * The RAM disk of the guest: busybox, the modules that reach the root file system, and two scripts.
 *
 * Effect: writes below a folder of the caller's; runs modprobe (which only names files) and cpio.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import { FlowliftError } from "../lib/base/errors.ts";
import type { GuestKernel } from "./guest-kernel.ts";
import { formatInit, formatJobs, type GuestPlan } from "./guest-script.ts";

const BUSYBOX = "/bin/busybox";
/** Until the root file system is there, nobody loads modules on demand. */
const MODULES = ["virtio_pci", "9pnet_virtio", "9p", "overlay", "virtio_console", "virtio_rng"];
const FOLDERS = ["bin", "modules", "proc", "lower", "upper", "root"];
const INITRD_BYTES_MAX: number = 64 * 1024 * 1024;

/** Writes the RAM disk and returns its file. Throws ENVIRONMENT_LACKS. */
export function makeGuestInitrd(kernel: GuestKernel, plan: GuestPlan, folder: string): string {
  const tree = join(folder, "initrd");
  for (const name of FOLDERS) mkdirSync(join(tree, name), { recursive: true });
  copyFileSync(BUSYBOX, join(tree, "bin", "busybox"));
  const modules = listModules(kernel, plan.release);
  for (const file of modules) copyFileSync(file, join(tree, "modules", basename(file)));
  writeFileSync(
    join(tree, "modules", "list"),
    modules.map((file) => `${basename(file)}\n`).join(""),
  );
  writeFileSync(join(tree, "init"), formatInit(plan), { mode: 0o755 });
  writeFileSync(join(tree, "jobs"), formatJobs(plan));
  const file = join(folder, "initrd.gz");
  writeFileSync(file, gzipSync(packTree(tree), { level: 1 }));
  return file;
}

/** Returns the modules' files, each after those that it needs. */
function listModules(kernel: GuestKernel, release: string): string[] {
  const place = ["--dirname", kernel.directory, "--set-version", release, "--show-depends"];
  const lines = MODULES.flatMap((name) => run("modprobe", [...place, name], "").split("\n"));
  const files = lines
    .filter((line) => line.startsWith("insmod "))
    .map((line) => line.slice("insmod ".length).trim());
  return [...new Set(files)];
}

function packTree(tree: string): Buffer {
  const names = run("find", [".", "-print0"], tree);
  const done = spawnSync("cpio", ["--null", "--create", "--format=newc", "--quiet"], {
    cwd: tree,
    input: names,
    maxBuffer: INITRD_BYTES_MAX,
  });
  if (done.status !== 0) throw failure("cpio", done.error?.message ?? done.stderr.toString());
  return done.stdout;
}

function run(program: string, args: readonly string[], cwd: string): string {
  const done = spawnSync(program, args, { encoding: "utf8", ...(cwd === "" ? {} : { cwd }) });
  if (done.status !== 0) throw failure(program, done.error?.message ?? done.stderr);
  return done.stdout;
}

function failure(program: string, words: string): FlowliftError {
  return new FlowliftError("ENVIRONMENT_LACKS", `${program} failed: ${words.trim()}`);
}
