/** What lies in an image, and what is told about it. */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { APPLIANCE_PROFILES } from "../../src/appliance/modules.ts";
import { formatOsRelease } from "../../src/image/app-layer.ts";
import { bundleAppliance, formatGuestSubcommands } from "../../src/image/bundle.ts";
import { listImageFiles, nameImageFiles } from "../../src/image/image-files.ts";
import { parseLock } from "../../src/image/image-lock.ts";
import { findImagePaths } from "../../src/image/image-paths.ts";
import { BASE_BUILDER, IMAGE_BUILDER } from "../../src/image/input-digest.ts";
import { closeModules, parseModuleList } from "../../src/image/kernel-modules.ts";
import { formatManifest, parseManifest } from "../../src/image/manifest.ts";
import { IMAGE_PROFILES, isImageProfile } from "../../src/image/profile.ts";
import { BASE_SETS_KEPT_MAX, pruneCache } from "../../src/image/prune-cache.ts";
import { formatSbom } from "../../src/image/sbom.ts";
import { listTree, Stage } from "../../src/image/stage.ts";

const PATHS = findImagePaths();
let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "flowlift-image-unit-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("the bundle", async () => {
  const bundle = await bundleAppliance(PATHS.sources);
  const text = bundle.files.map(({ data }) => data.toString()).join("\n");

  test("holds the appliance's processes and its workers, by flat names", () => {
    const names = bundle.files.map(({ name }) => name);
    expect(names).toContain("main.js");
    expect(names).toContain("event-worker.js");
    for (const name of names) expect(name).not.toContain("/");
    for (const command of ["data", "manage", "helper"])
      expect(text).toContain(`appliance-${command}`);
  });

  test("holds nothing of bridge, controller, lab or image", () => {
    for (const marker of ["FLOWLIFT_TEST", "grpc", "initControllerPki", "mksquashfs"]) {
      expect(text).not.toContain(marker);
    }
    expect(bundle.npmPackages).not.toContain("@grpc/grpc-js");
    expect(bundle.npmPackages).toContain("ssh2");
  });

  test("is the same when it is made again", async () => {
    const again = (await bundleAppliance(PATHS.sources)).files;
    expect(again.map(({ name }) => name)).toEqual(bundle.files.map(({ name }) => name));
    for (const [index, { data }] of again.entries()) {
      expect(data.equals(bundle.files[index]!.data)).toBe(true);
    }
  });
});

test("the table of subcommands loads each by its own file", () => {
  const source = formatGuestSubcommands(["appliance-data"]);
  expect(source).toContain('await import("./appliance-data.ts")');
  expect(() => formatGuestSubcommands([])).toThrow("subcommands");
});

test("every file of the builder counts for a digest, or cannot change an image", () => {
  const neutral = [
    "debian-index.ts",
    "downloads.ts",
    "image-lock.ts",
    "image-paths.ts",
    "input-digest.ts",
    "profile.ts",
    "prune-cache.ts",
    "refresh-lock.ts",
    "run-tool.ts",
  ];
  const files = readdirSync(join(PATHS.sources, "image")).filter((name) =>
    /^(?!guest-).*\.ts$/.test(name),
  );
  expect([...BASE_BUILDER, ...IMAGE_BUILDER, ...neutral].sort()).toEqual(files.sort());
});

