/**
 * The lock: which packages go into an image, by version and digest.
 *
 * Pure. Invariant: equal locks (and equal programs) make equal images.
 */
import { createHash } from "node:crypto";
import { err, ok, type Result } from "../lib/base/result.ts";

export interface LockedPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** Below the root of a Debian mirror. */
  readonly pool: string;
  /** Which mirror: the main archive or the security archive. */
  readonly archive: DebianArchive;
  readonly sha256: string;
  readonly bytes: number;
}

export type DebianArchive = "debian" | "debian-security";

export interface LockedNode {
  readonly package: string;
  readonly version: string;
  /** As npm writes it: algorithm, hyphen, base64. */
  readonly integrity: string;
}

export interface ImageLock {
  /** Seconds since 1970: the one time that outputs carry. */
  readonly sourceDateEpoch: number;
  readonly kernel: LockedPackage;
  readonly packages: readonly LockedPackage[];
  readonly node: LockedNode;
}

export interface LockProblem {
  readonly kind: "lock-invalid";
  readonly where: string;
  readonly wanted: string;
}

const FORMAT = 1;
const SHA256 = /^[0-9a-f]{64}$/;
const INTEGRITY = /^sha512-[A-Za-z0-9+/]{86}==$/;
const NAME = /^[a-z0-9][a-z0-9+.-]+$/;
const VERSION = /^[A-Za-z0-9.+:~-]+$/;
const POOL = /^pool\/[A-Za-z0-9.+:~_/-]+\.deb$/;
/** Digits of the lock's digest that become part of the version. */
const DIGEST_DIGITS = 8;

/** Returns the text of the file; packages are sorted, so that a refresh shows as a small difference. */
export function formatLock(lock: ImageLock): string {
  const packages = [...lock.packages].sort((a, b) => (a.name < b.name ? -1 : 1));
  const { sourceDateEpoch, kernel, node } = lock;
  const value = { format: FORMAT, sourceDateEpoch, kernel, node, packages };
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** Returns the version of images made by this lock; only letters that os-release(5) allows. */
export function formatImageVersion(programVersion: string, lockText: string): string {
  const digest = createHash("sha256").update(lockText).digest("hex").slice(0, DIGEST_DIGITS);
  return `${programVersion}-${digest}`;
}

/** Reads the file's text. */
export function parseLock(text: string): Result<ImageLock, LockProblem> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return problem("", "JSON");
  }
  if (!isRecord(value) || value["format"] !== FORMAT) return problem("/format", String(FORMAT));
  const epoch = value["sourceDateEpoch"];
  if (!Number.isSafeInteger(epoch) || Number(epoch) <= 0) {
    return problem("/sourceDateEpoch", "seconds since 1970");
  }
  const kernel = parsePackage(value["kernel"], "/kernel");
  if (!kernel.ok) return kernel;
  const node = parseNode(value["node"]);
  if (!node.ok) return node;
  const list = value["packages"];
  if (!Array.isArray(list) || list.length === 0) return problem("/packages", "a list of packages");
  const packages: LockedPackage[] = [];
  for (const [index, item] of list.entries()) {
    const one = parsePackage(item, `/packages/${index}`);
    if (!one.ok) return one;
    packages.push(one.value);
  }
  if (new Set(packages.map((one) => one.name)).size !== packages.length) {
    return problem("/packages", "each package once");
  }
  return ok({
    sourceDateEpoch: Number(epoch),
    kernel: kernel.value,
    packages,
    node: node.value,
  });
}

function parsePackage(value: unknown, where: string): Result<LockedPackage, LockProblem> {
  if (!isRecord(value)) return problem(where, "a package");
  const { name, version, architecture, pool, archive, sha256, bytes } = value;
  if (!matches(name, NAME)) return problem(`${where}/name`, "a package's name");
  if (!matches(version, VERSION)) return problem(`${where}/version`, "a version");
  if (architecture !== "amd64" && architecture !== "all") {
    return problem(`${where}/architecture`, '"amd64" or "all"');
  }
  if (!matches(pool, POOL) || pool.includes("..")) return problem(`${where}/pool`, "a pool path");
  if (archive !== "debian" && archive !== "debian-security") {
    return problem(`${where}/archive`, '"debian" or "debian-security"');
  }
  if (!matches(sha256, SHA256)) return problem(`${where}/sha256`, "64 hexadecimal digits");
  if (!Number.isSafeInteger(bytes) || Number(bytes) <= 0)
    return problem(`${where}/bytes`, "a size");
  return ok({ name, version, architecture, pool, archive, sha256, bytes: Number(bytes) });
}

function parseNode(value: unknown): Result<LockedNode, LockProblem> {
  if (!isRecord(value)) return problem("/node", "an npm package");
  const { package: name, version, integrity } = value;
  if (!matches(name, NAME)) return problem("/node/package", "a package's name");
  if (!matches(version, /^\d+\.\d+\.\d+$/)) return problem("/node/version", "a version");
  if (!matches(integrity, INTEGRITY)) return problem("/node/integrity", "a SHA-512 integrity");
  return ok({ package: name, version, integrity });
}

function matches(value: unknown, pattern: RegExp): value is string {
  return typeof value === "string" && pattern.test(value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function problem(where: string, wanted: string): Result<never, LockProblem> {
  return err({ kind: "lock-invalid", where: where === "" ? "/" : where, wanted });
}
