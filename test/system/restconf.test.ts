/** RESTCONF of a real appliance-manage, switched on by NETCONF, used by curl. */
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Driver, ManageFixture, runProgram } from "./netconf-fixture.ts";

const fixture = new ManageFixture();
let driver: Driver;
let port = 0;
const PASSWORD = "a long enough word";

beforeAll(async () => {
  port = await findFreePort();
  await fixture.data.start();
  await fixture.start();
  await fixture.applied();
  driver = fixture.driver();
  await fixture.connect(driver, "a");
});
afterAll(() => fixture.dispose());

function findFreePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      const found = typeof address === "object" ? (address?.port ?? 0) : 0;
      server.close(() => resolve(found));
    });
  });
}

const restconf = (enabled: boolean, at = port): string =>
  `<restconf xmlns="urn:flowlift:restconf"><enabled>${enabled}</enabled>` +
  `<address>127.0.0.1</address><port>${at}</port></restconf>`;

const USERS =
  '<system xmlns="urn:ietf:params:xml:ns:yang:ietf-system"><authentication>' +
  `<user><name>rita</name><password>$0$${PASSWORD}</password></user></authentication></system>` +
  '<nacm xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-acm"><groups><group><name>net</name>' +
  "<user-name>rita</user-name></group></groups><rule-list><name>net</name><group>net</group>" +
  '<rule><name>interfaces</name><path xmlns:if="urn:ietf:params:xml:ns:yang:ietf-interfaces">' +
  "/if:interfaces</path><access-operations>*</access-operations><action>permit</action></rule>" +
  "</rule-list></nacm>";

const curl = (path: string, ...more: string[]): Promise<string> =>
  runProgram("curl", [
    ...["-sk", "--max-time", "10", "-u", `rita:${PASSWORD}`, "-w", " [%{http_code}]"],
    ...[...more, `https://127.0.0.1:${port}/restconf/data${path}`],
  ]);

const TYPE = ["-H", "Content-Type: application/yang-data+json"];
const ETH0 = "/ietf-interfaces:interfaces/interface=eth0";
const eth0 = (description: string): string =>
  JSON.stringify({
    "ietf-interfaces:interface": [
      { name: "eth0", type: "iana-if-type:ethernetCsmacd", description },
    ],
  });

test("nothing listens before it is enabled", async () => {
  expect(await curl("")).toContain("[000]");
});

test("a commit over NETCONF enables it, and its users are those of the configuration", async () => {
  await driver.edit("a", restconf(true) + USERS);
  expect((await driver.call("a", "commit")).error).toBeUndefined();
  expect(await curl("/ietf-interfaces:interfaces")).toContain("[404]");
  const wrong = await curl("", "-u", "rita:wrong");
  expect(wrong).toContain("[401]");
  const state = await driver.call("a", "get", { filter: ["subtree", restconf(true)] });
  expect(JSON.stringify(state)).toMatch(/certificate-fingerprint>(?:[0-9A-F]{2}:){31}[0-9A-F]{2}</);
});

test("what one protocol changes the other shows, and access control binds both", async () => {
  expect(await curl(ETH0, "-X", "PUT", ...TYPE, "-d", eth0("by curl"))).toContain("[201]");
  const running = await driver.call("a", "get_config", { source: "running" });
  expect(running.xml).toContain("<description>by curl</description>");
  await driver.call("a", "discard_changes");
  const interfaces = 'xmlns="urn:ietf:params:xml:ns:yang:ietf-interfaces"';
  await driver.edit(
    "a",
    `<interfaces ${interfaces}><interface><name>eth0</name><description>by NETCONF</description></interface></interfaces>`,
  );
  expect((await driver.call("a", "commit")).error).toBeUndefined();
  expect(await curl(`${ETH0}/description`)).toContain("by NETCONF");
  const denied = await curl("/flowlift-restconf:restconf/enabled", "-X", "DELETE");
  expect(denied).toContain("[403]");
  expect(denied).toContain("access-denied");
});

test("an operation reaches the data process, and its words come back", async () => {
  fixture.data.answers = { "repair-network": () => ({ changes: ['set interface "eth0" up'] }) };
  const reply = await runProgram("curl", [
    ...["-sk", "-u", `rita:${PASSWORD}`, "-X", "POST"],
    `https://127.0.0.1:${port}/restconf/operations/flowlift-interfaces:repair-network`,
  ]);
  fixture.data.answers = {};
  expect(JSON.parse(reply)).toEqual({
    "flowlift-interfaces:output": { change: ['set interface "eth0" up'] },
  });
});

test("a port that is taken fails the commit, and the old place goes on", async () => {
  const taken = createServer();
  const other = await new Promise<number>((resolve) => {
    taken.listen(0, "127.0.0.1", () => {
      const address = taken.address();
      resolve(typeof address === "object" ? (address?.port ?? 0) : 0);
    });
  });
  await driver.edit("a", restconf(true, other));
  const { error } = await driver.call("a", "commit");
  expect(error?.["message"]).toContain(`Cannot serve RESTCONF on 127.0.0.1 port ${other}`);
  taken.close();
  await driver.call("a", "discard_changes");
  expect(await curl(`${ETH0}/description`)).toContain("[200]");
});

test("it is there again after a restart, and gone when it is disabled", async () => {
  await fixture.stop("SIGKILL");
  await fixture.start();
  await fixture.applied();
  await fixture.connect(driver, "b");
  expect(await curl(`${ETH0}/description`)).toContain("by NETCONF");
  await driver.edit("b", restconf(false));
  expect((await driver.call("b", "commit")).error).toBeUndefined();
  expect(await curl(ETH0)).toContain("[000]");
});

test("a damaged certificate is told with what to do", async () => {
  const file = join(fixture.stateDirectory, "restconf.crt");
  await runProgram("sh", ["-c", `echo damaged > ${file}`]);
  await driver.edit("b", restconf(true));
  const { error } = await driver.call("b", "commit");
  expect(error?.["message"]).toContain("delete both, and they are made anew");
  await runProgram("rm", [file, join(fixture.stateDirectory, "restconf.key")]);
  expect((await driver.call("b", "commit")).error).toBeUndefined();
  expect(await curl(`${ETH0}/description`)).toContain("[200]");
});
