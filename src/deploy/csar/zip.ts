/**
 * A ZIP archive whose bytes depend on its files alone.
 *
 * Pure. Source: PKWARE's APPNOTE 6.3.10, §4.3: local headers, central directory, end record.
 * Limit: FILES_MAX files, ARCHIVE_BYTES_MAX altogether (the format's sizes have 32 bits).
 */
import { deflateRawSync } from "node:zlib";
import { assert } from "../../lib/base/assert.ts";

export const FILES_MAX = 65_535;
export const ARCHIVE_BYTES_MAX = 0x7fff_ffff;

const LOCAL_SIGNATURE = 0x0403_4b50;
const CENTRAL_SIGNATURE = 0x0201_4b50;
const END_SIGNATURE = 0x0605_4b50;
/** 2.0: deflate and directories. */
const VERSION = 20;
/** Names are UTF-8. */
const FLAGS = 0x0800;
const METHOD_STORED = 0;
const METHOD_DEFLATED = 8;
/** 1980-01-01 00:00, the earliest that the format can say. */
const DOS_DATE = 0x0021;
/** A regular file, rw-r--r--, made by Unix. */
const MADE_BY_UNIX = 0x0300 + VERSION;
const EXTERNAL_ATTRIBUTES = (0o100_644 << 16) >>> 0;

export interface ZipFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Returns the archive; files stand in the order given. */
export function formatZip(files: readonly ZipFile[]): Buffer {
  assert(files.length <= FILES_MAX, "files stay within the format's bound");
  const parts: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const { name, bytes } of files) {
    const nameBytes = Buffer.from(name, "utf8");
    const deflated = deflateRawSync(bytes, { level: 9 });
    const isStored = deflated.length >= bytes.length;
    const data = isStored ? Buffer.from(bytes) : deflated;
    const shared = Buffer.alloc(26);
    shared.writeUInt16LE(VERSION, 0);
    shared.writeUInt16LE(FLAGS, 2);
    shared.writeUInt16LE(isStored ? METHOD_STORED : METHOD_DEFLATED, 4);
    shared.writeUInt16LE(0, 6); // Time of day.
    shared.writeUInt16LE(DOS_DATE, 8);
    shared.writeUInt32LE(crc32(bytes), 10);
    shared.writeUInt32LE(data.length, 14);
    shared.writeUInt32LE(bytes.length, 18);
    shared.writeUInt16LE(nameBytes.length, 22);
    parts.push(uint32(LOCAL_SIGNATURE), shared, nameBytes, data);
    central.push(formatCentral(shared, offset), nameBytes);
    offset += 4 + shared.length + nameBytes.length + data.length;
    assert(offset <= ARCHIVE_BYTES_MAX, "an archive stays within the format's bound");
  }
  const directory = Buffer.concat(central);
  return Buffer.concat([...parts, directory, formatEnd(files.length, directory.length, offset)]);
}

function formatCentral(shared: Buffer, offset: number): Buffer {
  const entry = Buffer.alloc(46);
  entry.writeUInt32LE(CENTRAL_SIGNATURE, 0);
  entry.writeUInt16LE(MADE_BY_UNIX, 4);
  shared.copy(entry, 6); // Version needed to name length; extra fields and comment are empty.
  entry.writeUInt32LE(EXTERNAL_ATTRIBUTES, 38);
  entry.writeUInt32LE(offset, 42);
  return entry;
}

function formatEnd(count: number, directoryBytes: number, offset: number): Buffer {
  const end = Buffer.alloc(22);
  end.writeUInt32LE(END_SIGNATURE, 0);
  end.writeUInt16LE(count, 8);
  end.writeUInt16LE(count, 10);
  end.writeUInt32LE(directoryBytes, 12);
  end.writeUInt32LE(offset, 16);
  return end;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value, 0);
  return bytes;
}

const CRC_TABLE: Uint32Array = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb8_8320 : value >>> 1;
  return value >>> 0;
});

/** ISO 3309's, as the format has it. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (CRC_TABLE[(crc ^ byte) & 0xff] ?? 0);
  return (crc ^ 0xffff_ffff) >>> 0;
}
