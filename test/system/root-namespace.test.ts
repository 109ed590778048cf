/** The user's machine is safe: whatever happens to a lab, the root namespace is as before. */
import { once } from "node:events";
import { afterEach, beforeEach, expect, test } from "vitest";
import { waitForEnd } from "../../src/lab/process-record.ts";
import { LabCli } from "../support/lab-cli.ts";
import {
  listChanges,
  listLastingChanges,
  type RootSnapshot,
  takeRootSnapshot,
} from "../support/root-namespace.ts";

let cli: LabCli;
let before: RootSnapshot;
beforeEach(() => {
  cli = new LabCli();
  before = takeRootSnapshot(`fl-${cli.name}-`);
});
afterEach(() => cli.dispose());

async function expectAsBefore(): Promise<void> {
  expect(cli.listLeftovers()).toEqual([]);
  expect(await listLastingChanges(`fl-${cli.name}-`, before)).toEqual([]);
}

async function waitForState(status: string): Promise<number> {
  for (let attempt = 0; attempt < 600; attempt++) {
    try {
      const state = cli.readState();
      if (state.status === status) return state.supervisor.pid;
    } catch {
      // Not there yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`the lab is not ${status}`);
}

test("while a lab is up, the root namespace differs by namespaces, their programs and one limit only", async () => {
  expect(cli.run("up", "--name", cli.name)).toMatchObject({ code: 0 });
  const changes = listChanges(before, takeRootSnapshot(`fl-${cli.name}-`));
  const allowed = /nf_conntrack_max: \d+|^new: \/run\/netns|^new: \d+ flowlift_/;
  expect(changes.filter((change) => !allowed.test(change))).toEqual([]);
  expect(cli.run("down", "--name", cli.name)).toMatchObject({ code: 0 });
  await expectAsBefore();
});

test("Ctrl-C while a lab starts, and a terminated supervisor, leave nothing", async () => {
  const up = cli.start("up", "--name", cli.name, "--processes", "agent,controller");
  await waitForState("starting");
  up.kill("SIGINT");
  await once(up, "close");
  await expectAsBefore();

  expect(cli.run("up", "--name", cli.name)).toMatchObject({ code: 0 });
  process.kill(await waitForState("running"), "SIGINT");
  for (let attempt = 0; attempt < 200 && cli.listLeftovers().length > 0; attempt++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await expectAsBefore();
});

test("what kill -9 leaves is removed by the next start, and by `lab down --all`", async () => {
  expect(cli.run("up", "--name", cli.name)).toMatchObject({ code: 0 });
  const first = cli.readState();
  process.kill(first.supervisor.pid, "SIGKILL");
  const children = first.processes.flatMap(({ record }) => (record === undefined ? [] : [record]));
  expect(children.length).toBe(9);
  expect(await waitForEnd([...children, ...first.holders], 2_000)).toEqual([]);
  expect(cli.run("status")).toMatchObject({ code: 1, stdout: expect.stringContaining("dead") });

  expect(cli.run("up", "--name", cli.name)).toMatchObject({ code: 0 });
  const second = cli.readState();
  expect(second.supervisor.pid).not.toBe(first.supervisor.pid);
  for (const { record } of first.processes) {
    expect(second.processes.map((entry) => entry.record)).not.toContainEqual(record);
  }

  process.kill(second.supervisor.pid, "SIGKILL");
  expect(cli.run("down", "--all")).toMatchObject({ code: 0 });
  await expectAsBefore();
});
