/** The user's machine is safe: whatever happens to a lab, the root namespace is as before. */
import { once } from "node:events";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LabCli } from "../support/lab-cli.ts";
import {
  type RootSnapshot,
  takeRootSnapshot,
  takeSettledSnapshot,
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
  expect(await takeSettledSnapshot(`fl-${cli.name}-`, before)).toEqual(before);
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

test("while a lab is up, the root namespace differs by names of namespaces and one limit only", async () => {
  expect(cli.run("up", "--name", cli.name)).toMatchObject({ code: 0 });
  const during = takeRootSnapshot(`fl-${cli.name}-`);
  expect(during.links).toEqual(before.links);
  expect(during.routes).toEqual(before.routes);
  expect(during.ruleset).toEqual(before.ruleset);
  expect(during.bpfPins).toEqual(before.bpfPins);
  const changed = Object.keys(during.sysctls).filter(
    (name) => during.sysctls[name] !== before.sysctls[name],
  );
  expect(changed.filter((name) => !name.endsWith("/nf_conntrack_max"))).toEqual([]);
  const added = during.mounts.filter((mount) => !before.mounts.includes(mount));
  expect(added.filter((mount) => !mount.startsWith("/run/netns"))).toEqual([]);
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
