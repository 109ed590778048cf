/**
 * Reads what the builder needs of ELF files: a module's strings, a program's libraries; cuts off debug tables.
 *
 * Pure. Source: System V ABI, chapters 4 and 5 (64-bit, little-endian).
 */

const MAGIC = Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
const PROGRAM_OFFSET_AT = 32;
const SECTION_OFFSET_AT = 40;
const PROGRAM_ENTRY_SIZE_AT = 54;
const SECTION_FIELDS_AT = 58;
const HEADER_BYTES = 64;
const TYPE_DYNAMIC = 2;
const TYPE_LOAD = 1;
const DYNAMIC_NEEDED = 1n;
const DYNAMIC_STRINGS = 5n;
const DYNAMIC_ENTRY_BYTES = 16;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly bytes: number;
}

/** Tells whether these are the bytes of a 64-bit ELF file. */
export function isElf(file: Buffer): boolean {
  return file.length >= HEADER_BYTES && file.subarray(0, MAGIC.length).equals(MAGIC);
}

/**
 * Returns the file without what follows its last segment (symbols and debug information, which the kernel and
 * the dynamic linker never read), and without the table of sections.
 */
export function stripElf(file: Buffer): Buffer {
  const ends = listSegments(file).map((segment) => segment.offset + segment.bytes);
  const table = file.readUInt16LE(PROGRAM_ENTRY_SIZE_AT) * file.readUInt16LE(56);
  ends.push(Number(file.readBigUInt64LE(PROGRAM_OFFSET_AT)) + table);
  const stripped = Buffer.from(file.subarray(0, Math.max(...ends)));
  stripped.writeBigUInt64LE(0n, SECTION_OFFSET_AT);
  stripped.fill(0, SECTION_FIELDS_AT, HEADER_BYTES);
  return stripped;
}

/** Returns the names of the libraries that the dynamic linker loads for this file. */
export function listNeeded(file: Buffer): string[] {
  const segments = listSegments(file);
  const dynamic = segments.find((segment) => segment.type === TYPE_DYNAMIC);
  if (dynamic === undefined) return [];
  const names: number[] = [];
  let strings = 0;
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.bytes; at += DYNAMIC_ENTRY_BYTES) {
    const tag = file.readBigInt64LE(at);
    const value = Number(file.readBigUInt64LE(at + 8));
    if (tag === DYNAMIC_NEEDED) names.push(value);
    if (tag === DYNAMIC_STRINGS) strings = value;
  }
  const home = segments.find(
    ({ type, address, bytes }) =>
      type === TYPE_LOAD && strings >= address && strings < address + bytes,
  );
  if (home === undefined) return [];
  const base = strings - home.address + home.offset;
  return names.map((name) => readText(file, base + name));
}

/** Returns the values of one key of a kernel module's information (`depends`, `alias`, …). */
export function readModuleInfo(module: Buffer, key: string): string[] {
  // Each string of the section .modinfo follows a zero byte, or starts the section after padding.
  const needle = Buffer.from(`\0${key}=`);
  const values: string[] = [];
  for (let at = module.indexOf(needle); at >= 0; at = module.indexOf(needle, at + 1)) {
    values.push(readText(module, at + needle.length));
  }
  return values;
}

function listSegments(file: Buffer): Segment[] {
  const start = Number(file.readBigUInt64LE(PROGRAM_OFFSET_AT));
  const size = file.readUInt16LE(PROGRAM_ENTRY_SIZE_AT);
  const count = file.readUInt16LE(56);
  return Array.from({ length: count }, (_, index) => {
    const at = start + index * size;
    return {
      type: file.readUInt32LE(at),
      offset: Number(file.readBigUInt64LE(at + 8)),
      address: Number(file.readBigUInt64LE(at + 16)),
      bytes: Number(file.readBigUInt64LE(at + 32)),
    };
  });
}

function readText(file: Buffer, at: number): string {
  return file.toString("latin1", at, file.indexOf(0, at));
}
