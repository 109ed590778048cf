/**
 * Reads what apt knows of packages, and follows their dependencies.
 *
 * Pure. Source: Debian Policy §5.1 (control files), §7.1 (relationships). Limit: of alternatives the first is
 * taken; versions are those of apt's candidates, which fit each other.
 */
import { err, ok, type Result } from "../lib/base/result.ts";
import type { LockedPackage } from "./image-lock.ts";
import type { PackageRow } from "./package-list.ts";

export interface IndexedPackage {
  readonly locked: LockedPackage;
  /** First alternatives of Pre-Depends and Depends. */
  readonly depends: readonly string[];
}

export type ClosureProblem =
  | { readonly kind: "package-missing"; readonly name: string; readonly neededBy: string }
  | { readonly kind: "package-unlisted"; readonly name: string; readonly neededBy: string };

/** Reads the answer of `apt-cache show --no-all-versions NAME…`. */
export function parseIndex(text: string): Map<string, IndexedPackage> {
  const found = new Map<string, IndexedPackage>();
  for (const stanza of text.split(/\n\n+/)) {
    const fields = parseStanza(stanza);
    const [name, version, pool] = ["Package", "Version", "Filename"].map((key) => fields.get(key));
    const [architecture, sha256] = ["Architecture", "SHA256"].map((key) => fields.get(key));
    if (name === undefined || version === undefined || pool === undefined) continue;
    if (architecture === undefined || sha256 === undefined || found.has(name)) continue;
    const depends = [fields.get("Pre-Depends"), fields.get("Depends")]
      .flatMap((list) => (list ?? "").split(","))
      .map((entry) => (entry.split("|")[0] ?? "").trim().split(/[\s:(]/)[0] ?? "")
      .filter((entry) => entry !== "");
    const locked: LockedPackage = {
      name,
      version,
      architecture,
      pool,
      archive: pool.startsWith("pool/updates/") ? "debian-security" : "debian",
      sha256,
      bytes: Number(fields.get("Size")),
    };
    found.set(name, { locked, depends });
  }
  return found;
}

/** Returns the packages to lock: those taken, and whatever they depend on unless it is left out by name. */
export function closePackages(
  rows: readonly PackageRow[],
  index: ReadonlyMap<string, IndexedPackage>,
): Result<LockedPackage[], ClosureProblem> {
  const byName = new Map(rows.map((row) => [row.name, row]));
  const closed = new Map<string, LockedPackage>();
  const open = rows
    .filter((row) => row.take.length > 0)
    .map((row) => ({ name: row.name, neededBy: "packages.tsv" }));
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { name, neededBy } = next;
    const row = byName.get(name);
    if (row === undefined) return err({ kind: "package-unlisted", name, neededBy });
    if (row.take.length === 0 || closed.has(name)) continue;
    const found = index.get(name);
    if (found === undefined) return err({ kind: "package-missing", name, neededBy });
    closed.set(name, found.locked);
    for (const needed of found.depends) open.push({ name: needed, neededBy: name });
  }
  return ok([...closed.values()].sort((a, b) => (a.name < b.name ? -1 : 1)));
}

function parseStanza(stanza: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of stanza.split("\n")) {
    const match = /^([A-Za-z0-9-]+):\s*(.*)$/.exec(line);
    if (match?.[1] !== undefined) fields.set(match[1], match[2] ?? "");
  }
  return fields;
}
