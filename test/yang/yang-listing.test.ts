import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { APPLIANCE_MODULES } from "../../src/appliance/modules.ts";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import type { YangModule } from "../../src/lib/yang/module-list.ts";
import { PACKAGED_YANG_DIRECTORIES } from "../../src/lib/yang/yang-directories.ts";
import { SERVER_MODULES } from "../../src/management/management-server.ts";
import { productContext } from "./yang-fixture.ts";

const ROOT = findProjectRoot();
const YANG = join(ROOT, "yang");
const README = join(YANG, "README.md");
const BEGIN = "<!-- generated: begin -->";
const END = "<!-- generated: end -->";

const FILES: readonly string[] = readdirSync(YANG)
  .filter((file) => file.endsWith(".yang"))
  .sort();

/** Where the schema of our renditions comes from. */
const RFC_OF: Readonly<Record<string, string>> = {
  "ietf-nat": "RFC 8512",
  "ietf-access-control-list": "RFC 8519",
  "ietf-packet-fields": "RFC 8519",
  "ietf-ethertypes": "RFC 8519",
  notifications: "RFC 5277",
  "nc-notifications": "RFC 5277",
};

function moduleName(file: string): string {
  return file.replace(/(@.*)?\.yang$/, "");
}

function revisionOf(text: string): string {
  return /^\s*revision\s+"?(\d{4}-\d{2}-\d{2})/m.exec(text)?.[1] ?? "none";
}

function ownTable(): string[] {
  return FILES.map((file) => {
    const bytes = readFileSync(join(YANG, file));
    const rfc = RFC_OF[moduleName(file)];
    const source = rfc === undefined ? "ours" : `our rendition of ${rfc}`;
    const checksum = createHash("sha256").update(bytes).digest("hex");
    const revision = revisionOf(bytes.toString());
    return `| \`${moduleName(file)}\` | ${revision} | ${source} | \`${checksum}\` |`;
  });
}

function applianceModules(): YangModule[] {
  const yang = productContext([...SERVER_MODULES, ...APPLIANCE_MODULES]);
  const modules = yang.listModules();
  yang.destroy();
  return modules;
}

function packagedTable(modules: readonly YangModule[]): string[] {
  return modules
    .filter(({ file }) => file === undefined || !file.startsWith(YANG))
    .map(({ name, revision, conformance, file }) => {
      const directory = PACKAGED_YANG_DIRECTORIES.find((each) => file?.startsWith(each.directory));
      const source = directory?.debianPackage ?? "libyang2 (built in)";
      return `| \`${name}\` | ${revision ?? "none"} | ${source} | ${conformance} |`;
    })
    .sort();
}

function featureTable(modules: readonly YangModule[]): string[] {
  const names = (features: readonly string[]): string =>
    features.length === 0 ? "–" : features.map((name) => `\`${name}\``).join(", ");
  return modules
    .filter(({ conformance }) => conformance === "implement")
    .filter(({ features, disabledFeatures }) => features.length + disabledFeatures.length > 0)
    .map(({ name, features, disabledFeatures }) => {
      return `| \`${name}\` | ${names(features)} | ${names(disabledFeatures)} |`;
    })
    .sort();
}

function generatedPart(): string {
  const modules = applianceModules();
  return [
    "### Modules in this directory",
    "",
    "| module | revision | source | SHA-256 |",
    "|---|---|---|---|",
    ...ownTable(),
    "",
    "### Modules of Debian packages that an appliance loads",
    "",
    "| module | revision | package | conformance |",
    "|---|---|---|---|",
    ...packagedTable(modules),
    "",
    "### Features of an appliance",
    "",
    "| module | supported | not supported |",
    "|---|---|---|",
    ...featureTable(modules),
  ].join("\n");
}

describe("yang/", () => {
  test("README lists each module with revision, source, checksum and features", () => {
    const text = readFileSync(README, "utf8");
    const [head = "", rest = ""] = text.split(BEGIN);
    const tail = rest.split(END)[1] ?? "";
    const expected = `${head}${BEGIN}\n\n${generatedPart()}\n\n${END}${tail}`;
    if (process.env["UPDATE_EXPECTED"] === "1") writeFileSync(README, expected);
    expect(readFileSync(README, "utf8")).toBe(expected);
  });

  test("README names no module that does not exist", () => {
    const known = new Set([
      ...FILES.map(moduleName),
      ...applianceModules().map(({ name }) => name),
    ]);
    const named = [...readFileSync(README, "utf8").matchAll(/`((?:ietf|iana|flowlift)-[\w-]+)`/g)];
    expect(named.length).toBeGreaterThan(10);
    for (const [, name = ""] of named) expect(known).toContain(name);
  });

  test.each(FILES)("%s loads in libyang with every feature, under its own name", (file) => {
    const yang = productContext([{ name: moduleName(file), features: "all" }]);
    const loaded = yang.listModules().find(({ name }) => name === moduleName(file));
    yang.destroy();
    expect(basename(loaded?.file ?? "")).toBe(file);
    expect(loaded?.revision).toBe(revisionOf(readFileSync(join(YANG, file), "utf8")));
    if (file.includes("@")) expect(file).toContain(`@${loaded?.revision}.yang`);
  });

  test("only our renditions bear a name of the IETF, and each says that it is one", () => {
    const foreign = FILES.filter((file) => !file.startsWith("flowlift-"));
    expect(foreign.map(moduleName).sort()).toEqual(Object.keys(RFC_OF).sort());
    for (const file of foreign) {
      const text = readFileSync(join(YANG, file), "utf8");
      expect(text).toMatch(/written anew/);
      expect(text).not.toMatch(/Copyright|IETF Trust|Redistribution/);
    }
  });
});
