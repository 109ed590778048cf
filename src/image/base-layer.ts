/**
 * The base layer of the root file system: Debian's files, kernel modules and Node. Changes only with the lock.
 *
 * Effect: unpacks packages into a working folder; fills the stage.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FlowliftError } from "../lib/base/errors.ts";
import type { Downloads } from "./downloads.ts";
import { isElf, listNeeded } from "./elf.ts";
import { closeModules, type ModuleRow, moduleReader, readModuleTree } from "./kernel-modules.ts";
import type { PackageRow } from "./package-list.ts";
import { runTool } from "./run-tool.ts";
import { listTree, type Stage } from "./stage.ts";

/** Places that processes expect; what fills them comes at boot. */
const FOLDERS =
  "data dev etc proc root run sys tmp usr/bin usr/lib usr/lib64 usr/sbin var/lib var/log";
const MERGED = ["bin", "sbin", "lib", "lib64"];
const LIBRARIES = "usr/lib/x86_64-linux-gnu";
/** Lists of depmod that modprobe or udev reads; the others are for people and for other programs. */
const DEPMOD_FILES = ["modules.dep", "modules.dep.bin", "modules.alias", "modules.alias.bin"];
const DEPMOD_MORE = [
  "modules.softdep",
  "modules.symbols.bin",
  "modules.builtin.bin",
  "modules.devname",
];
const DEPMOD_LAST = ["modules.builtin", "modules.builtin.modinfo.bin", "modules.builtin.alias.bin"];

export interface BaseInputs {
  readonly downloads: Downloads;
  readonly packages: readonly PackageRow[];
  readonly modules: readonly ModuleRow[];
  /** The unpacked kernel package. */
  readonly kernelFolder: string;
  /** For unpacking; emptied by the caller. */
  readonly work: string;
}

/** Fills the stage. Throws IMAGE_FAILED when a package lacks what the list takes. */
export async function stageBase(stage: Stage, inputs: BaseInputs): Promise<void> {
  for (const folder of FOLDERS.split(" ")) stage.addFolder(folder);
  for (const name of MERGED) stage.addLink(name, `usr/${name}`);
  stage.addLink("var/run", "../run");
  for (const row of inputs.packages) {
    const file = inputs.downloads.packages.get(row.name);
    if (row.take.length === 0 || file === undefined) continue;
    const unpacked = join(inputs.work, row.name);
    await runTool("dpkg-deb", ["--extract", file, unpacked]);
    const unused = stage.addPackage(unpacked, row.take);
    if (unused.length > 0) {
      throw new FlowliftError("IMAGE_FAILED", `${row.name} has no file that matches ${unused[0]}`);
    }
  }
  await stageNode(stage, inputs);
  await stageModules(stage, inputs);
  checkLibraries(stage);
}

async function stageNode(stage: Stage, { downloads, work }: BaseInputs): Promise<void> {
  const member = "package/bin/node";
  await runTool("tar", ["-xzf", downloads.nodeArchive, "-C", work, member]);
  stage.addTree(join(work, "package", "bin"), "usr/bin");
}

async function stageModules(stage: Stage, inputs: BaseInputs): Promise<void> {
  const { kernelFolder } = inputs;
  const tree = readModuleTree(kernelFolder);
  const read = moduleReader(kernelFolder, tree.release);
  const home = join("usr/lib/modules", tree.release);
  const names = inputs.modules.map((row) => row.name);
  for (const path of closeModules(names, tree, read)) stage.addFile(join(home, path), read(path));
  for (const list of ["modules.order", "modules.builtin", "modules.builtin.modinfo"]) {
    stage.addFile(join(home, list), read(list));
  }
  await runTool("depmod", ["--basedir", stage.folder, tree.release]);
  const kept = new Set([...DEPMOD_FILES, ...DEPMOD_MORE, ...DEPMOD_LAST]);
  for (const name of readTop(join(stage.folder, home))) {
    const data = readFileSync(join(stage.folder, home, name));
    stage.remove(join(home, name));
    if (kept.has(name)) stage.addFile(join(home, name), data);
  }
}

function readTop(folder: string): string[] {
  return listTree(folder).filter((path) => !path.includes("/"));
}

/** A library that is missing would only show when the program that needs it starts. */
function checkLibraries(stage: Stage): void {
  const paths = listTree(stage.folder);
  const present = new Set(paths.map((path) => path.slice(path.lastIndexOf("/") + 1)));
  for (const path of paths) {
    if (path.endsWith(".ko") || !/^usr\/(bin|sbin|lib)\//.test(path)) continue;
    const data = stage.read(path);
    if (data === undefined || !isElf(data)) continue;
    for (const name of listNeeded(data)) {
      if (!present.has(name)) {
        throw new FlowliftError(
          "IMAGE_FAILED",
          `/${path} needs ${name}, which is not in ${LIBRARIES}`,
        );
      }
    }
  }
}
