/** Restart, reboot, and a data process that comes and goes. */
import { spawnSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Driver, ManageFixture, waitFor } from "./netconf-fixture.ts";
import { appliance, described, ethernet } from "./netconf-payloads.ts";

let fixture: ManageFixture;
let driver: Driver;

beforeEach(() => {
  fixture = new ManageFixture();
  driver = fixture.driver();
});
afterEach(() => fixture.dispose());

const NAMED = (name: string): unknown => ({
  "ietf-interfaces:interfaces": { interface: [{ name, type: "iana-if-type:ethernetCsmacd" }] },
});

async function startAll(...args: Parameters<ManageFixture["start"]>): Promise<void> {
  await fixture.start(...args);
  await fixture.applied();
  await fixture.connect(driver, "a");
}

/** auto-save goes off first, so that running and startup can differ. */
async function commitWithoutStartup(): Promise<void> {
  await driver.edit("a", ethernet("saved"));
  await driver.call("a", "commit");
  await driver.edit("a", appliance(false) + ethernet("unsaved"));
  expect((await driver.call("a", "commit")).xml).toContain("<ok/>");
}

test("kill -9 and start: running is restored, and given to the data process again", async () => {
  await fixture.data.start();
  await startAll();
  await commitWithoutStartup();
  const before = fixture.data.lastConfig;
  await fixture.stop("SIGKILL");
  fixture.data.calls.length = 0;
  await startAll();
  expect((await driver.call("a", "get_config", { source: "running" })).xml).toContain("unsaved");
  expect((await driver.call("a", "get_config", { source: "startup" })).xml).not.toContain(
    "unsaved",
  );
  expect(fixture.data.calls.map(({ method }) => method)).toEqual(["prepare", "commit"]);
  expect(fixture.data.lastConfig).toEqual(before);
  expect((await driver.call("a", "lock", { target: "candidate" })).xml).toContain("<ok/>");
});

test("another boot loads startup, as it was saved", async () => {
  await fixture.data.start();
  await startAll();
  await commitWithoutStartup();
  expect(await fixture.stop()).toBe(0);
  await startAll({ bootId: "boot-2" });
  const { xml } = await driver.call("a", "get_config", { source: "running" });
  expect(xml).toContain("<name>saved</name>");
  expect(xml).not.toContain("unsaved");
  expect(fixture.data.lastConfig).toEqual(NAMED("saved"));
  // A restart in this boot is no boot.
  await fixture.stop("SIGKILL");
  await startAll({ bootId: "boot-2" });
  expect(fixture.stderr).toContain("Running is restored");
});

test("the first boot ever loads the day-zero configuration, and later ones startup", async () => {
  await fixture.data.start();
  await startAll({ dayZero: NAMED("zero") });
  expect(fixture.data.lastConfig).toEqual(NAMED("zero"));
  expect((await driver.call("a", "get_config", { source: "startup" })).xml).toContain("zero");
  await driver.edit("a", ethernet("one"));
  await driver.call("a", "commit");
  await fixture.stop();
  await startAll({ bootId: "boot-2", dayZero: NAMED("zero") });
  expect((await driver.call("a", "get_config", { source: "running" })).xml).toContain("<name>one<");
});

test("a kill in the middle of a commit leaves the configuration before", async () => {
  await fixture.data.start();
  await startAll();
  await driver.edit("a", ethernet("before"));
  await driver.call("a", "commit");
  let isCommitting = false;
  fixture.data.answers = {
    commit: () => {
      isCommitting = true;
      return new Promise(() => {});
    },
  };
  await driver.edit("a", ethernet("half"));
  void driver.call("a", "commit");
  await waitFor(() => isCommitting, "the commit is under way");
  await fixture.stop("SIGKILL");
  fixture.data.answers = {};
  driver = fixture.driver();
  await startAll();
  expect(fixture.data.lastConfig).toEqual(NAMED("before"));
  expect((await driver.call("a", "get_config", { source: "running" })).xml).not.toContain("half");
});

