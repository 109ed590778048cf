/**
 * Builds an image: packages and program in, boot files and disks out.
 *
 * Effect: writes below the cache and the output folder. Invariant: outputs appear by rename when all of them are
 * complete, the manifest last; a failed build leaves the former image as it was.
 */
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { FlowliftError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import { stageApp } from "./app-layer.ts";
import { type BaseSet, ensureBaseSet } from "./base-set.ts";
import { type Bundle, bundleAppliance } from "./bundle.ts";
import { makeQcow2, makeRawDisk } from "./disk.ts";
import { type ImageFiles, listImageFiles, nameImageFiles } from "./image-files.ts";
import { formatImageVersion, type ImageLock, parseLock } from "./image-lock.ts";
import { findImagePaths, type ImagePaths } from "./image-paths.ts";
import { digestBase, digestImage } from "./input-digest.ts";
import { formatManifest, parseManifest } from "./manifest.ts";
import type { ImageProfile } from "./profile.ts";
import { pruneCache } from "./prune-cache.ts";
import { formatSbom, type NpmComponent } from "./sbom.ts";
import { appendLayer } from "./squashfs.ts";
import { Stage } from "./stage.ts";

export interface ImageRequest {
  readonly profile: ImageProfile;
  readonly log: Log;
  /** Default: `.flowlift/image` in the project's folder. */
  readonly outputFolder?: string;
  /** Default: the project's own. */
  readonly paths?: ImagePaths;
}

interface Plan {
  readonly paths: ImagePaths;
  readonly lock: ImageLock;
  readonly bundle: Bundle;
  readonly profile: ImageProfile;
  readonly files: ImageFiles;
  readonly baseDigest: string;
  readonly inputsDigest: string;
  readonly log: Log;
}

/** Returns the image's files; builds them when they are missing or made from other inputs. */
export async function ensureImage(request: ImageRequest): Promise<ImageFiles> {
  const plan = await planImage(request);
  const { files, log } = plan;
  if (isCurrent(files, plan.inputsDigest)) return files;
  const folder = join(files.manifestFile, "..");
  const work = makeWorkFolder(folder);
  try {
    const fresh = nameImageFiles(work, plan.profile, files.version);
    await fillImage(plan, fresh, work);
    // Others than the builder read them: a VM's process has a user of its own.
    for (const file of listImageFiles(fresh)) chmodSync(file, 0o644);
    const [from, to] = [listImageFiles(fresh), listImageFiles(files)];
    rmSync(files.manifestFile, { force: true });
    for (const [index, file] of from.entries()) renameSync(file, to[index] ?? file);
  } catch (error) {
    throw explainFileError(error, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  log.info("image built", { version: files.version, folder });
  return files;
}

async function planImage(request: ImageRequest): Promise<Plan> {
  const { profile, log } = request;
  const paths = request.paths ?? findImagePaths();
  const lockText = readFileSync(paths.lockFile, "utf8");
  const lock = parseLock(lockText);
  if (!lock.ok) {
    const { where, wanted } = lock.error;
    const text = `${paths.lockFile}: ${where}: ${wanted} expected`;
    throw new FlowliftError("CONFIG_FILE_INVALID", text);
  }
  const info = JSON.parse(readFileSync(join(paths.root, "package.json"), "utf8")) as {
    readonly version: string;
  };
  const version = formatImageVersion(info.version, lockText);
  const bundle = await bundleAppliance(paths.sources);
  const baseDigest = digestBase(paths);
  return {
    paths,
    lock: lock.value,
    bundle,
    profile,
    files: nameImageFiles(request.outputFolder ?? paths.output, profile, version),
    baseDigest,
    inputsDigest: digestImage(paths, baseDigest, bundle, profile),
    log,
  };
}

function isCurrent(files: ImageFiles, inputsDigest: string): boolean {
  let text: string;
  try {
    text = readFileSync(files.manifestFile, "utf8");
  } catch {
    return false;
  }
  const manifest = parseManifest(text);
  if (manifest === undefined || manifest.inputs !== inputsDigest) return false;
  const all = listImageFiles(files).filter((file) => file !== files.manifestFile);
  return all.every((file) => {
    const wanted = manifest.files.find((one) => one.name === basename(file));
    return statSync(file, { throwIfNoEntry: false })?.size === wanted?.bytes;
  });
}

async function fillImage(plan: Plan, fresh: ImageFiles, work: string): Promise<void> {
  const { paths, lock, bundle, profile, log } = plan;
  const base = await ensureBaseSet(paths, lock, plan.baseDigest, log);
  pruneCache(paths.cache, `base-${plan.baseDigest}`, Date.now());
  const { version } = fresh;
  log.info("packing the application");
  const stage = new Stage(join(work, "layers", "app"));
  const baseHas = (path: string): boolean => base.paths.has(path);
  stageApp(stage, { paths, bundle, profile, version, baseHas });
  const layers = join(work, "layers");
  await appendLayer(base.squashfsFile, layers, fresh.rootFile, lock.sourceDateEpoch);
  await fillDisks(fresh, base);
  const npm = listNpmComponents(paths, bundle);
  writeFileSync(fresh.sbomFile, formatSbom({ lock, npm, version, profile }));
  const described = listImageFiles(fresh).filter((file) => file !== fresh.manifestFile);
  const text = formatManifest({
    version,
    profile,
    inputs: plan.inputsDigest,
    files: described.map(describeFile),
  });
  writeFileSync(fresh.manifestFile, text);
}

async function fillDisks(fresh: ImageFiles, base: BaseSet): Promise<void> {
  copyFileSync(base.kernelFile, fresh.kernelFile);
  copyFileSync(base.initrdFile, fresh.initrdFile);
  const { boot, dataFile } = base;
  await makeRawDisk(fresh.rawFile, { boot, rootFile: fresh.rootFile, dataFile });
  await makeQcow2(fresh.rawFile, fresh.qcow2File);
}

function listNpmComponents(paths: ImagePaths, bundle: Bundle): NpmComponent[] {
  return bundle.npmPackages.map((name) => {
    const file = join(paths.root, "node_modules", name, "package.json");
    const info = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
    const license = typeof info["license"] === "string" ? info["license"] : "NOASSERTION";
    return { name, version: String(info["version"]), license };
  });
}

function describeFile(file: string): { name: string; bytes: number; sha256: string } {
  const data = readFileSync(file);
  const sha256 = createHash("sha256").update(data).digest("hex");
  return { name: basename(file), bytes: data.length, sha256 };
}

function makeWorkFolder(folder: string): string {
  try {
    mkdirSync(folder, { recursive: true });
    return mkdtempSync(join(folder, ".work-"));
  } catch (error) {
    throw explainFileError(error, folder);
  }
}

/** What the file system refuses is the machine's, and said in its words. */
function explainFileError(error: unknown, folder: string): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (error instanceof FlowliftError || typeof code !== "string") return error;
  const reasons: Readonly<Record<string, string>> = {
    ENOSPC: "there is no space left",
    EACCES: "it is not writable",
    EPERM: "it is not writable",
    EROFS: "it is on a read-only file system",
    ENOTDIR: "a part of its path is not a folder",
    EEXIST: "it is not a folder",
  };
  const reason = reasons[code];
  if (reason === undefined) return error;
  const text = `the image cannot be written to ${folder}: ${reason}`;
  return new FlowliftError("ENVIRONMENT_LACKS", text, { cause: error });
}
