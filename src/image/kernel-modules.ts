/**
 * Chooses the kernel modules of the image and orders them by their dependencies.
 *
 * Effect: reads the unpacked kernel package.
 */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { assert } from "../lib/base/assert.ts";
import { FlowliftError } from "../lib/base/errors.ts";
import { readModuleInfo } from "./elf.ts";

export type ModuleStage = "early" | "late" | "root";

export interface ModuleRow {
  readonly name: string;
  readonly stage: ModuleStage;
}

/** Modules of one kernel: names with underscores to files. */
export interface ModuleTree {
  readonly release: string;
  readonly files: ReadonlyMap<string, string>;
}

/** Reads kernel-modules.tsv. */
export function parseModuleList(text: string): ModuleRow[] {
  const rows: ModuleRow[] = [];
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const [name, stage, reason] = line.split("\t");
    assert(
      name !== undefined && reason !== undefined,
      `a module has a stage and a reason: ${line}`,
    );
    assert(stage === "early" || stage === "late" || stage === "root", `a stage: ${line}`);
    rows.push({ name, stage });
  }
  return rows;
}

/** Looks through the one folder below `lib/modules` of an unpacked kernel package. */
export function readModuleTree(kernelFolder: string): ModuleTree {
  const modules = join(kernelFolder, "lib", "modules");
  const release = readdirSync(modules)[0];
  assert(release !== undefined, "the kernel package has modules");
  const files = new Map<string, string>();
  for (const path of readdirSync(join(modules, release), { recursive: true, encoding: "utf8" })) {
    if (path.endsWith(".ko")) files.set(moduleName(path), path);
  }
  return { release, files };
}

/** Returns paths (below the folder of the release) of these modules, each after those that it needs. */
export function closeModules(
  names: readonly string[],
  tree: ModuleTree,
  readModule: (path: string) => Buffer,
): string[] {
  const ordered: string[] = [];
  const seen = new Set<string>();
  const visit = (name: string): void => {
    const key = moduleName(name);
    if (seen.has(key)) return;
    seen.add(key);
    const path = tree.files.get(key);
    if (path === undefined) {
      throw new FlowliftError("IMAGE_FAILED", `kernel ${tree.release} has no module "${name}"`);
    }
    const depends = readModuleInfo(readModule(path), "depends").flatMap((list) => list.split(","));
    for (const needed of depends) if (needed !== "") visit(needed);
    ordered.push(path);
  };
  for (const name of names) visit(name);
  return ordered;
}

/** Returns how the kernel names the module in this file. */
export function moduleName(path: string): string {
  return basename(path, ".ko").replaceAll("-", "_");
}

/** Reads one module of an unpacked kernel package. */
export function moduleReader(kernelFolder: string, release: string): (path: string) => Buffer {
  return (path) => readFileSync(join(kernelFolder, "lib", "modules", release, path));
}
