/**
 * The initial RAM disk: busybox, the modules that reach the root file system, and one script.
 *
 * Effect: reads the unpacked packages.
 */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { type CpioEntry, packCpio } from "./cpio.ts";
import { closeModules, type ModuleRow, moduleReader, readModuleTree } from "./kernel-modules.ts";

const FOLDERS = ["bin", "dev", "image", "modules", "proc", "ram", "root", "run", "sys"];
/** Applets that the script calls; the shell finds them as programs. */
const APPLETS = "dd insmod mkdir chmod mount poweroff sh sleep switch_root tr".split(" ");

export interface InitrdInputs {
  readonly busybox: Buffer;
  readonly script: Buffer;
  readonly kernelFolder: string;
  readonly modules: readonly ModuleRow[];
  readonly mtime: number;
}

/** Returns the archive, uncompressed: the disk is compressed as a whole, and the kernel has nothing to inflate. */
export function makeInitrd(inputs: InitrdInputs): Buffer {
  return packCpio(listEntries(inputs), inputs.mtime);
}

function listEntries(inputs: InitrdInputs): CpioEntry[] {
  const tree = readModuleTree(inputs.kernelFolder);
  const read = moduleReader(inputs.kernelFolder, tree.release);
  const close = (stage: string): string[] => {
    const names = inputs.modules.filter((row) => row.stage === stage).map((row) => row.name);
    return closeModules(names, tree, read);
  };
  const early = close("early");
  const late = close("late").filter((path) => !early.includes(path));
  const list = (paths: readonly string[]): Buffer =>
    Buffer.from(paths.map((path) => `${basename(path)}\n`).join(""));
  return [
    ...FOLDERS.map((path): CpioEntry => ({ kind: "directory", path, mode: 0o755 })),
    { kind: "device", path: "dev/console", mode: 0o600, major: 5, minor: 1 },
    { kind: "file", path: "init", mode: 0o755, data: inputs.script },
    { kind: "file", path: "bin/busybox", mode: 0o755, data: inputs.busybox },
    ...APPLETS.map((name): CpioEntry => ({ kind: "link", path: `bin/${name}`, target: "busybox" })),
    { kind: "file", path: "modules/early", mode: 0o644, data: list(early) },
    { kind: "file", path: "modules/late", mode: 0o644, data: list(late) },
    ...[...early, ...late].map(
      (path): CpioEntry => ({
        kind: "file",
        path: `modules/${basename(path)}`,
        mode: 0o644,
        data: read(path),
      }),
    ),
  ];
}

/** Reads busybox from its unpacked package, wherever Debian puts it. */
export function readBusybox(unpacked: string): Buffer {
  return readFileSync(`${unpacked}/bin/busybox`);
}