test("without data process: reads are served, commits refused, and its return brings running", async () => {
  await fixture.start({ dayZero: NAMED("zero") });
  await fixture.connect(driver, "a");
  expect((await driver.call("a", "get")).xml).toContain("<data-process>away</data-process>");
  await driver.edit("a", ethernet("one"));
  expect((await driver.call("a", "commit")).error).toMatchObject({
    tag: "operation-failed",
    appTag: "data-process-unavailable",
    message: expect.stringContaining("away"),
  });
  await fixture.data.start();
  await fixture.applied();
  expect(fixture.data.lastConfig).toEqual(NAMED("zero"));
  expect((await driver.call("a", "commit")).xml).toContain("<ok/>");
  const countAway = (): number => fixture.stderr.match(/The data process is away /g)?.length ?? 0;
  const before = countAway();
  fixture.data.stop();
  await waitFor(() => countAway() > before, "the loss is noticed");
  fixture.data.calls.length = 0;
  await fixture.data.start();
  await waitFor(() => fixture.data.calls.length === 2, "running is applied again");
  expect(JSON.stringify(fixture.data.lastConfig)).toContain('"one"');
});

test("running that the data process refuses at first is offered again", async () => {
  await fixture.data.start();
  let refusals = 0;
  fixture.data.answers = {
    prepare: () => (refusals++ < 2 ? { ok: false, path: "/x", message: "not yet" } : undefined),
  };
  await fixture.start();
  await fixture.applied();
  expect(fixture.stderr).toMatch(/Running cannot be applied .*not yet/);
});

/** Runs the rest of a command line with a small disk of its own for the state. */
function onSmallDisk(bytes: number): string[] {
  const { stateDirectory } = fixture;
  const mount = `mount -t tmpfs -o size=${bytes},mode=777 none ${stateDirectory} && exec "$@"`;
  return ["unshare", "--mount", "sh", "-c", mount, "sh"];
}

test("a full disk refuses the commit and takes it back; with room again it is made", async () => {
  await fixture.data.start();
  await startAll({ prefix: onSmallDisk(64 * 1024) });
  const inside = `/proc/${fixture.pid}/root${fixture.stateDirectory}`;
  await driver.edit("a", ethernet("one"));
  await driver.call("a", "commit");
  const full = spawnSync("dd", ["if=/dev/zero", `of=${inside}/filler`, "bs=1k"]);
  expect(full.status).not.toBe(0);
  await driver.edit("a", ethernet("two"));
  await driver.edit("a", described("one", "x".repeat(8_000)));
  fixture.data.calls.length = 0;
  const { error } = await driver.call("a", "commit");
  expect(error).toMatchObject({ tag: "operation-failed", appTag: "storage-failed" });
  expect(fixture.data.calls.map(({ method }) => method)).toEqual(["prepare", "commit", "abort"]);
  expect((await driver.call("a", "get_config", { source: "running" })).xml).not.toContain("two");
  rmSync(`${inside}/filler`);
  expect((await driver.call("a", "commit")).xml).toContain("<ok/>");
});

test.each([
  ["torn", '{"format":"flowlift-dat'],
  ["of another format", '{"format":"other/9","config":{}}'],
  [
    "not valid any more",
    '{"format":"flowlift-datastore/1","bootId":"boot-1","config":{"ietf-interfaces:interfaces":{"interface":[{"name":"x"}]}}}',
  ],
])("a running file that is %s is put aside, and startup is loaded", async (_name, text) => {
  await fixture.data.start();
  await startAll();
  await driver.edit("a", ethernet("good"));
  await driver.call("a", "commit");
  await fixture.stop("SIGKILL");
  writeFileSync(fixture.stateFile("running"), text);
  await startAll();
  expect((await driver.call("a", "get_config", { source: "running" })).xml).toContain("good");
  expect(existsSync(`${fixture.stateFile("running")}.unusable`)).toBe(true);
  expect(fixture.stderr).toMatch(/error .*A stored datastore/);
});
