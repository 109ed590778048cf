/**
 * Writes cpio archives in the "newc" format, which the kernel unpacks as its initial RAM disk.
 *
 * Pure. Source: Documentation/driver-api/early-userspace/buffer-format.rst of Linux.
 * Invariant: equal entries make equal bytes: inode numbers count up, owner 0, one time.
 */
import { assert } from "../lib/base/assert.ts";

export type CpioEntry =
  | { readonly kind: "directory"; readonly path: string; readonly mode: number }
  | { readonly kind: "file"; readonly path: string; readonly mode: number; readonly data: Buffer }
  | { readonly kind: "link"; readonly path: string; readonly target: string }
  | {
      readonly kind: "device";
      readonly path: string;
      readonly mode: number;
      readonly major: number;
      readonly minor: number;
    };

const MAGIC = "070701";
const TRAILER = "TRAILER!!!";
const ALIGNMENT = 4;
/** File types of stat(2). */
const TYPES: Readonly<Record<CpioEntry["kind"], number>> = {
  directory: 0o040000,
  file: 0o100000,
  link: 0o120000,
  device: 0o020000,
};

/** Returns the archive, in the order of `entries`: a folder comes before what is in it. */
export function packCpio(entries: readonly CpioEntry[], mtime: number): Buffer {
  const parts: Buffer[] = [];
  entries.forEach((entry, index) => {
    assert(!entry.path.startsWith("/"), "paths of a cpio archive are relative");
    const data = dataOf(entry);
    const device = entry.kind === "device" ? [entry.major, entry.minor] : [0, 0];
    const mode = TYPES[entry.kind] | (entry.kind === "link" ? 0o777 : entry.mode);
    const links = entry.kind === "directory" ? 2 : 1;
    const fields = [index + 1, mode, 0, 0, links, mtime, data.length, 0, 0, ...device];
    parts.push(...member(entry.path, fields, data));
  });
  parts.push(...member(TRAILER, [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], Buffer.alloc(0)));
  return Buffer.concat(parts);
}

function dataOf(entry: CpioEntry): Buffer {
  if (entry.kind === "file") return entry.data;
  return entry.kind === "link" ? Buffer.from(entry.target) : Buffer.alloc(0);
}

function member(path: string, fields: readonly number[], data: Buffer): Buffer[] {
  const name = Buffer.from(`${path}\0`);
  const hex = (value: number): string => value.toString(16).toUpperCase().padStart(8, "0");
  const header = [...fields, name.length, 0].map(hex).join("");
  const head = Buffer.concat([Buffer.from(MAGIC + header), name]);
  return [head, padding(head.length), data, padding(data.length)];
}

function padding(length: number): Buffer {
  return Buffer.alloc((ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT);
}
