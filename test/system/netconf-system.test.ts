/** What ietf-system offers besides the host's name: contact, location, clock, restart and shutdown. */
import { chownSync, writeFileSync } from "node:fs";
import type { Server } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makePowerOperations } from "../../src/appliance/first-boot/power-operations.ts";
import { listenLocalRpc } from "../../src/lib/base/local-rpc.ts";
import { SILENT_LOG } from "../../src/lib/base/log.ts";
import { type Driver, ManageFixture, UNPRIVILEGED_ID, waitFor } from "./netconf-fixture.ts";

const fixture = new ManageFixture();
const programs: string[] = [];
let driver: Driver;
let helper: Server;
const SYSTEM = "urn:ietf:params:xml:ns:yang:ietf-system";

beforeAll(async () => {
  await fixture.data.start();
  const path = join(fixture.runDirectory, "helper.sock");
  const power = makePowerOperations(SILENT_LOG, (program) => programs.push(program));
  const handlers = {
    ...power,
    "show-banner": () => ({}),
  };
  helper = await listenLocalRpc(path, handlers);
  chownSync(path, UNPRIVILEGED_ID, UNPRIVILEGED_ID);
  await fixture.start();
  await fixture.applied();
  driver = fixture.driver();
  await fixture.connect(driver, "a");
});
afterAll(async () => {
  helper.close();
  await fixture.dispose();
});

const system = (session: string, what: string) =>
  driver.send({ session, rpc: `<${what} xmlns="${SYSTEM}"/>` });

test("contact and location are kept", async () => {
  const config = `<system xmlns="${SYSTEM}"><contact>noc@example.org</contact><location>rack 7</location></system>`;
  expect((await driver.edit("a", config)).error).toBeUndefined();
  expect((await driver.call("a", "commit")).error).toBeUndefined();
  const { xml } = await driver.call("a", "get_config", { source: "running" });
  expect(xml).toContain("<contact>noc@example.org</contact><location>rack 7</location>");
});

test("the clock and the time of boot are told, and the latter stays the same", async () => {
  const read = async (): Promise<{ now: number; boot: number }> => {
    const filter = ["subtree", `<system-state xmlns="${SYSTEM}"><clock/></system-state>`];
    const { xml = "" } = await driver.call("a", "get", { filter });
    const pick = (name: string): number =>
      Date.parse(new RegExp(`<${name}>([^<]*)<`).exec(xml)?.[1] ?? "");
    return { now: pick("current-datetime"), boot: pick("boot-datetime") };
  };
  const first = await read();
  expect(Math.abs(first.now - Date.now())).toBeLessThan(60_000);
  expect(first.boot).toBeLessThan(first.now);
  expect(Math.abs((await read()).boot - first.boot)).toBeLessThanOrEqual(1_000);
});

test("outside of a VM nothing is switched off", async () => {
  for (const what of ["system-restart", "system-shutdown"]) {
    const { error } = await system("a", what);
    expect(error).toMatchObject({ tag: "operation-not-supported" });
    expect(error?.["message"]).toContain("no VM of its own");
  }
  expect(programs).toEqual([]);
});

test("in a VM the client is answered, then the VM's init is asked", async () => {
  await fixture.stop();
  const report = { source: "none", isNewInstance: false, notes: [], problems: [] };
  const firstBootFile = join(fixture.folder, "first-boot.json");
  writeFileSync(firstBootFile, JSON.stringify(report));
  await fixture.start({ settings: { firstBootFile } });
  await fixture.applied();
  await fixture.connect(driver, "b");
  expect((await system("b", "system-restart")).xml).toContain("<ok/>");
  expect(programs).toEqual([]);
  await waitFor(() => programs.length === 1, "init is asked");
  expect((await system("b", "system-shutdown")).xml).toContain("<ok/>");
  await waitFor(() => programs.length === 2, "init is asked");
  expect(programs).toEqual(["/usr/bin/reboot", "/usr/bin/poweroff"]);
});
