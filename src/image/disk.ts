/**
 * Puts a disk together from its parts, as a sparse file, and compresses it to qcow2.
 *
 * Effect: runs sfdisk and qemu-img; writes the named files. Nothing is mounted.
 */
import {
  closeSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import type { BootFiles } from "./boot-loader.ts";
import { findPartition, formatSfdiskScript, layOutDisk, SECTOR_BYTES } from "./gpt.ts";
import { embedBootSector, embedCoreImage } from "./grub-embed.ts";
import { runTool } from "./run-tool.ts";

const MEBIBYTE: number = 1024 * 1024;
const BIOS_PARTITION_BYTES = MEBIBYTE;
const COPY_BYTES = MEBIBYTE;
const ZEROES: Buffer = Buffer.alloc(COPY_BYTES);

/** Makes the raw disk. */
export async function makeRawDisk(
  file: string,
  parts: { readonly boot: BootFiles; readonly rootFile: string; readonly dataFile: string },
): Promise<void> {
  const layout = layOutDisk({
    "flowlift-bios": BIOS_PARTITION_BYTES,
    "flowlift-esp": statSync(parts.boot.espFile).size,
    "flowlift-root": statSync(parts.rootFile).size,
    "flowlift-data": statSync(parts.dataFile).size,
  });
  writeFileSync(file, "");
  truncateSync(file, layout.sectors * SECTOR_BYTES);
  await runTool("sfdisk", ["--quiet", "--no-reread", "--no-tell-kernel", file], {
    input: formatSfdiskScript(layout),
  });
  const disk = openSync(file, "r+");
  try {
    const bios = findPartition(layout, "flowlift-bios");
    const sector = Buffer.alloc(SECTOR_BYTES);
    readSync(disk, sector, 0, SECTOR_BYTES, 0);
    const { bootImage, coreImage } = parts.boot;
    writeSync(disk, embedBootSector(bootImage, sector, bios.startSector), 0, SECTOR_BYTES, 0);
    const core = embedCoreImage(coreImage, bios.startSector, bios.sectors);
    writeSync(disk, core, 0, core.length, bios.startSector * SECTOR_BYTES);
    const copies = [
      ["flowlift-esp", parts.boot.espFile],
      ["flowlift-root", parts.rootFile],
      ["flowlift-data", parts.dataFile],
    ] as const;
    for (const [name, from] of copies) {
      copyInto(disk, findPartition(layout, name).startSector * SECTOR_BYTES, readFileSync(from));
    }
  } finally {
    closeSync(disk);
  }
}

/** Makes the compressed disk. */
export async function makeQcow2(rawFile: string, qcow2File: string): Promise<void> {
  // One coroutine: clusters are then written in the order of the disk.
  const words = ["convert", "-m", "1", "-f", "raw", "-O", "qcow2", "-c"];
  await runTool("qemu-img", [...words, "-o", "compat=1.1,lazy_refcounts=off", rawFile, qcow2File]);
}

function copyInto(disk: number, offset: number, data: Buffer): void {
  for (let at = 0; at < data.length; at += COPY_BYTES) {
    const piece = data.subarray(at, at + COPY_BYTES);
    // Holes stay holes.
    if (!piece.equals(ZEROES.subarray(0, piece.length)))
      writeSync(disk, piece, 0, piece.length, offset + at);
  }
}
