/** The launcher as a user meets it: without root, on another system, with wrong words. */
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";

const ROOT = findProjectRoot();
let folder = "";

/** A copy of the launcher alone, readable by everybody, wherever the project itself lies. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "flowlift-launcher-"));
  chmodSync(folder, 0o755);
  for (const name of ["flowlift", "setup", "package.json", "package-lock.json"]) {
    cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  }
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function runCommand(command: string, args: readonly string[]) {
  const done = spawnSync(command, args, { encoding: "utf8", cwd: "/" });
  return { status: done.status, out: done.stdout, err: done.stderr };
}

const runLauncher = (...args: string[]) => runCommand(join(ROOT, "flowlift"), args);

test("an unknown command is a usage error that names it", () => {
  const { status, err } = runLauncher("nonsense");
  expect(status).toBe(2);
  expect(err).toContain('"nonsense"');
  expect(err).not.toMatch(/^\s+at /m);
});

test("help lists every command and holds", () => {
  const { status, out } = runLauncher("help");
  expect(status).toBe(0);
  for (const name of ["demo", "test", "doctor", "lab", "bench", "controller"]) {
    expect(out).toMatch(new RegExp(`^ {2}${name} `, "m"));
  }
});

test.each([["demo"], ["test"], ["lab", "up"], ["bench", "path"]])(
  "`%s %s` refuses an unknown flag with a usage line and no stack trace",
  (...words) => {
    const args = words.filter((word): word is string => word !== undefined);
    const { status, err } = runLauncher(...args, "--no-such-flag");
    expect(status).toBe(2);
    expect(err).toContain("--no-such-flag");
    expect(err).toContain("usage:");
    expect(err).not.toMatch(/^\s+at /m);
  },
);

test("doctor lists each requirement with what was found and which command needs it", () => {
  const { status, out } = runLauncher("doctor", "--json");
  const report = JSON.parse(out) as {
    ok: boolean;
    missing: number;
    requirements: { name: string; ok: boolean; found: string; commands: string; fix: string }[];
  };
  expect(status).toBe(report.ok ? 0 : 3);
  expect(report.requirements.length).toBeGreaterThan(20);
  expect(report.missing).toBe(report.requirements.filter(({ ok }) => !ok).length);
  for (const row of report.requirements) {
    expect(row.commands, row.name).not.toBe("");
    if (!row.ok) expect(row.fix, row.name).not.toBe("");
  }
  // Everything that the gate itself needs is here, or this test would not run.
  const lacking = report.requirements.filter(
    ({ ok, commands }) => !ok && !commands.includes("--full"),
  );
  expect(lacking).toEqual([]);
});

test("doctor refuses an unknown flag", () => {
  expect(runLauncher("doctor", "--nope").status).toBe(2);
});

test.each(["demo", "lab", "bench", "test"])(
  "`%s` without root says so and what would still work",
  (command) => {
    const { status, err } = runCommand("setpriv", [
      ...["--reuid", "65534", "--regid", "65534", "--clear-groups"],
      ...[join(folder, "flowlift"), command],
    ]);
    expect(status).toBe(3);
    expect(err).toContain("needs root");
    expect(err).toContain("controller --mock");
  },
);

test("on another system it names what is missing and installs nothing", () => {
  const release = join(folder, "os-release");
  writeFileSync(release, 'ID=other\nVERSION_ID="1"\nPRETTY_NAME="Other 1"\n');
  const before = runCommand("dpkg-query", ["-W"]).out;
  const inOtherSystem = (...args: string[]) =>
    runCommand("unshare", [
      "--mount",
      "sh",
      "-c",
      'mount --bind "$1" /etc/os-release && shift && exec "$@"',
      "sh",
      release,
      join(folder, "flowlift"),
      ...args,
    ]);
  const demo = inOtherSystem("demo");
  expect(demo.status).toBe(3);
  expect(demo.err).toContain("not Debian 12");
  expect(demo.err).toContain("still work");
  const doctor = inOtherSystem("doctor");
  expect(doctor.status).toBe(3);
  expect(doctor.out).toMatch(/MISSING {2}Debian 12 +Other 1/);
  expect(runCommand("dpkg-query", ["-W"]).out).toBe(before);
});

test("the launcher finds itself through a symbolic link", () => {
  const link = join(folder, "link");
  expect(runCommand("ln", ["-s", join(ROOT, "flowlift"), link]).status).toBe(0);
  expect(runCommand(link, ["help"]).status).toBe(0);
});

test("each package is listed once, with a stage that exists", () => {
  const rows = readFileSync(join(ROOT, "setup", "packages.tsv"), "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split("\t"));
  expect(new Set(rows.map(([name]) => name)).size).toBe(rows.length);
  for (const [name, stage, purpose] of rows) {
    expect(["demo", "vm", "test", "full"], name).toContain(stage);
    expect(purpose, name).toBeTruthy();
  }
});
