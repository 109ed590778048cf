/** commit, copy-config and delete-config: what is applied, stored and told. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Driver, ManageFixture, waitFor } from "./netconf-fixture.ts";
import { appliance, ethernet, SYSTEM } from "./netconf-payloads.ts";

const fixture = new ManageFixture();
let driver: Driver;

beforeAll(async () => {
  await fixture.data.start();
  await fixture.start();
  await fixture.applied();
  driver = fixture.driver();
  await fixture.connect(driver, "a");
  await fixture.connect(driver, "b", { base: "1.0" });
});
afterAll(() => fixture.dispose());
beforeEach(async () => {
  fixture.data.answers = {};
  await driver.call("a", "discard_changes");
});

/** The journal's last record. */
function lastRecord(): Record<string, unknown> {
  const lines = readFileSync(join(fixture.stateDirectory, "journal"), "utf8").trimEnd().split("\n");
  return JSON.parse(lines.at(-1)?.slice(9) ?? "") as Record<string, unknown>;
}

describe("commit", () => {
  test("is refused with the data process's own words and path, and changes nothing", async () => {
    fixture.data.answers = {
      prepare: () => ({
        ok: false,
        path: "/ietf-interfaces:interfaces/interface[name='eth4']",
        message: "there is no eth4",
      }),
    };
    const before = readFileSync(fixture.stateFile("running"), "utf8");
    await driver.edit("a", ethernet("eth4"));
    const { error } = await driver.call("a", "commit");
    expect(error).toMatchObject({ tag: "operation-failed", message: "there is no eth4" });
    expect(error?.["path"]).toContain("ietf-interfaces:interface[ietf-interfaces:name='eth4']");
    expect(readFileSync(fixture.stateFile("running"), "utf8")).toBe(before);
    expect((await driver.call("a", "get_config", { source: "running" })).xml).not.toContain("eth4");
  });

  test("that fails in the data process is aborted there", async () => {
    fixture.data.answers = {
      commit: () => {
        throw new Error("the kernel says no");
      },
    };
    fixture.data.calls.length = 0;
    await driver.edit("a", ethernet("eth4"));
    const { error } = await driver.call("a", "commit");
    expect(error).toMatchObject({
      tag: "operation-failed",
      message: expect.stringContaining("the kernel says no"),
    });
    expect(fixture.data.calls.map(({ method }) => method)).toEqual(["prepare", "commit", "abort"]);
    expect((await driver.call("a", "get_config", { source: "running" })).xml).not.toContain("eth4");
  });

  test("tells what is late, and no client takes it for an error", async () => {
    fixture.data.answers = {
      commit: () => ({ cutFlows: 2, cutOffloadedFlows: 1, late: ["tcp 10.0.0.1:1 > 10.0.0.2:2"] }),
    };
    await driver.edit("a", ethernet("eth0", "<description>late</description>"));
    const { xml, error } = await driver.call("a", "commit");
    expect(error).toBeUndefined();
    expect(xml).toMatch(/<ok\/>.*<flow>tcp 10\.0\.0\.1:1 &gt; 10\.0\.0\.2:2<\/flow>/);
  });

  test("without changes asks nothing of the data process", async () => {
    fixture.data.calls.length = 0;
    expect((await driver.call("a", "commit")).xml).toContain("<ok/>");
    expect(fixture.data.calls).toHaveLength(0);
  });

  test("is not stored as startup when auto-save is off; copy-config does that", async () => {
    await driver.edit("a", appliance(false));
    expect((await driver.call("a", "commit")).xml).toContain("<ok/>");
    expect(lastRecord()).toMatchObject({ kind: "commit", startup: false });
    expect((await driver.call("a", "get_config", { source: "startup" })).xml).not.toContain(
      "auto-save",
    );
    const copied = await driver.call("a", "copy_config", { source: "running", target: "startup" });
    expect(copied.xml).toContain("<ok/>");
    expect(lastRecord()).toMatchObject({ kind: "startup", content: "running" });
    await driver.edit("a", appliance(true));
    expect((await driver.call("a", "commit")).xml).toContain("<ok/>");
    expect(lastRecord()).toMatchObject({ kind: "commit", startup: true });
    expect((await driver.call("a", "get_config", { source: "startup" })).xml).toContain(
      "<auto-save>true",
    );
  });
});

describe("copy-config and delete-config", () => {
  test("copy startup to candidate, and inline data to candidate", async () => {
    const copied = await driver.call("a", "copy_config", {
      source: "startup",
      target: "candidate",
    });
    expect(copied.xml).toContain("<ok/>");
    const rpc =
      '<copy-config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><target><candidate/></target><source>' +
      `<config>${ethernet("eth3")}</config></source></copy-config>`;
    expect((await driver.send({ session: "a", rpc })).xml).toContain("<ok/>");
    const { xml } = await driver.call("a", "get_config", { source: "candidate" });
    expect(xml).toContain("eth3");
    expect(xml).not.toContain("eth0");
  });

  test.each([
    ["copies to itself", "copy_config", { source: "startup", target: "startup" }, "invalid-value"],
    ["deletes running", "delete_config", { target: "running" }, "operation-not-supported"],
    ["deletes candidate", "delete_config", { target: "candidate" }, "operation-not-supported"],
  ])("refuses what %s", async (_name, call, args, tag) => {
    expect((await driver.call("a", call, args)).error).toMatchObject({ tag });
  });

  test("delete startup, once", async () => {
    expect((await driver.call("a", "delete_config", { target: "startup" })).xml).toContain("<ok/>");
    expect((await driver.call("a", "get_config", { source: "startup" })).xml).not.toContain(
      "interfaces",
    );
    expect((await driver.call("a", "delete_config", { target: "startup" })).error).toMatchObject({
      tag: "data-missing",
    });
    await driver.call("a", "copy_config", { source: "running", target: "startup" });
    expect(lastRecord()).toMatchObject({ kind: "startup", content: "running" });
  });
});

test("a new host name fails the commit without the helper, and leaves the data process alone", async () => {
  fixture.data.calls.length = 0;
  await driver.edit("a", `<system xmlns="${SYSTEM}"><hostname>red-1</hostname></system>`);
  const { error } = await driver.call("a", "commit");
  expect(error).toMatchObject({ tag: "operation-failed" });
  expect(fixture.data.calls.map(({ method }) => method)).toEqual(["prepare", "abort"]);
  await waitFor(() => fixture.stderr.includes("A transaction failed"), "the failure is logged");
  expect(fixture.stderr).not.toMatch(/^\s+at /m);
});
