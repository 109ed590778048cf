/** Looks for many byte strings in large files, piece by piece. */
import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from "node:fs";
import { join } from "node:path";

const PIECE_BYTES = 8 * 1024 * 1024;

/** Returns the names of the needles that occur in the file. */
export function scanFile(file: string, needles: ReadonlyMap<string, Buffer>): Set<string> {
  const found = new Set<string>();
  const overlap = Math.max(0, ...[...needles.values()].map((needle) => needle.length - 1));
  const buffer = Buffer.alloc(PIECE_BYTES + overlap);
  const fd = openSync(file, "r");
  try {
    let kept = 0;
    for (;;) {
      const read = readSync(fd, buffer, kept, PIECE_BYTES, null);
      if (read === 0) return found;
      const piece = buffer.subarray(0, kept + read);
      for (const [name, needle] of needles) {
        if (!found.has(name) && piece.includes(needle)) found.add(name);
      }
      const rest = Math.min(overlap, piece.length);
      buffer.copyWithin(0, piece.length - rest, piece.length);
      kept = rest;
    }
  } finally {
    closeSync(fd);
  }
}

/** Returns the names of the needles that occur in any file below the folder. */
export function scanFolder(folder: string, needles: ReadonlyMap<string, Buffer>): Set<string> {
  const found = new Set<string>();
  for (const file of listFiles(folder)) for (const name of scanFile(file, needles)) found.add(name);
  return found;
}

/** Returns regular files below a folder. */
export function listFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Returns a PEM file as the three forms in which a program may hold it. */
export function pemNeedles(file: string): [string, Buffer][] {
  const lines = readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("-----"));
  const body = Buffer.from(lines.join(""), "base64");
  // The head of a key's structure is the same for all keys of its kind; its end is the secret.
  const secret = body.subarray(-Math.min(32, statSync(file).size));
  return [
    [`${file} as text`, Buffer.from(lines.at(-1) ?? "", "latin1")],
    [`${file} as bytes`, body],
    [`${file}, its last bytes`, secret],
  ];
}
