import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  CONNTRACK_ENTRIES_WANTED,
  raiseConntrackLimit,
  restoreConntrackLimit,
} from "../../src/lab/conntrack-limit.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "fl-limit-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function makeLimit(value: number) {
  const limit = { runDirectory: join(folder, "run"), limitFile: join(folder, "max") };
  writeFileSync(limit.limitFile, `${value}\n`);
  return limit;
}
const read = (limit: { limitFile: string }) => Number(readFileSync(limit.limitFile, "utf8"));

test.each([
  [CONNTRACK_ENTRIES_WANTED - 1, true],
  [CONNTRACK_ENTRIES_WANTED, false],
  [CONNTRACK_ENTRIES_WANTED + 1, false],
])("a limit of %i is raised and announced: %s", (present, raised) => {
  const limit = makeLimit(present);
  const line = raiseConntrackLimit(limit, "a");
  expect(line !== undefined).toBe(raised);
  expect(read(limit)).toBe(Math.max(present, CONNTRACK_ENTRIES_WANTED));
  restoreConntrackLimit(limit, "a");
  expect(read(limit)).toBe(present);
});

test("the last lab restores the limit, the first does not", () => {
  const limit = makeLimit(1000);
  raiseConntrackLimit(limit, "a");
  expect(raiseConntrackLimit(limit, "b")).toBeUndefined();
  restoreConntrackLimit(limit, "a");
  expect(read(limit)).toBe(CONNTRACK_ENTRIES_WANTED);
  restoreConntrackLimit(limit, "b");
  expect(read(limit)).toBe(1000);
});

test("a limit that somebody else changed meanwhile stays", () => {
  const limit = makeLimit(1000);
  raiseConntrackLimit(limit, "a");
  writeFileSync(limit.limitFile, "5000\n");
  restoreConntrackLimit(limit, "a");
  expect(read(limit)).toBe(5000);
});

test("a kernel without conntrack is left alone", () => {
  const limit = { runDirectory: folder, limitFile: join(folder, "missing") };
  expect(raiseConntrackLimit(limit, "a")).toBeUndefined();
  restoreConntrackLimit(limit, "a");
});
