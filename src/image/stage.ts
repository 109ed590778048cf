/**
 * A folder that becomes a file system: files from packages, from the project and from memory.
 *
 * Effect: writes below the stage's folder. Invariant: modes depend on nothing but the arguments: folders 0755,
 * files 0755 or 0644; owners and times are set by whoever packs the stage.
 */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { isElf, stripElf } from "./elf.ts";
import { globToPattern, mergeUsr } from "./package-list.ts";

const MODE_FOLDER = 0o755;
const MODE_PROGRAM = 0o755;
const MODE_FILE = 0o644;

export class Stage {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
    this.addFolder("");
  }

  addFolder(path: string, mode: number = MODE_FOLDER): void {
    const at = join(this.folder, path);
    if (!existsSync(at)) {
      if (path !== "" && dirname(path) !== ".") this.addFolder(dirname(path));
      mkdirSync(at, { recursive: true });
    }
    // The caller's umask must not matter.
    chmodSync(at, mode);
  }

  addFile(path: string, data: Buffer | string, isProgram = false): void {
    this.#addParent(path);
    const at = join(this.folder, path);
    writeFileSync(at, data);
    chmodSync(at, isProgram ? MODE_PROGRAM : MODE_FILE);
  }

  addLink(path: string, target: string): void {
    this.#addParent(path);
    symlinkSync(target, join(this.folder, path));
  }

  has(path: string): boolean {
    return lstatSync(join(this.folder, path), { throwIfNoEntry: false }) !== undefined;
  }

  /** Returns a file's bytes; undefined for a link. */
  read(path: string): Buffer | undefined {
    const at = join(this.folder, path);
    return lstatSync(at).isFile() ? readFileSync(at) : undefined;
  }

  remove(path: string): void {
    rmSync(join(this.folder, path));
  }

  /** Copies what the globs match from an unpacked package; returns globs that match nothing. */
  addPackage(unpacked: string, globs: readonly string[]): string[] {
    const patterns = globs.map((glob) => ({ glob, pattern: globToPattern(glob), used: false }));
    for (const path of listTree(unpacked)) {
      const merged = mergeUsr(path);
      const hits = patterns.filter(({ pattern }) => pattern.test(merged));
      for (const hit of hits) hit.used = true;
      if (hits.length > 0) this.#copy(join(unpacked, path), merged);
    }
    return patterns.filter(({ used }) => !used).map(({ glob }) => glob);
  }

  /** Copies a folder as it is, except the files that `skip` names. */
  addTree(from: string, to: string, skip: (path: string) => boolean = () => false): void {
    for (const path of listTree(from)) {
      if (!skip(path)) this.#copy(join(from, path), join(to, path));
    }
  }

  #copy(from: string, to: string): void {
    const status = lstatSync(from);
    if (status.isSymbolicLink()) {
      this.addLink(to, readlinkSync(from));
    } else {
      const data = readFileSync(from);
      this.addFile(
        to,
        isElf(data) && !to.endsWith(".ko") ? stripElf(data) : data,
        isProgram(status.mode),
      );
    }
  }

  #addParent(path: string): void {
    const parent = dirname(path);
    if (parent !== "." && !this.has(parent)) this.addFolder(parent);
  }
}

/** Returns paths of all files and links below a folder, sorted. */
export function listTree(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

function isProgram(mode: number): boolean {
  return (mode & 0o111) !== 0;
}
