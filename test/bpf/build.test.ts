/** What build.sh says when the machine lacks something. */
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";

const SCRIPT = join(findProjectRoot(), "src/fast-path/bpf/build.sh");
let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "flowlift-build-"));
  for (const tool of ["dirname", "uname", "mkdir", "rm", "mv", "find"]) {
    const path = [`/usr/bin/${tool}`, `/bin/${tool}`].find((candidate) => existsSync(candidate));
    symlinkSync(path ?? "", join(folder, tool));
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

function build(path: string, ...args: string[]): { status: number | null; stderr: string } {
  const env = { PATH: path };
  return spawnSync("/bin/sh", [SCRIPT, ...args], { env, encoding: "utf8" });
}

test("build.sh without an output directory is a usage error", () => {
  expect(build(folder)).toMatchObject({ status: 2, stderr: "usage: build.sh OUTPUT_DIRECTORY\n" });
});

test("build.sh without clang names the package and makes nothing", () => {
  const output = join(folder, "out");
  const { status, stderr } = build(folder, output);
  expect(status).toBe(3);
  expect(stderr).toBe(
    "build.sh: clang is missing; apt-get install --no-install-recommends clang-14\n",
  );
  expect(existsSync(output)).toBe(false);
});

test("build.sh whose compiler fails leaves no object behind", () => {
  const broken = join(folder, "clang-14");
  writeFileSync(broken, "#!/bin/sh\necho broken >&2\nexit 1\n");
  chmodSync(broken, 0o755);
  const output = join(folder, "failed");
  const { status, stderr } = build(folder, output);
  rmSync(broken);
  // Without kernel headers the script stops before it compiles; either way nothing is half made.
  expect(stderr).toMatch(/broken|missing/);
  expect(status).not.toBe(0);
  expect(existsSync(join(output, "flow.bpf.o"))).toBe(false);
});
