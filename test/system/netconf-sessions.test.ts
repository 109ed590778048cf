import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Driver, ManageFixture, type Reply } from "./netconf-fixture.ts";
import { ethernet, INTERFACES } from "./netconf-payloads.ts";

const fixture = new ManageFixture();
let driver: Driver;
let sessionA: Reply;
let sessionB: Reply;

beforeAll(async () => {
  await fixture.data.start();
  await fixture.start();
  await fixture.applied();
  driver = fixture.driver();
  sessionA = await fixture.connect(driver, "a");
  sessionB = await fixture.connect(driver, "b", { base: "1.0" });
  await driver.edit("a", ethernet("eth0", "<description>x</description>"));
  await driver.call("a", "commit");
});
afterAll(() => fixture.dispose());
beforeEach(async () => {
  fixture.data.answers = {};
  await driver.call("a", "discard_changes");
});

describe("locks", () => {
  test("keep another session out, and say who holds them", async () => {
    expect((await driver.call("a", "lock", { target: "candidate" })).xml).toContain("<ok/>");
    expect((await driver.call("a", "lock", { target: "running" })).xml).toContain("<ok/>");
    const { error } = await driver.call("b", "lock", { target: "running" });
    expect(error).toMatchObject({
      tag: "lock-denied",
      info: expect.stringContaining(`<session-id>${sessionA.sessionId}<`),
    });
    expect((await driver.edit("b", ethernet("eth2"))).error).toMatchObject({ tag: "in-use" });
    expect((await driver.call("b", "commit")).error).toMatchObject({ tag: "in-use" });
    expect((await driver.call("b", "discard_changes")).error).toMatchObject({ tag: "in-use" });
    expect((await driver.call("b", "unlock", { target: "running" })).error).toMatchObject({
      tag: "operation-failed",
    });
    expect((await driver.edit("a", ethernet("eth2"))).xml).toContain("<ok/>");
    expect((await driver.call("a", "unlock", { target: "candidate" })).xml).toContain("<ok/>");
    // What was not committed ends with the lock.
    expect((await driver.call("b", "get_config", { source: "candidate" })).xml).not.toContain(
      "eth2",
    );
    expect((await driver.call("a", "unlock", { target: "running" })).xml).toContain("<ok/>");
  });

  test("are not given for a candidate with changes", async () => {
    await driver.edit("b", ethernet("eth2"));
    expect((await driver.call("a", "lock", { target: "candidate" })).error).toMatchObject({
      tag: "lock-denied",
      info: expect.stringContaining("<session-id>0<"),
    });
  });

  test("end with their session, closed or killed, and its changes with them", async () => {
    for (const ending of ["close", "kill"] as const) {
      const other = await fixture.connect(driver, "c");
      await driver.call("c", "lock", { target: "candidate" });
      await driver.edit("c", ethernet("eth2"));
      if (ending === "close") await driver.call("c", "close_session");
      else {
        const killed = await driver.call("a", "kill_session", {
          session_id: String(other.sessionId),
        });
        expect(killed.xml).toContain("<ok/>");
      }
      expect((await driver.call("a", "lock", { target: "candidate" })).xml).toContain("<ok/>");
      expect((await driver.call("a", "get_config", { source: "candidate" })).xml).not.toContain(
        "eth2",
      );
      await driver.call("a", "unlock", { target: "candidate" });
    }
  });

  test("kill-session wants another session that exists", async () => {
    for (const id of [String(sessionA.sessionId), "4000000000", "0", "x"]) {
      expect((await driver.call("a", "kill_session", { session_id: id })).error).toMatchObject({
        tag: "invalid-value",
      });
    }
  });
});

