/**
 * Makes GRUB's two pieces for BIOS fit together: the boot sector, and the core image in its partition.
 *
 * Pure. Source: GRUB 2.06, include/grub/i386/pc/boot.h and grub-core/boot/i386/pc/{boot,diskboot}.S (places of
 * the fields); the manual's "BIOS installation" (the partition that holds the core image).
 */
import { assert } from "../lib/base/assert.ts";
import { SECTOR_BYTES } from "./gpt.ts";

/** Boot sector: where the first sector of the core image lies (64 bits). */
const KERNEL_SECTOR_AT = 0x5c;
/** Boot sector: a jump that a hard disk's sector replaces by two NOPs, so that the BIOS's drive number is used. */
const DRIVE_CHECK_AT = 0x66;
const NOP = 0x90;
/** Boot sector: from here on the disk's own signature and table are kept. */
const CODE_END = 0x1b8;
const SIGNATURE_AT = 0x1fe;
/** Core image, first sector: the last entry of its block list. */
const LIST_START_AT = SECTOR_BYTES - 12;
const LIST_LENGTH_AT = SECTOR_BYTES - 4;
const LIST_SEGMENT_AT = SECTOR_BYTES - 2;
/** Where the rest of the core image is loaded: 0x8200 >> 4. */
const LOAD_SEGMENT = 0x820;

/** Returns the disk's first sector: GRUB's code, and the partition table that the sector had. */
export function embedBootSector(bootImage: Buffer, sector: Buffer, coreSector: number): Buffer {
  assert(bootImage.length === SECTOR_BYTES, "boot.img is one sector");
  assert(sector.length === SECTOR_BYTES, "a sector is replaced");
  assert(bootImage.readUInt16LE(SIGNATURE_AT) === 0xaa55, "boot.img is a boot sector");
  const made = Buffer.from(sector);
  bootImage.copy(made, 0, 0, CODE_END);
  made.writeBigUInt64LE(BigInt(coreSector), KERNEL_SECTOR_AT);
  made.fill(NOP, DRIVE_CHECK_AT, DRIVE_CHECK_AT + 2);
  made.writeUInt16LE(0xaa55, SIGNATURE_AT);
  return made;
}

/** Returns the core image as it lies on the disk from `coreSector` on: it finds its own rest. */
export function embedCoreImage(coreImage: Buffer, coreSector: number, sectorsMax: number): Buffer {
  const sectors = Math.ceil(coreImage.length / SECTOR_BYTES);
  assert(sectors >= 2, "a core image has more than its first sector");
  assert(sectors <= sectorsMax, "the core image fits its partition");
  const made = Buffer.alloc(sectors * SECTOR_BYTES);
  coreImage.copy(made);
  made.writeBigUInt64LE(BigInt(coreSector + 1), LIST_START_AT);
  made.writeUInt16LE(sectors - 1, LIST_LENGTH_AT);
  made.writeUInt16LE(LOAD_SEGMENT, LIST_SEGMENT_AT);
  return made;
}
