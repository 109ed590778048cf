/**
 * The list of Debian packages (packages.tsv): what is taken of each, and what is left out and why.
 *
 * Pure. Limit: globs know `*` (within one name), `**` (any depth) and `{a,b}`.
 */
import { assert } from "../lib/base/assert.ts";

export interface PackageRow {
  readonly name: string;
  /** Globs below the root folder; empty when the package is left out. */
  readonly take: readonly string[];
  readonly reason: string;
}

/** Reads the list. A malformed line is our own mistake. */
export function parsePackageList(text: string): PackageRow[] {
  const rows: PackageRow[] = [];
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const [name, take, reason, ...rest] = line.split("\t");
    assert(
      name !== undefined && take !== undefined && reason !== undefined && rest.length === 0,
      `packages.tsv has three columns: ${line}`,
    );
    assert(reason !== "", `packages.tsv gives a reason: ${line}`);
    rows.push({ name, take: take === "-" ? [] : take.split(" "), reason });
  }
  assert(new Set(rows.map((row) => row.name)).size === rows.length, "each package has one line");
  return rows;
}

/** Returns the path as it lies after the merge of /bin, /sbin, /lib and /lib64 into /usr. */
export function mergeUsr(path: string): string {
  return /^(bin|sbin|lib|lib64)\//.test(path) ? `usr/${path}` : path;
}

/** Turns one glob into an expression that matches whole paths. */
export function globToPattern(glob: string): RegExp {
  const source = glob.replace(/\*\*|[*.+^$()|[\]\\{},]/g, (token) => {
    switch (token) {
      case "**":
        return ".*";
      case "*":
        return "[^/]*";
      case "{":
        return "(?:";
      case "}":
        return ")";
      case ",":
        return "|";
      default:
        return `\\${token}`;
    }
  });
  return new RegExp(`^${source}$`);
}
