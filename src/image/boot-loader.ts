/**
 * GRUB for BIOS and UEFI, and the EFI system partition that both read kernel and RAM disk from.
 *
 * Effect: runs grub-mkimage, mkfs.vfat and mtools; writes below a working folder.
 * Invariant: serial number and times are fixed.
 */
import { mkdirSync, readFileSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runTool } from "./run-tool.ts";

const GRUB = "/usr/lib/grub";
const MODULES = "part_gpt fat normal linux search search_fs_uuid echo test serial terminal";
const BIOS_MODULES = "biosdisk";
const VOLUME_ID = "F10F11F7";
const ESP_BYTES: number = 24 * 1024 * 1024;
/** How long a console may interrupt the boot. */
const MENU_SECONDS = 0;

export interface BootFiles {
  readonly bootImage: Buffer;
  readonly coreImage: Buffer;
  readonly espFile: string;
}

/** Makes the three parts in `work`. */
export async function makeBootFiles(
  files: { readonly kernel: Buffer; readonly initrd: Buffer; readonly commandLine: string },
  work: string,
  time: number,
): Promise<BootFiles> {
  mkdirSync(work, { recursive: true });
  const config = join(work, "early.cfg");
  writeFileSync(config, formatEarlyConfig());
  const core = join(work, "core.img");
  const efi = join(work, "BOOTX64.EFI");
  const words = ["--prefix", "/boot/grub", "--config", config];
  const modules = MODULES.split(" ");
  await runTool("grub-mkimage", [
    ...["--format", "i386-pc", "--output", core, ...words, BIOS_MODULES, ...modules],
  ]);
  await runTool("grub-mkimage", ["--format", "x86_64-efi", "--output", efi, ...words, ...modules]);
  const contents = new Map<string, Buffer>([
    ["/EFI/BOOT/BOOTX64.EFI", readFileSync(efi)],
    ["/boot/grub/grub.cfg", Buffer.from(formatMenu(files.commandLine))],
    ["/boot/vmlinuz", files.kernel],
    ["/boot/initrd", files.initrd],
  ]);
  const espFile = join(work, "esp.img");
  await makeEsp(espFile, contents, work, time);
  return {
    bootImage: readFileSync(join(GRUB, "i386-pc", "boot.img")),
    coreImage: readFileSync(core),
    espFile,
  };
}

/** Is part of GRUB's images: finds the partition by its serial number, wherever the disk appears. */
export function formatEarlyConfig(): string {
  const id = `${VOLUME_ID.slice(0, 4)}-${VOLUME_ID.slice(4)}`;
  return [
    `search.fs_uuid ${id} root`,
    "set prefix=($root)/boot/grub",
    "normal ($root)/boot/grub/grub.cfg",
    "",
  ].join("\n");
}

/** Returns grub.cfg. */
export function formatMenu(commandLine: string): string {
  return [
    `set timeout=${MENU_SECONDS}`,
    "serial --unit=0 --speed=115200",
    "terminal_input serial console",
    "terminal_output serial console",
    "menuentry Flowlift {",
    `  linux /boot/vmlinuz ${commandLine}`,
    "  initrd /boot/initrd",
    "}",
    "",
  ].join("\n");
}

async function makeEsp(
  file: string,
  contents: ReadonlyMap<string, Buffer>,
  work: string,
  time: number,
): Promise<void> {
  writeFileSync(file, "");
  truncateSync(file, ESP_BYTES);
  const environment = { SOURCE_DATE_EPOCH: String(time), MTOOLS_SKIP_CHECK: "1" };
  await runTool("mkfs.vfat", ["--invariant", "-i", VOLUME_ID, "-n", "FLOWLIFT", file], {
    environment,
  });
  const folders = ["/EFI", "/EFI/BOOT", "/boot", "/boot/grub"];
  for (const folder of folders) await runTool("mmd", ["-i", file, `::${folder}`], { environment });
  let index = 0;
  for (const [path, data] of contents) {
    const source = join(work, `esp-${index++}`);
    writeFileSync(source, data);
    utimesSync(source, time, time);
    await runTool("mcopy", ["-i", file, "-m", source, `::${path}`], { environment });
  }
}
