/** The host's name, from <commit> through the root helper, in a UTS namespace of its own. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { statSync } from "node:fs";
import { hostname as ownHostname } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectLocalRpc } from "../../src/lib/base/local-rpc.ts";
import { type Driver, MAIN, ManageFixture, UNPRIVILEGED_ID } from "./netconf-fixture.ts";
import { hostname } from "./netconf-payloads.ts";

const fixture = new ManageFixture();
let driver: Driver;
let helper: ChildProcess;

beforeAll(async () => {
  await fixture.data.start();
  const settings = fixture.writeSettings();
  const program = [process.execPath, MAIN, "appliance-helper", "--settings", settings];
  helper = spawn("unshare", ["--uts", ...program], { stdio: ["ignore", "pipe", "pipe"] });
  await new Promise((resolve) => helper.stdout?.once("data", resolve));
  await fixture.start();
  await fixture.applied();
  driver = fixture.driver();
  await fixture.connect(driver, "a");
});
afterAll(async () => {
  helper.kill("SIGTERM");
  await fixture.dispose();
});

const helperHostname = (): string =>
  execFileSync("nsenter", ["-t", String(helper.pid), "--uts", "hostname"], {
    encoding: "utf8",
  }).trim();
const socket = join(fixture.runDirectory, "helper.sock");

test("a commit sets it, and only in the helper's namespace", async () => {
  const before = ownHostname();
  await driver.edit("a", hostname("red-gateway.example"));
  expect((await driver.call("a", "commit")).xml).toContain("<ok/>");
  expect(helperHostname()).toBe("red-gateway.example");
  expect(ownHostname()).toBe(before);
});

test("a commit that fails later gives the name back", async () => {
  const name = helperHostname();
  await driver.edit("a", hostname("other"));
  fixture.data.answers = {
    commit: () => {
      throw new Error("no");
    },
  };
  expect((await driver.call("a", "commit")).error).toMatchObject({ tag: "operation-failed" });
  expect(helperHostname()).toBe(name);
});

test("the socket is for its group only", () => {
  const { mode, uid, gid } = statSync(socket);
  expect([mode & 0o777, uid, gid]).toEqual([0o660, 0, UNPRIVILEGED_ID]);
});

test.each([
  ["set-hostname", { hostname: "-x" }],
  ["set-hostname", { hostname: "a b; reboot" }],
  ["set-hostname", { hostname: "x".repeat(65) }],
  ["set-hostname", {}],
  ["set-hostname", null],
  ["reboot", {}],
  ["constructor", {}],
  ["toString", {}],
])("the helper refuses %s with %j", async (method, params) => {
  const name = helperHostname();
  const peer = await connectLocalRpc(socket, {});
  await expect(peer.call(method, params, 2000)).rejects.toThrow();
  peer.close();
  expect(helperHostname()).toBe(name);
});
