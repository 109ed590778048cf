/** The demo as a user runs it: every claim holds, and the machine is as before, however it ends. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { DemoReport } from "../../src/cli/demo/report.ts";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { LabCli } from "../support/lab-cli.ts";
import { LAB_DIST_DIRECTORY } from "../support/lab-dist.ts";
import {
  listLastingChanges,
  type RootSnapshot,
  takeRootSnapshot,
} from "../support/root-namespace.ts";

/** In the middle of the first traffic. */
const TRAFFIC_TEXT = "everyday traffic";
let cli: LabCli;
let before: RootSnapshot;
beforeEach(() => {
  cli = new LabCli();
  before = takeRootSnapshot(`fl-${cli.name}-`);
});
afterEach(() => cli.dispose());

interface RunningDemo {
  readonly child: ChildProcess;
  output(): string;
  errors(): string;
  /** Resolves when the demo has said `text`. */
  said(text: string): Promise<void>;
}

function startDemo(): RunningDemo {
  const main = join(findProjectRoot(), LAB_DIST_DIRECTORY, "cli", "main.js");
  const own = ["--run-directory", cli.runDirectory, "--dist-directory", LAB_DIST_DIRECTORY];
  const slowness = ["--slowness", process.env["FLOWLIFT_TEST_SLOWNESS"] ?? "1"];
  const args = [main, "demo", "--json", "--name", cli.name, ...slowness, ...own];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  let errors = "";
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const said = async (text: string): Promise<void> => {
    while (!errors.includes(text)) {
      if (child.exitCode !== null) throw new Error(`the demo ended before "${text}": ${errors}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  return { child, output: () => output, errors: () => errors, said };
}

async function expectAsBefore(): Promise<void> {
  expect(cli.listLeftovers()).toEqual([]);
  expect(await listLastingChanges(`fl-${cli.name}-`, before)).toEqual([]);
}

test("every claim of the demo holds, and it leaves the machine as it was", async () => {
  const demo = startDemo();
  const [code] = (await once(demo.child, "close")) as [number];
  const last = demo.output().trim().split("\n").at(-1) ?? "";
  expect(last, demo.errors()).toMatch(/^\{/);
  const report = JSON.parse(last) as DemoReport;
  expect(report.failedClaims).toEqual([]);
  expect(report.ok).toBe(true);
  expect(code).toBe(0);
  await expectAsBefore();
});

test("Ctrl-C in the middle of the demo's traffic leaves the machine as it was", async () => {
  const demo = startDemo();
  await demo.said(TRAFFIC_TEXT);
  demo.child.kill("SIGINT");
  const [code] = (await once(demo.child, "close")) as [number];
  expect(code).toBe(1);
  expect(demo.errors()).toContain("ended early");
  expect(demo.errors()).not.toMatch(/^\s+at /m);
  await expectAsBefore();
});

test("what kill -9 of the demo leaves is gone after `lab down --all`", async () => {
  const demo = startDemo();
  await demo.said(TRAFFIC_TEXT);
  demo.child.kill("SIGKILL");
  await once(demo.child, "close");
  expect(cli.run("down", "--all")).toMatchObject({ code: 0 });
  await expectAsBefore();
});
