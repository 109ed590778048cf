import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { createLabYang, parseLabText, readLabFile } from "../../src/lab/lab-file.ts";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";

const yang = createLabYang();
afterAll(() => yang.destroy());

const EXAMPLES = join(findProjectRoot(), "examples");
const ALL = readFileSync(join(EXAMPLES, "lab-all.yaml"), "utf8");

function lineOf(text: string, part: string): number {
  return text.split("\n").findIndex((line) => line.includes(part)) + 1;
}

/** Replaces `before` (which must be there) and returns the refusal. */
function refuse(before: string, after: string) {
  expect(ALL).toContain(before);
  const parsed = parseLabText(ALL.replace(before, after), yang);
  if (parsed.ok) throw new Error("accepted");
  return parsed.error;
}

test("every example is a valid lab", () => {
  const files = readdirSync(EXAMPLES).filter((name) => /^lab-.*\.yaml$/.test(name));
  expect(files).toContain("lab-all.yaml");
  for (const file of files) {
    const lab = readLabFile(join(EXAMPLES, file));
    expect(lab.tenants.length).toBeGreaterThan(0);
  }
});

test("the default lab gives both tenants the same addresses", () => {
  const [red, blue] = readLabFile(join(EXAMPLES, "lab-all.yaml")).tenants;
  expect(red?.hosts).toEqual(blue?.hosts);
  expect(red?.hosts.length).toBe(7);
  expect(red?.segments.find((segment) => segment.name === "outside")?.transit).toBe(true);
});

test.each([
  ["an unknown leaf", "name: client1\n", "name: client1\n          colour: green\n", "colour"],
  ["a leaf of the wrong type", "transit: true", "transit: perhaps", "transit"],
  ["an address that is none", "10.0.0.10/24", "10.0.0.x/24", "address"],
  [
    "a segment that does not exist",
    "segment: outside}\n        - {name: vip",
    "segment: beyond}\n        - {name: vip",
    "beyond",
  ],
  ["a name that is too long", "name: outsider", "name: outsider-of-everything", "name"],
])("parseLabText() refuses %s on its line", (_what, before, after, word) => {
  const error = refuse(before, after);
  expect(error.reason).toContain(word);
  const changed = ALL.replace(before, after);
  const at = changed.indexOf(after.trimStart().split("\n").at(-2) ?? after);
  const expected = changed.slice(0, Math.max(0, at)).split("\n").length;
  expect(Math.abs(error.line - expected)).toBeLessThanOrEqual(1);
});

test("a next hop that nobody has is refused at its host", () => {
  const error = refuse("next-hop: 192.0.2.1}", "next-hop: 192.0.2.9}");
  expect(error.reason).toBe("Nobody on its segments has the next hop's address 192.0.2.9");
  expect(error.line).toBe(lineOf(ALL, "- name: www"));
});

test("an address that two hosts have is refused", () => {
  expect(refuse("10.0.0.11/24", "10.0.0.10/24").reason).toContain("10.0.0.10");
});

test("a MAC address that two interfaces have is refused", () => {
  const error = refuse("name: client1\n", "name: client1\n          mac: 02:f1:01:00:02:01\n");
  expect(error.reason).toContain("02:f1:01:00:02:01");
});

test("a file without a lab is refused", () => {
  const parsed = parseLabText("{}\n", yang);
  expect(parsed).toEqual({
    ok: false,
    error: { kind: "lab-file-invalid", line: 1, reason: 'The file has no "flowlift-lab:lab"' },
  });
});

test("readLabFile() names file, line and reason", () => {
  const file = join(EXAMPLES, "no-such-file.yaml");
  expect(() => readLabFile(file)).toThrow(`Cannot read the lab file "${file}"`);
});