describe("get", () => {
  test("joins running, the data process's state and the server's own", async () => {
    fixture.data.answers = {
      "get-state": () => ({
        "ietf-interfaces:interfaces-state": {
          interface: [{ name: "eth0", type: "iana-if-type:ethernetCsmacd", "oper-status": "up" }],
        },
      }),
    };
    const { xml } = await driver.call("a", "get");
    expect(xml).toContain("<oper-status>up</oper-status>");
    expect(xml).toContain("<data-process>connected</data-process>");
    expect(xml).toMatch(/<interfaces xmlns="[^"]*"><interface><name>eth0/);
    expect(xml).toContain("<yang-library");
  });

  test("asks the data process only for what the filter can select", async () => {
    fixture.data.calls.length = 0;
    const filter = [
      "subtree",
      '<netconf-state xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"><sessions/></netconf-state>',
    ];
    const { xml } = await driver.call("a", "get", { filter });
    expect(xml).toContain(`<session-id>${sessionB.sessionId}</session-id>`);
    expect(xml).not.toContain("<statistics");
    expect(fixture.data.calls).toHaveLength(0);
  });

  test("filters configuration", async () => {
    const filter = [
      "subtree",
      `<interfaces xmlns="${INTERFACES}"><interface><name>eth0</name><type/></interface></interfaces>`,
    ];
    const { xml } = await driver.call("a", "get_config", { source: "running", filter });
    expect(xml).toMatch(
      /<interface><name>eth0<\/name><type[^>]*>ianaift:ethernetCsmacd<\/type><\/interface>/,
    );
    expect(xml).not.toContain("description");
  });

  test("answers an XPath filter, and names what is wrong with one", async () => {
    const rpc = (select: string): string =>
      `<get xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><filter type="xpath" select="${select}"/></get>`;
    expect(
      (
        await driver.send({
          session: "a",
          rpc: rpc("/ietf-netconf-monitoring:netconf-state/sessions"),
        })
      ).xml,
    ).toContain("<session-id>");
    expect((await driver.send({ session: "a", rpc: rpc("/x:y") })).error).toMatchObject({
      tag: "invalid-value",
    });
  });
});

describe("get-schema", () => {
  test("returns every module that the monitoring state lists", async () => {
    const filter = [
      "subtree",
      '<netconf-state xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"><schemas/></netconf-state>',
    ];
    const { xml } = await driver.call("a", "get", { filter });
    const listed = [...(xml ?? "").matchAll(/<identifier>([^<]*)<\/identifier><version>([^<]*)</g)];
    expect(listed.length).toBeGreaterThan(15);
    for (const [, identifier, version] of listed) {
      const schema = await driver.call("a", "get_schema", { identifier, version });
      expect(schema.xml, identifier).toContain(`module ${identifier} {`);
    }
  });

  test.each([
    [{ identifier: "ietf-nothing" }, "invalid-value"],
    [{ identifier: "ietf-nat", version: "1999-01-01" }, "invalid-value"],
    [{ identifier: "ietf-nat", format: "yin" }, "invalid-value"],
  ])("refuses %j", async (args, tag) => {
    expect((await driver.call("a", "get_schema", args)).error).toMatchObject({ tag });
  });
});

test("an unknown operation or parameter is refused by name", async () => {
  const nc = 'xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"';
  expect((await driver.send({ session: "a", rpc: `<paint ${nc}/>` })).error).toMatchObject({
    tag: "operation-not-supported",
  });
  const unknown = `<get-config ${nc}><source><running/></source><colour/></get-config>`;
  expect((await driver.send({ session: "a", rpc: unknown })).error).toMatchObject({
    tag: "unknown-element",
    info: expect.stringContaining("colour"),
  });
  expect((await driver.send({ session: "a", rpc: `<get-config ${nc}/>` })).error).toMatchObject({
    tag: "missing-element",
    info: expect.stringContaining("source"),
  });
  expect(
    (
      await driver.send({
        session: "a",
        rpc: `<get-config ${nc}><source><moon/></source></get-config>`,
      })
    ).error,
  ).toMatchObject({ tag: "bad-element" });
});
