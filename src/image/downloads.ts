/**
 * Brings the locked packages into the cache and checks their digests.
 *
 * Effect: runs apt-get (the machine's own mirrors) and npm (the machine's own registry); asks Debian's mirror and
 * its archive of old versions only for what apt no longer offers. Writes below the cache's folder.
 * Invariant: a file under its final name has the locked digest.
 */
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { FlowliftError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import type { ImageLock, LockedNode, LockedPackage } from "./image-lock.ts";
import { runTool } from "./run-tool.ts";

export interface Downloads {
  readonly kernel: string;
  /** Files of the Debian packages by name. */
  readonly packages: ReadonlyMap<string, string>;
  readonly nodeArchive: string;
}

/** Where pool paths are looked up when apt does not offer a version any more; `{archive}` is filled in. */
export const MIRRORS: readonly string[] = [
  "https://deb.debian.org/{archive}",
  "https://snapshot.debian.org/archive/{archive}/{time}",
];
const FETCH_MS = 120_000;

/** Returns the files, all of them checked. Throws ENVIRONMENT_LACKS or IMAGE_INPUT_MISMATCH. */
export async function ensureDownloads(
  lock: ImageLock,
  cache: string,
  log: Log,
): Promise<Downloads> {
  const folder = join(cache, "packages");
  mkdirSync(folder, { recursive: true });
  const wanted = [lock.kernel, ...lock.packages];
  const absent = wanted.filter((one) => !existsSync(fileOf(folder, one)));
  if (absent.length > 0) await bringPackages(absent, folder, lock.sourceDateEpoch, log);
  const nodeArchive = await bringNode(lock.node, folder, log);
  for (const one of wanted) checkPackage(fileOf(folder, one), one);
  return {
    kernel: fileOf(folder, lock.kernel),
    packages: new Map(lock.packages.map((one) => [one.name, fileOf(folder, one)])),
    nodeArchive,
  };
}

function fileOf(folder: string, one: LockedPackage): string {
  return join(folder, `${one.name}_${one.version.replaceAll(":", "%3a")}_${one.architecture}.deb`);
}

async function bringPackages(
  absent: readonly LockedPackage[],
  folder: string,
  epoch: number,
  log: Log,
): Promise<void> {
  log.info("downloading Debian packages", { count: absent.length });
  const incoming = mkdtempSync(join(folder, "incoming-"));
  try {
    const specs = absent.map((one) => `${one.name}:${one.architecture}=${one.version}`);
    await downloadByApt(specs, incoming);
    const came = new Set(readdirSync(incoming));
    for (const one of absent) {
      const name = fileOf("", one);
      const file = join(incoming, name);
      if (!came.has(name)) writeFileSync(file, await downloadByPath(one, epoch));
      checkPackage(file, one);
      renameSync(file, join(folder, name));
    }
  } finally {
    rmSync(incoming, { recursive: true, force: true });
  }
}

/** Leaves what it could get in the folder; one unknown version makes apt refuse all, hence the second try. */
async function downloadByApt(specs: readonly string[], incoming: string): Promise<void> {
  const sandbox = process.getuid?.() === 0 ? ["-o", "APT::Sandbox::User=root"] : [];
  const download = (some: readonly string[]): Promise<Buffer> =>
    runTool("apt-get", ["--quiet", "download", ...sandbox, ...some], { cwd: incoming });
  try {
    await download(specs);
  } catch {
    for (const spec of specs) await download([spec]).catch(() => undefined);
  }
}

async function downloadByPath(one: LockedPackage, epoch: number): Promise<Buffer> {
  const time = new Date(epoch * 1000).toISOString().replace(/[-:]|\.\d+/g, "");
  for (const mirror of MIRRORS) {
    const base = mirror.replace("{archive}", one.archive).replace("{time}", time);
    try {
      const answer = await fetch(`${base}/${one.pool}`, { signal: AbortSignal.timeout(FETCH_MS) });
      if (answer.ok) return Buffer.from(await answer.arrayBuffer());
    } catch {
      // The next mirror is asked; the failure of all is told below.
    }
  }
  throw new FlowliftError(
    "ENVIRONMENT_LACKS",
    `Debian's mirrors do not offer ${one.name} ${one.version} (any more, or they are not reachable); ` +
      "`./flowlift image lock` refreshes the lock file from what they offer now",
  );
}

function checkPackage(file: string, one: LockedPackage): void {
  const digest = createHash("sha256").update(readFileSync(file)).digest("hex");
  if (digest === one.sha256) return;
  throw mismatch(file, `${one.name} ${one.version}`, digest, one.sha256);
}

async function bringNode(node: LockedNode, folder: string, log: Log): Promise<string> {
  const file = join(folder, `${node.package}-${node.version}.tgz`);
  const spec = `${node.package}@${node.version}`;
  if (!existsSync(file)) {
    log.info("downloading Node", { package: spec });
    const incoming = mkdtempSync(join(folder, "incoming-"));
    try {
      await runTool("npm", ["pack", spec, "--silent", "--pack-destination", incoming]).catch(
        (cause: unknown) => {
          throw new FlowliftError("ENVIRONMENT_LACKS", `npm does not bring ${spec}`, { cause });
        },
      );
      const name = readdirSync(incoming)[0] ?? "";
      checkNode(join(incoming, name), node);
      renameSync(join(incoming, name), file);
    } finally {
      rmSync(incoming, { recursive: true, force: true });
    }
  }
  checkNode(file, node);
  return file;
}

function checkNode(file: string, node: LockedNode): void {
  const digest = createHash("sha512").update(readFileSync(file)).digest("base64");
  if (`sha512-${digest}` === node.integrity) return;
  throw mismatch(file, `${node.package} ${node.version}`, `sha512-${digest}`, node.integrity);
}

function mismatch(file: string, what: string, found: string, wanted: string): FlowliftError {
  return new FlowliftError(
    "IMAGE_INPUT_MISMATCH",
    `${what} is not what the lock file names: digest ${found}, wanted ${wanted}; ` +
      `remove ${file} to download it again`,
  );
}
