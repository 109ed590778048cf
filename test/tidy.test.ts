/** Structure, not taste: imports, sizes, and that documents and code speak of the same things. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect, test } from "vitest";
import { ERROR_CODES } from "../src/lib/base/errors.ts";
import { findProjectRoot } from "../src/lib/base/project-root.ts";

const ROOT = findProjectRoot();
const FILE_LINES_MAX = 300;

/** Which rooms each room may import, besides itself. ARCHITECTURE.md shows the same table. */
const IMPORTS: Readonly<Record<string, readonly string[]>> = {
  cli: ["*"],
  appliance: [
    "nat",
    "lb",
    "firewall",
    "network",
    "offload",
    "offload-protocol",
    "management",
    "telemetry",
    "lib",
  ],
  nat: ["lib"],
  lb: ["lib"],
  firewall: ["lib"],
  network: ["lib"],
  offload: ["offload-protocol", "lib"],
  "offload-protocol": ["lib"],
  "offload-bridge": ["offload-protocol", "lib"],
  controller: ["offload-protocol", "fast-path", "management", "lib"],
  "fast-path": ["offload-protocol", "lib"],
  management: ["lib"],
  telemetry: ["lib"],
  image: ["lib"],
  connect: ["lib"],
  deploy: ["lib"],
  shell: ["lib"],
  // A lab with VMs boots the image and reaches its manage port.
  lab: ["image", "connect", "lib"],
  lib: [],
};

/** The bridge understands nothing about flows: of the protocol it may see only the framing. */
const BRIDGE_MAY_SEE = ["framing.ts", "upstream.ts", "messages.ts", "placements.ts"];

function listFiles(folder: string, suffix: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(suffix))
    .map((name) => join(folder, name))
    .filter((name) => statSync(name).isFile())
    .sort();
}

/** Static, side-effect and dynamic imports alike. */
function listImports(text: string): string[] {
  const pattern = /(?:\bfrom\s*|\bimport\s*\(?\s*)["'](\.[^"']+)["']/g;
  return [...text.matchAll(pattern)].map((match) => match[1] ?? "");
}

interface Violation {
  readonly file: string;
  readonly imports: string;
}

function findViolations(
  sourceFolder: string,
  files: readonly { path: string; text: string }[],
): Violation[] {
  const violations: Violation[] = [];
  for (const { path, text } of files) {
    const room = relative(sourceFolder, path).split("/")[0] ?? "";
    const allowed = IMPORTS[room];
    for (const target of listImports(text)) {
      const reached = relative(sourceFolder, join(dirname(path), target));
      const targetRoom = reached.split("/")[0] ?? "";
      const fine =
        allowed !== undefined &&
        (targetRoom === room || allowed.includes("*") || allowed.includes(targetRoom)) &&
        !(
          room === "offload-bridge" &&
          targetRoom === "offload-protocol" &&
          !BRIDGE_MAY_SEE.includes(reached.split("/").at(-1) ?? "")
        );
      if (!fine) violations.push({ file: relative(sourceFolder, path), imports: reached });
    }
  }
  return violations;
}

const sources = listFiles(join(ROOT, "src"), ".ts").map((path) => ({
  path,
  text: readFileSync(path, "utf8"),
}));

test("the import table catches planted violations of every form", () => {
  const plant = (text: string, path = "/s/nat/config.ts") => findViolations("/s", [{ path, text }]);
  expect(plant('import { x } from "../lb/x.ts";')).toHaveLength(1);
  expect(plant('import "../lb/x.ts";')).toHaveLength(1);
  expect(plant('const x = await import("../lb/x.ts");')).toHaveLength(1);
  expect(plant('export { x } from "../controller/x.ts";')).toHaveLength(1);
  expect(plant('import { x } from "../lib/base/x.ts";')).toHaveLength(0);
  expect(plant('import { x } from "./ruleset.ts";')).toHaveLength(0);
  expect(
    plant('import "../offload-protocol/codec-xml.ts";', "/s/offload-bridge/a.ts"),
  ).toHaveLength(1);
  expect(plant('import "../offload-protocol/framing.ts";', "/s/offload-bridge/a.ts")).toHaveLength(
    0,
  );
  expect(plant('import "../../cli/main.ts";', "/s/lib/base/a.ts")).toHaveLength(1);
  expect(plant("", "/s/unknown-room/a.ts")).toHaveLength(0);
  expect(plant('import "./b.ts";', "/s/unknown-room/a.ts")).toHaveLength(1);
});

test("rooms import only what the table allows", () => {
  expect(sources.length).toBeGreaterThan(20);
  expect(findViolations(join(ROOT, "src"), sources)).toEqual([]);
});

test("source files stay small enough to read in one sitting", () => {
  const long = sources
    .map(({ path, text }) => ({ path: relative(ROOT, path), lines: text.split("\n").length - 1 }))
    .filter(({ path, lines }) => lines > FILE_LINES_MAX && !path.includes("/generated/"));
  expect(long).toEqual([]);
});

test("every source file starts with a sentence about itself", () => {
  const bare = sources
    .filter(({ path, text }) => !path.includes("/generated/") && !/^(#!.*\n)?\/\*\*/.test(text))
    .map(({ path }) => relative(ROOT, path));
  expect(bare).toEqual([]);
});

test("no file carries a note without an issue number", () => {
  const marker = new RegExp(
    `\\b(${["TO", "FIX"].map((word) => `${word}${word === "TO" ? "DO" : "ME"}`).join("|")})\\b(?!\\(#\\d+\\))`,
  );
  const noted = sources
    .filter(({ text }) => marker.test(text))
    .map(({ path }) => relative(ROOT, path));
  expect(noted).toEqual([]);
});

test("tests are not skipped, narrowed or left for later", () => {
  const narrowed = listFiles(join(ROOT, "test"), ".test.ts")
    .filter((path) => !path.endsWith("tidy.test.ts"))
    .filter((path) => /\b(test|it|describe)\.(skip|todo|only)\b/.test(readFileSync(path, "utf8")))
    .map((path) => relative(ROOT, path));
  expect(narrowed).toEqual([]);
});

test("README's error table and the catalogue of codes name the same codes", () => {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const rows = [...readme.matchAll(/^\| `([A-Z][A-Z0-9_]+)` \|/gm)].map((match) => match[1] ?? "");
  expect(rows.toSorted()).toEqual([...ERROR_CODES].toSorted());
});

test("every error code is used by the program", () => {
  const text = sources
    .filter(({ path }) => !path.endsWith("lib/base/errors.ts"))
    .map((source) => source.text)
    .join("\n");
  const unused = ERROR_CODES.filter((code) => !text.includes(`"${code}"`));
  expect(unused).toEqual([]);
});

test("Markdown files have exactly one title", () => {
  const documents = [
    ...readdirSync(ROOT)
      .filter((name) => name.endsWith(".md"))
      .map((name) => join(ROOT, name)),
    ...["docs", "yang", "src", "examples"].flatMap((folder) =>
      listFiles(join(ROOT, folder), ".md"),
    ),
  ];
  expect(documents.length).toBeGreaterThan(2);
  const wrong = documents.filter((path) => {
    const outsideFences = readFileSync(path, "utf8").replaceAll(/^```[\s\S]*?^```/gm, "");
    return (outsideFences.match(/^# /gm) ?? []).length !== 1;
  });
  expect(wrong.map((path) => relative(ROOT, path))).toEqual([]);
});
