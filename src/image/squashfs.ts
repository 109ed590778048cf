/**
 * Packs the layers into one squashfs: the base once for each lock, the application appended to a copy of it.
 *
 * Effect: runs mksquashfs. Invariant: owners are root, times are the lock's; mksquashfs sorts by name and gives
 * the same bytes with any number of threads (since 4.4).
 * A layer is a folder at the top (`base`, `app`): appended files never recompress what is there.
 */
import { copyFileSync } from "node:fs";
import { runTool } from "./run-tool.ts";

/** A start of Node reads nearly every block of it anyway, and larger blocks are smaller in sum. */
const BLOCK_BYTES = 262_144;

/** Makes a file system whose only folder is `base`. `stageParent` holds that folder and nothing else. */
export async function packBase(stageParent: string, file: string, time: number): Promise<void> {
  // lz4, which a guest under emulation inflates sooner than zstd (NETCONF 15 % earlier); the disk as a whole is
  // compressed once more, by qcow2, and grows by a sixth against zstd.
  const compression = ["-comp", "lz4", "-Xhc"];
  await runTool("mksquashfs", [
    ...[stageParent, file, "-noappend", "-b", String(BLOCK_BYTES), ...compression],
    ...commonWords(time),
  ]);
}

/** Appends the folders of `stageParent` to a copy of the base. */
export async function appendLayer(
  base: string,
  stageParent: string,
  file: string,
  time: number,
): Promise<void> {
  copyFileSync(base, file);
  await runTool("mksquashfs", [stageParent, file, "-no-recovery", ...commonWords(time)]);
}

function commonWords(time: number): string[] {
  const times = ["-mkfs-time", String(time), "-all-time", String(time)];
  // The caller's umask must not matter to the folder above the layers.
  return [
    ...times,
    "-root-mode",
    "0755",
    "-all-root",
    "-no-xattrs",
    "-no-exports",
    "-quiet",
    "-no-progress",
  ];
}
