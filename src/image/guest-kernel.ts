/**
 * Debian 12's own kernel as files: what `test --guest` boots in place of the machine's kernel.
 *
 * Effect: downloads one Debian package by apt-get, checks its digest, and unpacks it into a folder of its own;
 * the machine's packages stay as they are.
 * Source: bookworm's main archive, which keeps a version; the generic flavour, since the cloud flavour has
 * neither 9p nor netem.
 * Invariant: a folder with the package's name is complete, whoever made it and whenever it was interrupted.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";
import { FlowliftError } from "../lib/base/errors.ts";

/** A package in Debian's archive, as its index names it. */
export interface PinnedPackage {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
}

/** What `uname -r` says in the guest. */
export const GUEST_KERNEL_RELEASE = "6.1.0-50-amd64";

export const GUEST_KERNEL_PACKAGE: PinnedPackage = {
  name: `linux-image-${GUEST_KERNEL_RELEASE}`,
  version: "6.1.176-1",
  sha256: "7b5597492a0a65aee61985a492e6bcc3f2cde830072a0e3b3d8c7e1b90279bd3",
};

const DOWNLOAD_MS = 300_000;
const UPDATE_MS = 120_000;

export interface GuestKernel {
  readonly kernelFile: string;
  /** The folder whose lib/modules/RELEASE holds the modules. */
  readonly directory: string;
  readonly modulesDirectory: string;
}

/** Returns the unpacked kernel below `cacheDirectory`; brings it when it is not there. Throws ENVIRONMENT_LACKS. */
export function ensureGuestKernel(
  cacheDirectory: string,
  announce: (line: string) => void,
): GuestKernel {
  const directory = join(cacheDirectory, `${GUEST_KERNEL_RELEASE}-${GUEST_KERNEL_PACKAGE.version}`);
  if (!existsSync(directory)) {
    announce(`downloading Debian's ${GUEST_KERNEL_PACKAGE.name} (67 MiB); it is not installed`);
    mkdirSync(cacheDirectory, { recursive: true });
    const fresh = mkdtempSync(join(cacheDirectory, "incoming-"));
    chmodSync(fresh, 0o755);
    try {
      unpackKernel(downloadPackage(GUEST_KERNEL_PACKAGE, fresh), fresh);
      moveInto(directory, fresh);
    } finally {
      rmSync(fresh, { recursive: true, force: true });
    }
  }
  return {
    directory,
    kernelFile: join(directory, "boot", `vmlinuz-${GUEST_KERNEL_RELEASE}`),
    modulesDirectory: join(directory, "lib", "modules", GUEST_KERNEL_RELEASE),
  };
}

/** Somebody else may have been faster; then theirs is as good. */
function moveInto(directory: string, fresh: string): void {
  try {
    renameSync(fresh, directory);
  } catch (cause) {
    if (!existsSync(directory)) throw cause;
  }
}

/** Downloads a package into `directory` and returns its file. Throws ENVIRONMENT_LACKS. */
function downloadPackage(pinned: PinnedPackage, directory: string): string {
  const words = ["download", "-q", `${pinned.name}=${pinned.version}`];
  if (!tryRun("apt-get", words, directory, DOWNLOAD_MS)) {
    tryRun("apt-get", ["update", "-q"], directory, UPDATE_MS);
    run("apt-get", words, directory, DOWNLOAD_MS);
  }
  const name = readdirSync(directory).find((file) => file.endsWith(".deb"));
  if (name === undefined) {
    throw new FlowliftError("ENVIRONMENT_LACKS", `apt-get brought no file of "${pinned.name}"`);
  }
  const file = join(directory, name);
  checkDigest(file, pinned.sha256);
  return file;
}

/** Throws ENVIRONMENT_LACKS when the file is not the one that was pinned. */
export function checkDigest(file: string, sha256: string): void {
  const digest = createHash("sha256").update(readFileSync(file)).digest("hex");
  if (digest === sha256) return;
  throw new FlowliftError(
    "ENVIRONMENT_LACKS",
    `"${file}" has the SHA-256 digest ${digest}, not the pinned ${sha256}`,
  );
}

function unpackKernel(file: string, directory: string): void {
  run("dpkg-deb", ["-x", file, directory], directory, DOWNLOAD_MS);
  rmSync(file);
  run("depmod", ["-b", directory, GUEST_KERNEL_RELEASE], directory, DOWNLOAD_MS);
}

function tryRun(program: string, args: readonly string[], cwd: string, timeout: number): boolean {
  return spawnSync(program, args, { cwd, timeout, stdio: "ignore" }).status === 0;
}

function run(program: string, args: readonly string[], cwd: string, timeout: number): void {
  const done = spawnSync(program, args, { cwd, timeout, encoding: "utf8" });
  if (done.status === 0) return;
  const words = done.error?.message ?? done.stderr.trim().split("\n").at(-1) ?? "";
  throw new FlowliftError("ENVIRONMENT_LACKS", `${program} ${args.join(" ")} failed: ${words}`);
}
