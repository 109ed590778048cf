/** The lock, the list of packages, and the closure over what packages depend on. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { closePackages, parseIndex } from "../../src/image/debian-index.ts";
import { formatImageVersion, formatLock, parseLock } from "../../src/image/image-lock.ts";
import { findImagePaths } from "../../src/image/image-paths.ts";
import { globToPattern, mergeUsr, parsePackageList } from "../../src/image/package-list.ts";

const PATHS = findImagePaths();
const LOCK_TEXT = readFileSync(PATHS.lockFile, "utf8");

type Editable = Record<string, unknown> & {
  kernel: Record<string, unknown>;
  node: Record<string, unknown>;
  packages: Record<string, unknown>[];
};

function change(edit: (lock: Editable) => void): string {
  const value = JSON.parse(LOCK_TEXT);
  edit(value);
  return JSON.stringify(value);
}

describe("the committed lock", () => {
  test("is valid, and is written back as it is", () => {
    const lock = parseLock(LOCK_TEXT);
    if (!lock.ok) throw new Error(JSON.stringify(lock.error));
    expect(formatLock(lock.value)).toBe(LOCK_TEXT);
  });

  test("holds exactly the packages that the list takes", () => {
    const taken = parsePackageList(readFileSync(PATHS.packageList, "utf8"))
      .filter((row) => row.take.length > 0)
      .map((row) => row.name)
      .sort();
    const lock = parseLock(LOCK_TEXT);
    expect(lock.ok && lock.value.packages.map((one) => one.name)).toEqual(taken);
  });

  test("pins the Node that the launcher brings", () => {
    const pin = /^NODE_PIN=(.*)$/m.exec(readFileSync(`${PATHS.root}/setup/lib.sh`, "utf8"))?.[1];
    const lock = parseLock(LOCK_TEXT);
    expect(lock.ok && lock.value.node.version).toBe(pin);
  });
});

test("a damaged lock is refused with the place and what was expected", () => {
  const cases: [string, string][] = [
    ["{", "/"],
    [change((lock) => (lock["format"] = 2)), "/format"],
    [change((lock) => (lock["sourceDateEpoch"] = "now")), "/sourceDateEpoch"],
    [change((lock) => (lock["kernel"]["sha256"] = "00")), "/kernel/sha256"],
    [change((lock) => (lock["kernel"]["version"] = "1 --help")), "/kernel/version"],
    [change((lock) => (lock["node"]["integrity"] = "sha1-x")), "/node/integrity"],
    [change((lock) => (lock["packages"] = [])), "/packages"],
    [change((lock) => (lock.packages[1]!["pool"] = "pool/../x.deb")), "/packages/1/pool"],
    [change((lock) => (lock.packages[2]!["name"] = "-o")), "/packages/2/name"],
    [change((lock) => (lock.packages[0]!["archive"] = "other")), "/packages/0/archive"],
    [change((lock) => lock.packages.push(lock.packages[0]!)), "/packages"],
  ];
  for (const [text, where] of cases) {
    const lock = parseLock(text);
    expect(lock.ok ? "accepted" : lock.error.where).toBe(where);
  }
});

test("the version changes with the program's version and with the lock, and fits os-release", () => {
  const versions = [
    formatImageVersion("0.1.0", LOCK_TEXT),
    formatImageVersion("0.2.0", LOCK_TEXT),
    formatImageVersion("0.1.0", `${LOCK_TEXT} `),
  ];
  expect(new Set(versions).size).toBe(3);
  for (const version of versions) expect(version).toMatch(/^[a-z0-9._-]+$/);
});

test("globs match within a name, at any depth, and alternatives; dots are dots", () => {
  const matches = (glob: string, path: string) => globToPattern(glob).test(path);
  expect(matches("usr/lib/*.so.*", "usr/lib/libc.so.6")).toBe(true);
  expect(matches("usr/lib/*.so.*", "usr/lib/gconv/libc.so.6")).toBe(false);
  expect(matches("usr/lib/*.so.*", "usr/lib/libcaso.6")).toBe(false);
  expect(matches("usr/share/yang/**", "usr/share/yang/a/b.yang")).toBe(true);
  expect(matches("usr/lib/{libc,libm}.so.*", "usr/lib/libm.so.6")).toBe(true);
  expect(matches("usr/lib/{libc,libm}.so.*", "usr/lib/libd.so.6")).toBe(false);
  expect(matches("usr/bin/[", "usr/bin/[")).toBe(true);
});

test("paths are those after the merge of /usr", () => {
  expect(mergeUsr("lib/x/y")).toBe("usr/lib/x/y");
  expect(mergeUsr("sbin/e2fsck")).toBe("usr/sbin/e2fsck");
  expect(mergeUsr("usr/lib/x")).toBe("usr/lib/x");
  expect(mergeUsr("library/x")).toBe("library/x");
});

const stanza = (name: string, depends: string, pool = `pool/main/${name}.deb`) =>
  [
    `Package: ${name}`,
    "Version: 1:2-3",
    "Architecture: amd64",
    `Filename: ${pool}`,
    "Size: 5",
    `SHA256: ${"0".repeat(64)}`,
    `Depends: ${depends}`,
    "Description: a",
    " Depends: not this",
  ].join("\n");

describe("the closure", () => {
  const index = parseIndex(
    [
      stanza("a", "b (>= 1) | x, c:any"),
      stanza("b", "skipped", "pool/updates/main/b.deb"),
      stanza("c", ""),
    ].join("\n\n"),
  );
  const rows = (text: string) => parsePackageList(text);

  test("takes first alternatives, and stops at what is left out", () => {
    const closed = closePackages(rows("a\t*\tr\nb\t*\tr\nc\t*\tr\nskipped\t-\tr\n"), index);
    if (!closed.ok) throw new Error(closed.error.kind);
    expect(closed.value.map((one) => one.name)).toEqual(["a", "b", "c"]);
    expect(closed.value.map((one) => one.archive)).toEqual(["debian", "debian-security", "debian"]);
  });

  test("refuses a dependency without a line, and a package that nobody offers", () => {
    const unlisted = closePackages(rows("a\t*\tr\nb\t*\tr\nskipped\t-\tr\n"), index);
    expect(unlisted).toEqual({
      ok: false,
      error: { kind: "package-unlisted", name: "c", neededBy: "a" },
    });
    const missing = closePackages(rows("z\t*\tr\n"), index);
    expect(missing.ok ? "" : missing.error.kind).toBe("package-missing");
  });
});

test("a line of the package list without a reason is refused", () => {
  expect(() => parsePackageList("a\t*\t\n")).toThrow("gives a reason");
  expect(() => parsePackageList("a\t*\n")).toThrow("three columns");
  expect(() => parsePackageList("a\t*\tr\na\t-\tr\n")).toThrow("one line");
});
