/** The VM's own scripts, run here by the shell that the VM has: supervision, and the layout of the data partition. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { formatSetpriv, PRIVILEGES, type ProcessKind } from "../../src/lab/privileges.ts";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { waitFor } from "./netconf-fixture.ts";

const SCRIPTS = join(findProjectRoot(), "src/image/rootfs/usr/lib/flowlift-guest");

let folder = "";
let environment: Record<string, string> = {};
const children: ChildProcess[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "flowlift-guest-"));
  for (const name of ["run", "run/health", "data"]) mkdirSync(join(folder, name));
  for (const name of ["run/log", "run/notes"]) writeFileSync(join(folder, name), "");
  environment = {
    PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
    FLOWLIFT_RUN: join(folder, "run"),
    FLOWLIFT_DATA: join(folder, "data"),
  };
});

afterEach(() => {
  for (const child of children.splice(0)) {
    // The group: a supervisor and what it runs.
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGKILL");
  }
  rmSync(folder, { recursive: true });
});

test("every script is one that the VM's shell can read", () => {
  const scripts = readdirSync(SCRIPTS).filter((name) =>
    readFileSync(join(SCRIPTS, name), "utf8").startsWith("#!/bin/sh"),
  );
  expect(scripts.length).toBeGreaterThan(8);
  for (const name of scripts) {
    expect(spawnSync("busybox", ["sh", "-n", join(SCRIPTS, name)]).status).toBe(0);
    expect(statSync(join(SCRIPTS, name)).mode & 0o777).toBe(0o755);
  }
});

test("every applet that the scripts' list names is in Debian's static busybox", () => {
  const has = spawnSync("busybox", ["--list"], { encoding: "utf8" }).stdout.split("\n");
  const wanted = readFileSync(join(SCRIPTS, "applets"), "utf8").trim().split("\n");
  expect(wanted.filter((name) => !has.includes(name))).toEqual([]);
});

test("the VM's processes have exactly the privileges of the lab's", () => {
  const services = readFileSync(join(SCRIPTS, "services"), "utf8").replaceAll(/\s*\\\n\s*/g, " ");
  const kinds: readonly ProcessKind[] = ["appliance-manage", "appliance-data"];
  for (const kind of kinds) {
    const words = formatSetpriv(PRIVILEGES[kind]).filter((word) => !/pdeathsig|KILL/.test(word));
    expect(services).toContain(`/usr/bin/${words.join(" ")}`);
  }
});

describe("the data partition's layout", () => {
  const data = (name: string): string => join(folder, "data", name);
  const runLayout = () =>
    spawnSync("busybox", ["sh", join(SCRIPTS, "data-layout")], {
      env: environment,
      encoding: "utf8",
    });

  test("an empty one gets folders and a version", () => {
    expect(runLayout().status).toBe(0);
    expect(readFileSync(data("version"), "utf8")).toBe("1\n");
    expect(statSync(data("state"))).toMatchObject({ uid: 64_001, gid: 64_000 });
    expect(statSync(data("state")).mode & 0o777).toBe(0o700);
  });

  test("one of the present layout stays as it is", () => {
    runLayout();
    writeFileSync(data("state/startup.json"), "mine");
    expect(runLayout().status).toBe(0);
    expect(readFileSync(data("state/startup.json"), "utf8")).toBe("mine");
    expect(readFileSync(join(folder, "run/notes"), "utf8")).toBe("");
  });

  test("an older one is migrated, and that is told", () => {
    writeFileSync(data("startup.json"), "mine");
    writeFileSync(data("authorized_keys"), "key\n");
    expect(runLayout().status).toBe(0);
    expect(readFileSync(data("state/startup.json"), "utf8")).toBe("mine");
    expect(readFileSync(data("boot/installed-keys"), "utf8")).toBe("key\n");
    expect(statSync(data("state/startup.json")).uid).toBe(64_001);
    expect(readFileSync(join(folder, "run/notes"), "utf8")).toContain("migrated to layout 1");
  });

  test("a migration that was cut off goes on at the next boot", () => {
    mkdirSync(data("state"));
    writeFileSync(data("state/running.json"), "moved");
    writeFileSync(data("ssh_host_ed25519_key"), "left");
    expect(runLayout().status).toBe(0);
    expect(readFileSync(data("state/ssh_host_ed25519_key"), "utf8")).toBe("left");
    expect(readFileSync(data("state/running.json"), "utf8")).toBe("moved");
  });

  test("a newer one is refused with a reason, and nothing of it changes", () => {
    writeFileSync(data("version"), "2\n");
    const { status, stdout } = runLayout();
    expect(status).toBe(1);
    expect(stdout).toContain('has layout "2", and this image knows layout 1');
    expect(readdirSync(join(folder, "data"))).toEqual(["version"]);
  });
});

describe("supervision", () => {
  /** The script with seconds for minutes, and services of the test. */
  function supervise(service: string): void {
    const scripts = join(folder, "scripts");
    cpSync(SCRIPTS, scripts, { recursive: true });
    const path = join(scripts, "supervise");
    const text = readFileSync(path, "utf8");
    const quick = text
      .replace("BEAT_S=10", "BEAT_S=0.2")
      .replace("STILL_FIRST=30", "STILL_FIRST=3")
      .replace("STILL_MAX=6", "STILL_MAX=2");
    expect(quick).not.toBe(text);
    writeFileSync(path, quick);
    writeFileSync(
      join(scripts, "services"),
      `has_heartbeat() { true; }\nservice_x() {\n${service}\n}\n`,
    );
    const child = spawn("busybox", ["sh", path, "x"], {
      env: environment,
      detached: true,
      stdio: "ignore",
    });
    children.push(child);
  }

  const count = (): number => {
    const path = join(folder, "run/starts");
    return existsSync(path) ? readFileSync(path, "utf8").length : 0;
  };
  const START = 'printf x >>"$RUN/starts"';

  test("a process that ends is started again, each time later", async () => {
    supervise(`${START}; exit 3`);
    await waitFor(() => count() === 2, "the second start");
    const second = Date.now();
    await waitFor(() => count() === 3, "the third start");
    expect(Date.now() - second).toBeGreaterThan(1_500);
  });

  test("a process whose heartbeat stands still is killed and started again", async () => {
    supervise(`${START}; echo 1 >"$RUN/health/x"; exec sleep 600`);
    await waitFor(() => count() === 2, "the start after the kill");
  });

  test("a process whose heartbeat goes on is left alone", async () => {
    supervise(`${START}; n=0; while :; do n=$((n + 1)); echo $n >"$RUN/health/x"; sleep 0.1; done`);
    await waitFor(() => count() === 1, "the start");
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect(count()).toBe(1);
  });

  test("after the word to stop nothing is started again", async () => {
    supervise(`${START}; while [ ! -e "$RUN/stopping" ]; do sleep 0.1; done`);
    await waitFor(() => count() === 1, "the start");
    writeFileSync(join(folder, "run/stopping"), "");
    const [child] = children;
    await waitFor(() => child?.exitCode === 0, "the supervisor's end");
    expect(count()).toBe(1);
  });
});
