import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  CONNTRACK_ENTRIES_WANTED,
  raiseConntrackLimit,
  restoreConntrackLimit,
} from "../../src/lab/conntrack-limit.ts";
import { withDirectoryLock } from "../../src/lab/directory-lock.ts";

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

/** Another lab that is in the middle of its own change; it ends with a mark. */
async function startOther(seconds: number): Promise<{ mark: string; ended: Promise<unknown> }> {
  const mark = join(folder, "mark");
  const script = 'echo held; sleep "$1"; : > "$2"';
  const words = ["--exclusive", folder, "sh", "-c", script, "sh", String(seconds), mark];
  const child = spawn("flock", words, { stdio: ["ignore", "pipe", "ignore"] });
  const ended = once(child, "close");
  await once(child.stdout, "data");
  return { mark, ended };
}

test.each(["raise", "restore"] as const)(
  "%s waits for a lab that changes the limit now",
  async (step) => {
    const limit = makeLimit(1000);
    if (step === "restore") raiseConntrackLimit(limit, "a");
    const { mark, ended } = await startOther(0.2);
    if (step === "raise") raiseConntrackLimit(limit, "a");
    else restoreConntrackLimit(limit, "a");
    expect(existsSync(mark)).toBe(true);
    expect(read(limit)).toBe(step === "raise" ? CONNTRACK_ENTRIES_WANTED : 1000);
    await ended;
  },
);

test("withDirectoryLock() gives up after its time, and leaves the lock free when work throws", async () => {
  const { ended } = await startOther(0.5);
  expect(() => withDirectoryLock(folder, () => "mine", 0.05)).toThrow("another program holds it");
  await ended;
  const fail = () => {
    throw new Error("broken");
  };
  expect(() => withDirectoryLock(folder, fail)).toThrow("broken");
  expect(withDirectoryLock(folder, () => "mine", 0.05)).toBe("mine");
});