test("os-release carries version and profile in quotes", () => {
  const lines = formatOsRelease("0.1.0-ab", "nat").trim().split("\n");
  expect(lines).toContain('VERSION_ID="0.1.0-ab"');
  expect(lines).toContain('VARIANT_ID="nat"');
  for (const line of lines) expect(line).toMatch(/^[A-Z_]+="[^"$`\\]*"$/);
});

test("profiles are known by name", () => {
  expect(IMAGE_PROFILES.every(isImageProfile)).toBe(true);
  expect(isImageProfile("router")).toBe(false);
});

test("an image's files differ in name, and the manifest is the last", () => {
  const names = listImageFiles(nameImageFiles("/x", "lb", "1-2")).map((file) => basename(file));
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(name).toMatch(/^flowlift-lb-1-2\./);
  expect(names.at(-1)).toContain("manifest");
});

test("a manifest is read back; a damaged one is none", () => {
  const manifest = { version: "1", profile: "all", inputs: "ab", files: [] };
  expect(parseManifest(formatManifest(manifest))).toMatchObject(manifest);
  for (const text of ["", "{}", "null", '{"format":1}'])
    expect(parseManifest(text)).toBeUndefined();
});

test("modules come after those that they need, each once; an unknown one is named", () => {
  const depends: Record<string, string> = {
    "a.ko": "b,c",
    "b.ko": "c_d",
    "c.ko": "",
    "k/c-d.ko": "c",
  };
  const tree = {
    release: "6",
    files: new Map([
      ["a", "a.ko"],
      ["b", "b.ko"],
      ["c", "c.ko"],
      ["c_d", "k/c-d.ko"],
    ]),
  };
  const read = (path: string) => Buffer.from(`\0depends=${depends[path] ?? ""}\0`);
  expect(closeModules(["a", "c-d"], tree, read)).toEqual(["c.ko", "k/c-d.ko", "b.ko", "a.ko"]);
  expect(() => closeModules(["nope"], tree, read)).toThrow('no module "nope"');
});

test("the committed list gives each module a stage, and the root's modules none twice", () => {
  const rows = parseModuleList(readFileSync(PATHS.moduleList, "utf8"));
  expect(rows.length).toBeGreaterThan(40);
  expect(new Set(rows.map((row) => row.name)).size).toBe(rows.length);
  expect(() => parseModuleList("x\tsoon\twhy\n")).toThrow("a stage");
});

test("the bill of materials lists every part once, and describes the image", () => {
  const lock = parseLock(readFileSync(PATHS.lockFile, "utf8"));
  if (!lock.ok) throw new Error(lock.error.where);
  const npm = [{ name: "@a/b", version: "1.2.3", license: "MIT" }];
  const inputs = { lock: lock.value, npm, version: "1", profile: "all" };
  const sbom = JSON.parse(formatSbom(inputs));
  expect(sbom.spdxVersion).toBe("SPDX-2.3");
  const ids = sbom.packages.map((one: { SPDXID: string }) => one.SPDXID);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(/^SPDXRef-[A-Za-z0-9.-]+$/);
  expect(ids.length).toBe(lock.value.packages.length + 4); // image, kernel, Node, @a/b
  const contained = sbom.relationships.filter(
    (one: { relationshipType: string }) => one.relationshipType === "CONTAINS",
  );
  expect(contained.length).toBe(ids.length - 1);
  const urls = sbom.packages.map(
    (one: { externalRefs: { referenceLocator: string }[] }) =>
      one.externalRefs[0]?.referenceLocator,
  );
  expect(urls).toContain("pkg:npm/%40a/b@1.2.3");
  expect(urls.some((url: string) => url.startsWith("pkg:deb/debian/libyang2@2."))).toBe(true);
  expect(formatSbom(inputs)).toBe(formatSbom(inputs));
});

describe("a stage", () => {
  test("has modes that do not depend on the caller's umask", () => {
    const before = process.umask(0o077);
    try {
      const stage = new Stage(join(folder, "stage"));
      stage.addFile("a/b/c", "x");
      stage.addFile("a/run", "x", true);
      const mode = (path: string) => (statSync(join(stage.folder, path)).mode & 0o7777).toString(8);
      expect(["", "a", "a/b", "a/b/c", "a/run"].map(mode)).toEqual([
        "755",
        "755",
        "755",
        "644",
        "755",
      ]);
    } finally {
      process.umask(before);
    }
  });

  test("takes what globs match from a package, merged into /usr, and names globs without a match", () => {
    for (const path of ["package/bin/x", "package/usr/share/doc/x", "package/lib/y.so.1"]) {
      mkdirSync(join(folder, path, ".."), { recursive: true });
      writeFileSync(join(folder, path), "x");
    }
    const stage = new Stage(join(folder, "stage"));
    const unused = stage.addPackage(join(folder, "package"), [
      "usr/bin/*",
      "usr/lib/*",
      "usr/sbin/*",
    ]);
    expect(listTree(stage.folder)).toEqual(["usr/bin/x", "usr/lib/y.so.1"]);
    expect(unused).toEqual(["usr/sbin/*"]);
  });
});

test("the cache keeps the newest base sets, and the one in use whatever its age", () => {
  const now = 1_800_000_000_000;
  for (let index = 0; index <= BASE_SETS_KEPT_MAX + 1; index++) {
    mkdirSync(join(folder, `base-${index}`));
    utimesSync(join(folder, `base-${index}`), index, index);
  }
  for (const name of ["packages", "work-old", "work-new"]) mkdirSync(join(folder, name));
  utimesSync(join(folder, "work-old"), 1, 1);
  utimesSync(join(folder, "work-new"), now / 1000 - 60, now / 1000 - 60);
  pruneCache(folder, "base-0", now);
  const newest = BASE_SETS_KEPT_MAX + 1;
  const kept = ["base-0", `base-${newest - 1}`, `base-${newest}`, "packages", "work-new"];
  expect(readdirSync(folder).sort()).toEqual(kept.sort());
});

test("an image's profiles are those of an appliance", () => {
  expect(IMAGE_PROFILES).toEqual(APPLIANCE_PROFILES);
});
