/** Folders are made or refused by name, and a socket in a missing folder says which one is missing. */
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { explainSocketPath, FOLDERS_MADE_MAX, makeFolder } from "../../src/lib/base/folders.ts";
import { listenLocalRpc } from "../../src/lib/base/local-rpc.ts";

const folder = mkdtempSync(join(tmpdir(), "flowlift-folders-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("missing folders are made with the mode; one that is there stays as it is", () => {
  const path = join(folder, "a", "b", "c");
  makeFolder(path, 0o700);
  expect(statSync(path).mode & 0o777).toBe(0o700);
  makeFolder(path, 0o755);
  expect(statSync(path).mode & 0o777).toBe(0o700);
});

test("a folder below /proc is refused at once", () => {
  expect(() => makeFolder("/proc/flowlift/state", 0o700)).toThrow(
    'Cannot make the folder "/proc/flowlift/state": "/proc" takes no folders',
  );
});

test("a file in the way is named", () => {
  const file = join(folder, "file");
  writeFileSync(file, "");
  expect(() => makeFolder(join(file, "x"), 0o700)).toThrow(`"${file}" is no folder`);
});

test.each([FOLDERS_MADE_MAX - 1, FOLDERS_MADE_MAX, FOLDERS_MADE_MAX + 1])(
  "%i missing folders are made within the bound",
  (count) => {
    const top = join(folder, `deep-${count}`);
    const path = join(top, ...Array.from({ length: count - 1 }, () => "d"));
    const make = () => makeFolder(path, 0o700);
    if (count > FOLDERS_MADE_MAX) expect(make).toThrow("folders are missing");
    else make();
    expect(existsSync(path)).toBe(count <= FOLDERS_MADE_MAX);
  },
);

test("a socket in a missing folder says what is missing, not that permission is denied", async () => {
  const path = join(folder, "not-there", "x.sock");
  const missing = `the folder "${join(folder, "not-there")}" does not exist`;
  expect(explainSocketPath(path)).toContain(missing);
  await expect(listenLocalRpc(path, {})).rejects.toThrow(missing);
  expect(explainSocketPath(join(folder, "x.sock"))).not.toContain("does not exist");
});
