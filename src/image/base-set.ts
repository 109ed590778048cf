/**
 * What changes only with the lock: kernel, RAM disk, base layer, boot loader, empty data volume. Kept in the cache.
 *
 * Effect: fills a folder of the cache. Invariant: a folder under its final name is complete.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Log } from "../lib/base/log.ts";
import { stageBase } from "./base-layer.ts";
import { type BootFiles, makeBootFiles } from "./boot-loader.ts";
import { makeDataVolume } from "./data-volume.ts";
import { ensureDownloads } from "./downloads.ts";
import { COMMAND_LINE } from "./image-files.ts";
import type { ImageLock } from "./image-lock.ts";
import type { ImagePaths } from "./image-paths.ts";
import { makeInitrd, readBusybox } from "./initrd.ts";
import { type ModuleRow, parseModuleList, readModuleTree } from "./kernel-modules.ts";
import { parsePackageList } from "./package-list.ts";
import { runTool } from "./run-tool.ts";
import { packBase } from "./squashfs.ts";
import { listTree, Stage } from "./stage.ts";

export interface BaseSet {
  readonly kernelFile: string;
  readonly initrdFile: string;
  readonly squashfsFile: string;
  readonly dataFile: string;
  readonly boot: BootFiles;
  /** Paths of the base layer. */
  readonly paths: ReadonlySet<string>;
}

/** Returns the set for this digest of its inputs; makes it when the cache does not have it. */
export async function ensureBaseSet(
  paths: ImagePaths,
  lock: ImageLock,
  digest: string,
  log: Log,
): Promise<BaseSet> {
  const folder = join(paths.cache, `base-${digest}`);
  if (!existsSync(folder)) {
    mkdirSync(paths.cache, { recursive: true });
    const work = mkdtempSync(join(paths.cache, "work-"));
    try {
      await fillBaseSet(join(work, "set"), work, { paths, lock, log });
      if (!existsSync(folder)) renameSync(join(work, "set"), folder);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
  const at = (name: string): string => join(folder, name);
  return {
    kernelFile: at("vmlinuz"),
    initrdFile: at("initrd"),
    squashfsFile: at("base.squashfs"),
    dataFile: at("data.ext4"),
    boot: {
      bootImage: readFileSync(at("boot.img")),
      coreImage: readFileSync(at("core.img")),
      espFile: at("esp.img"),
    },
    paths: new Set(readFileSync(at("paths"), "utf8").split("\n")),
  };
}

interface FillInputs {
  readonly paths: ImagePaths;
  readonly lock: ImageLock;
  readonly log: Log;
}

async function fillBaseSet(folder: string, work: string, inputs: FillInputs): Promise<void> {
  const { paths, lock, log } = inputs;
  const time = lock.sourceDateEpoch;
  const downloads = await ensureDownloads(lock, paths.cache, log);
  mkdirSync(folder);
  const kernelFolder = join(work, "kernel");
  await runTool("dpkg-deb", ["--extract", downloads.kernel, kernelFolder]);
  const modules = parseModuleList(readFileSync(paths.moduleList, "utf8"));
  const packages = parsePackageList(readFileSync(paths.packageList, "utf8"));
  const unpacked = join(work, "unpacked");
  mkdirSync(unpacked);
  const stage = new Stage(join(work, "layers", "base"));
  log.info("unpacking packages", { count: lock.packages.length });
  await stageBase(stage, { downloads, packages, modules, kernelFolder, work: unpacked });
  log.info("compressing the base layer");
  await packBase(join(work, "layers"), join(folder, "base.squashfs"), time);
  const busybox = readBusybox(join(unpacked, "busybox-static"));
  const script = readFileSync(paths.initScript);
  await fillBootFiles(folder, work, { busybox, script, kernelFolder, modules, time });
  await makeDataVolume(join(folder, "data.ext4"), time);
  writeFileSync(join(folder, "paths"), `${listTree(stage.folder).join("\n")}\n`);
}

interface BootInputs {
  readonly busybox: Buffer;
  readonly script: Buffer;
  readonly kernelFolder: string;
  readonly modules: readonly ModuleRow[];
  readonly time: number;
}

async function fillBootFiles(folder: string, work: string, inputs: BootInputs): Promise<void> {
  const { release } = readModuleTree(inputs.kernelFolder);
  const kernel = readFileSync(join(inputs.kernelFolder, "boot", `vmlinuz-${release}`));
  const initrd = makeInitrd({ ...inputs, mtime: inputs.time });
  writeFileSync(join(folder, "vmlinuz"), kernel);
  writeFileSync(join(folder, "initrd"), initrd);
  const files = { kernel, initrd, commandLine: COMMAND_LINE };
  const boot = await makeBootFiles(files, join(work, "boot"), inputs.time);
  writeFileSync(join(folder, "boot.img"), boot.bootImage);
  writeFileSync(join(folder, "core.img"), boot.coreImage);
  renameSync(boot.espFile, join(folder, "esp.img"));
}
