/** Users, access control, events, defaults, XPath and NMDA, by a client that hides nothing. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ManageFixture, USER, waitFor } from "./netconf-fixture.ts";
import { described, ethernet, INTERFACES, interfaceXml, SYSTEM } from "./netconf-payloads.ts";
import { errorOf, RawClient, type RawLogin } from "./raw-netconf.ts";

const fixture = new ManageFixture();
const clients: RawClient[] = [];
const GUEST_KEY = join(fixture.folder, "guest");
let admin: RawClient;

async function connect(more: Partial<RawLogin> = {}): Promise<RawClient> {
  const login = { port: fixture.port, username: USER, keyFile: fixture.keyFile, ...more };
  const client = await RawClient.connect(login);
  clients.push(client);
  return client;
}

const NACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm";
const IF = `xmlns:if="${INTERFACES}"`;

function user(name: string, inner: string): string {
  return `<system xmlns="${SYSTEM}"><authentication><user><name>${name}</name>${inner}</user></authentication></system>`;
}

beforeAll(async () => {
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", GUEST_KEY]);
  await fixture.data.start();
  await fixture.start();
  await fixture.applied();
  admin = await connect();
  const [algorithm, data] = readFileSync(`${GUEST_KEY}.pub`, "utf8").split(" ");
  const key = `<authorized-key><name>k</name><algorithm>${algorithm}</algorithm><key-data>${data}</key-data></authorized-key>`;
  const rules =
    `<nacm xmlns="${NACM}"><groups><group><name>guests</name><user-name>guest</user-name></group></groups>` +
    "<rule-list><name>g</name><group>guests</group>" +
    "<rule><name>no-lock</name><module-name>ietf-netconf</module-name><rpc-name>lock</rpc-name><access-operations>exec</access-operations><action>deny</action></rule>" +
    `<rule><name>one-hidden</name><path ${IF}>/if:interfaces/if:interface[if:name='secret']</path><access-operations>read</access-operations><action>deny</action></rule>` +
    `<rule><name>describe</name><path ${IF}>/if:interfaces/if:interface/if:description</path><access-operations>create update delete</access-operations><action>permit</action></rule>` +
    "<rule><name>quiet</name><notification-name>netconf-session-start</notification-name><action>deny</action></rule>" +
    "</rule-list></nacm>";
  await admin.edit(ethernet("open") + ethernet("secret"));
  await admin.edit(user("guest", key) + user("pat", "<password>$0$sesame</password>") + rules);
  expect(await admin.rpc("<commit/>")).toContain("<ok/>");
});
afterAll(async () => {
  for (const client of clients) client.close();
  await fixture.dispose();
});

const guest = (): Promise<RawClient> => connect({ username: "guest", keyFile: GUEST_KEY });

test("a configured user sees, changes and runs what the rules allow, and the path says what not", async () => {
  const client = await guest();
  const all = await client.read("running");
  expect(all).toContain("<name>open<");
  expect(all).not.toContain("secret");
  expect(all).not.toContain("nacm");
  expect(await client.edit(described("open", "by guest"))).toContain("<ok/>");
  expect(await client.rpc("<commit/>")).toContain("<ok/>");
  expect(errorOf(await client.edit(ethernet("mine")))).toMatchObject({
    tag: "access-denied",
    path: expect.stringContaining("interface[ietf-interfaces:name='mine']"),
    message: expect.stringContaining("no rule allows it"),
  });
  expect(errorOf(await client.edit(interfaceXml("open", "<enabled>false</enabled>"))).tag).toBe(
    "access-denied",
  );
  expect(errorOf(await client.rpc("<lock><target><running/></target></lock>"))).toMatchObject({
    tag: "access-denied",
    message: expect.stringContaining("rule &quot;no-lock&quot;"),
  });
  expect(
    errorOf(await client.rpc("<kill-session><session-id>1</session-id></kill-session>")).tag,
  ).toBe("access-denied");
  expect(errorOf(await client.rpc('<rollback xmlns="urn:flowlift:history"/>')).tag).toBe(
    "access-denied",
  );
  const counters = await admin.rpc(`<get><filter><nacm xmlns="${NACM}"/></filter></get>`);
  expect(Number(/<denied-operations>(\d+)/.exec(counters)?.[1])).toBeGreaterThanOrEqual(3);
  expect(Number(/<denied-data-writes>(\d+)/.exec(counters)?.[1])).toBeGreaterThanOrEqual(2);
  const copy = "<copy-config><target><running/></target><source><config/></source></copy-config>";
  expect(errorOf(await client.rpc(copy)).tag).toBe("access-denied");
});

test("passwords are hashed before they are kept, open the door, and lock it after five wrong ones", async () => {
  const stored = await admin.read("running");
  expect(stored).toMatch(/<password>\$6\$/);
  expect(stored).not.toContain("sesame");
  expect(readFileSync(join(fixture.stateDirectory, "journal"), "utf8")).not.toContain("sesame");
  const pat = (password: string): RawLogin => ({ port: fixture.port, username: "pat", password });
  expect((await RawClient.connect(pat("sesame"))).hello).toContain("session-id");
  for (let tries = 0; tries < 5; tries++) {
    await expect(RawClient.connect(pat("wrong"))).rejects.toThrow();
  }
  await expect(RawClient.connect(pat("sesame"))).rejects.toThrow();
  await waitFor(
    () => readFileSync(join(fixture.stateDirectory, "audit.log"), "utf8").includes("locked-out"),
    "the audit log tells of it",
  );
});

test("events: a change, sessions, replay from a time on, filters, and what a user may not hear", async () => {
  const begin = new Date(Date.now() - 3_600_000).toISOString();
  const subscribe = (inner = ""): string =>
    `<create-subscription xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0">${inner}</create-subscription>`;
  const all = await connect();
  expect(await all.rpc(subscribe(`<startTime>${begin}</startTime>`))).toContain("<ok/>");
  await waitFor(
    () => all.events.some((event) => event.includes("replayComplete")),
    "the replay ends",
  );
  expect(all.events[0]).toMatch(/<eventTime>\d{4}-.*netconf-session-start/);
  const some = await connect();
  const filter =
    '<filter type="subtree"><netconf-config-change xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"/></filter>';
  expect(await some.rpc(subscribe(filter))).toContain("<ok/>");
  expect(errorOf(await some.rpc(subscribe())).tag).toBe("operation-failed");
  const client = await guest();
  await client.rpc(subscribe());
  await admin.edit(described("open", "news"));
  await admin.rpc("<commit/>");
  await waitFor(() => some.events.length > 0, "the change is told");
  expect(some.events[0]).toMatch(
    /<username>operator<\/username>.*<datastore>running<\/datastore>.*<operation>replace<\/operation>/,
  );
  expect(some.events[0]).toContain("interface[ietf-interfaces:name='open']");
  (await connect()).close();
  await waitFor(() => all.events.some((event) => event.includes("session-end")), "an end is told");
  expect(client.events.join("")).toContain("netconf-config-change");
  expect(client.events.join("")).not.toContain("netconf-session-start");
  expect(some.events).toHaveLength(1);
  // Interleave: the session answers as before.
  expect(await all.read("running", "<filter/>")).toContain("<data>");
  const bad = await connect();
  for (const [inner, tag] of [
    ["<stream>none</stream>", "invalid-value"],
    ["<startTime>2999-01-01T00:00:00Z</startTime>", "bad-element"],
    ["<stopTime>2999-01-01T00:00:00Z</stopTime>", "missing-element"],
  ] as const) {
    expect(errorOf(await bad.rpc(subscribe(inner))).tag).toBe(tag);
  }
  const streams = await admin.rpc(
    '<get><filter><netconf xmlns="urn:ietf:params:xml:ns:netmod:notification"/></filter></get>',
  );
  expect(streams).toMatch(/<name>NETCONF<\/name>.*<replaySupport>true/);
});

test("with-defaults in four modes, and XPath filters with any prefixes", async () => {
  const filter = `<filter type="xpath" xmlns:x="${INTERFACES}" select="/x:interfaces/x:interface[x:name='open']/x:enabled"/>`;
  const read = (mode: string): Promise<string> =>
    admin.read(
      "running",
      `${filter}<with-defaults xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults">${mode}</with-defaults>`,
    );
  expect(await read("explicit")).not.toContain("enabled");
  expect(await read("report-all")).toMatch(/<name>open<\/name><enabled>true/);
  expect(await read("report-all-tagged")).toMatch(/<enabled [^>]*wd:default="true">true/);
  await admin.edit(interfaceXml("open", "<enabled>true</enabled>"));
  await admin.rpc("<commit/>");
  expect(await read("explicit")).toContain("<enabled>true");
  expect(await read("trim")).not.toContain("enabled");
  const bad = '<filter type="xpath" select="///["/>';
  expect(errorOf(await admin.read("running", bad)).tag).toBe("invalid-value");
});

test("get-data and edit-data know every datastore, origins and depths", async () => {
  const nmda =
    'xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-nmda" xmlns:ds="urn:ietf:params:xml:ns:yang:ietf-datastores"';
  const get = (name: string, inner = ""): Promise<string> =>
    admin.rpc(`<get-data ${nmda}><datastore>ds:${name}</datastore>${inner}</get-data>`);
  expect(await get("operational", "<with-origin/>")).toMatch(
    /<interfaces [^>]*or:origin="or:intended"/,
  );
  const shallow = await get("running", "<max-depth>1</max-depth>");
  expect(shallow).toContain("<interfaces");
  expect(shallow).not.toContain("<interface>");
  expect(await get("operational", "<config-filter>true</config-filter>")).not.toContain(
    "netconf-state",
  );
  const edit = `<edit-data ${nmda}><datastore>ds:running</datastore><config>${described("open", "by edit-data")}</config></edit-data>`;
  expect(await admin.rpc(edit)).toContain("<ok/>");
  expect(JSON.stringify(fixture.data.lastConfig)).toContain("by edit-data");
  expect(errorOf(await get("nothing")).tag).toBe("invalid-value");
});

test("private candidates do not see each other, and conflicts are told", async () => {
  const own = ["urn:ietf:params:netconf:capability:private-candidate:1.0"];
  const left = await connect({ capabilities: own });
  const right = await connect({ capabilities: own });
  await left.edit(described("open", "left"));
  await right.edit(described("secret", "right"));
  expect(await right.read("candidate")).not.toContain("left");
  expect(await left.rpc("<commit/>")).toContain("<ok/>");
  expect(await right.rpc("<commit/>")).toContain("<ok/>");
  const now = await admin.read("running");
  expect(now).toContain(">left<");
  expect(now).toContain(">right<");
  await left.edit(described("open", "again left"));
  await right.edit(described("open", "again right"));
  expect(await left.rpc("<commit/>")).toContain("<ok/>");
  expect(errorOf(await right.rpc("<commit/>"))).toMatchObject({ appTag: "conflict" });
});

test("preview-commit tells the difference and changes nothing", async () => {
  await admin.edit(described("open", "previewed"));
  const reply = await admin.rpc('<preview-commit xmlns="urn:flowlift:history"/>');
  expect(reply).toMatch(/~ \/ietf-interfaces:interfaces\/interface\[name='open'\]\/description/);
  expect(reply).toMatch(/<ruleset[^>]*>\+ rule<.*<cut-flows[^>]*>3<.*<cut-offloaded-flows[^>]*>2</);
  expect(await admin.read("running")).not.toContain("previewed");
  await admin.rpc("<discard-changes/>");
});
