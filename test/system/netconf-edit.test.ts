/** hello, privileges and edit-config, by ncclient over SSH, against a process without privileges. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Driver, ManageFixture, type Reply, UNPRIVILEGED_ID } from "./netconf-fixture.ts";
import { ACL, ethernet, INTERFACES, interfaceXml } from "./netconf-payloads.ts";

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
});
afterAll(() => fixture.dispose());
beforeEach(async () => {
  fixture.data.answers = {};
  await driver.call("a", "discard_changes");
});

const journal = (): string => readFileSync(join(fixture.stateDirectory, "journal"), "utf8");

interface Expected {
  readonly tag: string;
  readonly path?: RegExp;
  readonly info?: RegExp;
}

describe("hello", () => {
  test("announces what the server does, and gives each session its own id", () => {
    const names = (sessionA.capabilities ?? []).join("\n");
    for (const name of [
      "base:1.0",
      "base:1.1",
      "capability:candidate:1.0",
      "capability:startup:1.0",
    ]) {
      expect(names).toContain(name);
    }
    expect(names).toMatch(/yang-library:1\.1\?revision=2019-01-04&content-id=\w+/);
    expect(names).toContain("ietf-nat?module=ietf-nat&revision=2019-01-10&features=");
    expect(names).toContain("writable-running:1.0");
    expect(names).toContain("confirmed-commit:1.1");
    expect(sessionB.sessionId).not.toBe(sessionA.sessionId);
  });

  test("serves a client of 1.0 beside one of 1.1", async () => {
    expect((await driver.call("b", "get_config", { source: "running" })).xml).toContain("<data");
    expect((await driver.call("a", "get_config", { source: "running" })).xml).toContain("<data");
  });
});

test("the process runs as nobody, with no capability but CAP_NET_BIND_SERVICE", () => {
  const status = readFileSync(`/proc/${fixture.pid}/status`, "utf8");
  const NET_BIND_SERVICE = 1n << 10n;
  for (const field of ["CapEff", "CapPrm", "CapBnd"]) {
    expect(BigInt(`0x${new RegExp(`${field}:\\s*(\\w+)`).exec(status)?.[1]}`)).toBe(
      NET_BIND_SERVICE,
    );
  }
  expect(/Uid:\s*(\d+)/.exec(status)?.[1]).toBe(String(UNPRIVILEGED_ID));
});

describe("an edit", () => {
  test("waits in candidate, is given to the data process by commit, and is stored before the reply", async () => {
    expect(
      (await driver.edit("a", ethernet("eth0", "<description>a &lt; b</description>"))).xml,
    ).toContain("<ok/>");
    expect((await driver.call("a", "get_config", { source: "running" })).xml).not.toContain("eth0");
    expect((await driver.call("b", "get_config", { source: "candidate" })).xml).toContain(
      "a &lt; b",
    );
    expect((await driver.call("a", "validate", { source: "candidate" })).xml).toContain("<ok/>");
    expect((await driver.call("a", "commit")).xml).toContain("<ok/>");
    const expected = {
      "ietf-interfaces:interfaces": {
        interface: [{ name: "eth0", description: "a < b", type: "iana-if-type:ethernetCsmacd" }],
      },
    };
    expect(fixture.data.lastConfig).toEqual(expected);
    const last = journal().trimEnd().split("\n").at(-1) ?? "";
    expect(last).toContain("a &lt; b");
    expect(JSON.parse(last.slice(9))).toMatchObject({
      kind: "commit",
      user: "operator",
      startup: true,
    });
    expect((await driver.call("b", "get_config", { source: "running" })).xml).toContain(
      "ethernetCsmacd",
    );
  });

  test("is forgotten by discard-changes", async () => {
    await driver.edit("a", ethernet("eth9"));
    await driver.call("a", "discard_changes");
    expect((await driver.call("a", "get_config", { source: "candidate" })).xml).not.toContain(
      "eth9",
    );
  });

  test.each([
    [
      "a type",
      interfaceXml("eth0", "<enabled>maybe</enabled>"),
      { tag: "invalid-value", path: /interface\[.*name='eth0'\]\/.*enabled$/ },
    ],
    [
      "an unknown node",
      interfaceXml("eth0", "<bogus/>"),
      { tag: "unknown-element", info: /<bad-element>bogus</ },
    ],
    [
      "an unknown namespace",
      '<x xmlns="urn:none"/>',
      { tag: "unknown-namespace", info: /<bad-namespace>urn:none</ },
    ],
    ["state", interfaceXml("eth0", "<oper-status>up</oper-status>"), { tag: "unknown-element" }],
    [
      "a key that is missing",
      `<interfaces xmlns="${INTERFACES}"><interface/></interfaces>`,
      { tag: "missing-element", info: /<bad-element>name</ },
    ],
    [
      "an entry that exists",
      interfaceXml("eth0", "", 'nc:operation="create"'),
      { tag: "data-exists", path: /eth0/ },
    ],
    [
      "an entry that does not",
      interfaceXml("eth7", "", 'nc:operation="delete"'),
      { tag: "data-missing", path: /eth7/ },
    ],
    [
      "an unknown operation",
      interfaceXml("eth0", "", 'nc:operation="paint"'),
      { tag: "bad-attribute", info: /operation/ },
    ],
    [
      "a feature that is off",
      `<acls xmlns="${ACL}"><acl><name>a</name><type>eth-acl-type</type></acl></acls>`,
      { tag: "invalid-value" },
    ],
  ])("is refused for %s, whole", async (_name, config, expected: Expected) => {
    const readCandidate = async (): Promise<string | undefined> =>
      /<data.*<\/data>/.exec(
        (await driver.call("a", "get_config", { source: "candidate" })).xml ?? "",
      )?.[0];
    const before = await readCandidate();
    expect(before).toContain("eth0");
    const { error } = await driver.edit("a", `${ethernet("eth8")}${config}`);
    expect(error?.["tag"]).toBe(expected.tag);
    expect(error?.["severity"]).toBe("error");
    if (expected.path !== undefined) expect(error?.["path"]).toMatch(expected.path);
    if (expected.info !== undefined) expect(error?.["info"]).toMatch(expected.info);
    expect(await readCandidate()).toBe(before);
  });

  test("that breaks a constraint is refused by validate and commit, with path and reason", async () => {
    await driver.edit("a", interfaceXml("eth5"));
    for (const call of ["validate", "commit"]) {
      const { error } = await driver.call(
        "a",
        call,
        call === "validate" ? { source: "candidate" } : {},
      );
      expect(error).toMatchObject({
        tag: "data-missing",
        message: expect.stringContaining('"type"'),
      });
    }
    const attached = `<acls xmlns="${ACL}"><attachment-points><interface><interface-id>eth5</interface-id></interface></attachment-points></acls>`;
    await driver.call("a", "discard_changes");
    const checked = await driver.edit("a", attached, { test_option: "test-then-set" });
    expect(checked.error).toMatchObject({ tag: "data-missing", appTag: "instance-required" });
    expect((await driver.edit("a", attached)).xml).toContain("<ok/>");
  });

  test("follows default-operation none and deletes a leaf without its value", async () => {
    const removal = interfaceXml("eth0", '<description nc:operation="delete"/>');
    expect((await driver.edit("a", removal, { default_operation: "none" })).xml).toContain("<ok/>");
    expect((await driver.call("a", "get_config", { source: "candidate" })).xml).not.toContain(
      "description",
    );
    expect(
      (await driver.edit("a", interfaceXml("eth6"), { default_operation: "none" })).error,
    ).toMatchObject({ tag: "data-missing" });
  });

  test("puts ACEs where insert says", async () => {
    const ace = (name: string, attributes = ""): string =>
      `<ace xmlns:yang="urn:ietf:params:xml:ns:yang:1" ${attributes}><name>${name}</name><actions><forwarding>drop</forwarding></actions></ace>`;
    const acl = (aces: string): string =>
      `<acls xmlns="${ACL}"><acl><name>web</name><type>ipv4-acl-type</type><aces>${aces}</aces></acl></acls>`;
    await driver.edit("a", acl(ace("one") + ace("two")));
    await driver.edit(
      "a",
      acl(
        ace("first", 'yang:insert="first"') +
          ace("mid", `yang:insert="after" yang:key="[name='one']"`),
      ),
    );
    const { xml } = await driver.call("a", "get_config", { source: "candidate" });
    expect([...(xml ?? "").matchAll(/<ace><name>(\w+)/g)].map((match) => match[1])).toEqual([
      "first",
      "one",
      "mid",
      "two",
    ]);
  });

  test.each([
    ["startup as target", { target: "startup" }, "operation-not-supported"],
    ["continue-on-error", { error_option: "continue-on-error" }, "operation-not-supported"],
  ])("refuses %s", async (_name, more, tag) => {
    // ncclient itself would refuse what the server does not announce: send the rpc by hand.
    const target = "target" in more ? more.target : "candidate";
    const option =
      "error_option" in more ? `<error-option>${more.error_option}</error-option>` : "";
    const rpc = `<edit-config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><target><${target}/></target>${option}<config/></edit-config>`;
    expect((await driver.send({ session: "a", rpc })).error).toMatchObject({ tag });
  });
});
