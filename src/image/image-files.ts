/** What a build leaves behind, and how the files are named. Pure. */
import { join } from "node:path";
import type { GuestImage } from "../lib/guest/guest-image.ts";
import type { ImageProfile } from "./profile.ts";

/** Boots directly as a `GuestImage`, or by its disks. */
export interface ImageFiles extends GuestImage {
  readonly rootFile: string;
  /** The whole disk, compressed: boots by BIOS and UEFI, carries its data partition. */
  readonly qcow2File: string;
  readonly rawFile: string;
  readonly manifestFile: string;
  /** SPDX 2.3 as JSON. */
  readonly sbomFile: string;
  readonly profile: ImageProfile;
}

/** Words that direct boot and boot loader give to the kernel. */
export const COMMAND_LINE = "net.ifnames=0 console=tty0 console=ttyS0 quiet loglevel=4 panic=10";

/** Returns the files' places. */
export function nameImageFiles(folder: string, profile: ImageProfile, version: string): ImageFiles {
  const stem = join(folder, `flowlift-${profile}-${version}`);
  return {
    profile,
    version,
    commandLine: COMMAND_LINE,
    kernelFile: `${stem}.vmlinuz`,
    initrdFile: `${stem}.initrd`,
    rootFile: `${stem}.root.squashfs`,
    qcow2File: `${stem}.qcow2`,
    rawFile: `${stem}.raw`,
    manifestFile: `${stem}.manifest.json`,
    sbomFile: `${stem}.spdx.json`,
  };
}

/** Every file, the manifest last: it is what tells that the others are complete. */
export function listImageFiles(files: ImageFiles): string[] {
  return [
    files.kernelFile,
    files.initrdFile,
    files.rootFile,
    files.qcow2File,
    files.rawFile,
    files.sbomFile,
    files.manifestFile,
  ];
}
