/** Confirmed commits, the history, and the way back: with crashes at the wrong moment. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { campaignOptions, campaignSize } from "../support/campaign.ts";
import { ManageFixture, USER } from "./netconf-fixture.ts";
import { ethernet, interfaceXml } from "./netconf-payloads.ts";
import { errorOf, RawClient, type RawLogin } from "./raw-netconf.ts";

let fixture: ManageFixture;
let clients: RawClient[];

beforeEach(async () => {
  fixture = new ManageFixture();
  clients = [];
  await fixture.data.start();
  await fixture.start();
  await fixture.applied();
});
afterEach(async () => {
  for (const client of clients) client.close();
  await fixture.dispose();
});

async function connect(more: Partial<RawLogin> = {}): Promise<RawClient> {
  const login = { port: fixture.port, username: USER, keyFile: fixture.keyFile, ...more };
  const client = await RawClient.connect(login);
  clients.push(client);
  return client;
}

/** Waits until running has no such interface. */
async function gone(client: RawClient, name: string): Promise<void> {
  const isThere = async (): Promise<boolean> => (await running(client)).includes(`<name>${name}<`);
  for (let tries = 0; tries < 500 && (await isThere()); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const confirmed = (inner = ""): string => `<commit><confirmed/>${inner}</commit>`;
const running = (client: RawClient): Promise<string> => client.read("running");

test("kill -9 before the confirmation: the configuration before is back, in the data process too", async () => {
  const client = await connect();
  await client.edit(ethernet("before"));
  await client.rpc("<commit/>");
  const old = fixture.data.lastConfig;
  await client.edit(ethernet("after"));
  expect(await client.rpc(confirmed("<persist>p</persist>"))).toContain("<ok/>");
  expect(JSON.stringify(fixture.data.lastConfig)).toContain("after");
  await fixture.stop("SIGKILL");
  await fixture.start();
  await fixture.applied();
  expect(fixture.data.lastConfig).toEqual(old);
  const again = await connect();
  expect(await running(again)).not.toContain("after");
  expect(await again.read("startup")).toContain("before");
  expect(
    await again.rpc('<get><filter><history xmlns="urn:flowlift:history"/></filter></get>'),
  ).toMatch(/<how>confirmed<\/how>.*<how>restarted<\/how>/);
  // Nothing waits any more.
  expect(errorOf(await again.rpc("<commit><persist-id>p</persist-id></commit>")).tag).toBe(
    "invalid-value",
  );
});

test("the timeout, the end of the session and cancel-commit take it back; commit keeps it", async () => {
  const one = await connect();
  const two = await connect();
  await one.edit(ethernet("a"));
  expect(await one.rpc(confirmed("<confirm-timeout>1</confirm-timeout>"))).toContain("<ok/>");
  expect(errorOf(await two.rpc("<commit/>")).tag).toBe("in-use");
  expect(errorOf(await two.rpc("<lock><target><running/></target></lock>")).tag).toBe(
    "lock-denied",
  );
  await gone(two, "a");
  expect(JSON.stringify(fixture.data.lastConfig)).not.toContain('"a"');
  expect(await running(two)).not.toContain("<name>a<");
  expect(await two.read("startup")).not.toContain("<name>a<");

  await one.edit(ethernet("b"));
  expect(await one.rpc(confirmed())).toContain("<ok/>");
  expect(await running(two)).toContain("<name>b<");
  one.close();
  await gone(two, "b");
  expect(JSON.stringify(fixture.data.lastConfig)).not.toContain('"b"');

  await two.edit(ethernet("c"));
  expect(await two.rpc(confirmed("<persist>k</persist>"))).toContain("<ok/>");
  expect(
    errorOf(await two.rpc("<cancel-commit><persist-id>x</persist-id></cancel-commit>")).tag,
  ).toBe("invalid-value");
  expect(await two.rpc("<cancel-commit><persist-id>k</persist-id></cancel-commit>")).toContain(
    "<ok/>",
  );
  expect(await running(two)).not.toContain("<name>c<");

  await two.edit(ethernet("d"));
  expect(
    await two.rpc(confirmed("<persist>k</persist><confirm-timeout>1</confirm-timeout>")),
  ).toContain("<ok/>");
  const three = await connect();
  expect(await three.rpc("<commit><persist-id>k</persist-id></commit>")).toContain("<ok/>");
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  expect(await running(three)).toContain("<name>d<");
  expect(await three.read("startup")).toContain("<name>d<");
});

test("parameters that mean nothing are refused", async () => {
  const client = await connect();
  for (const [operation, tag] of [
    ["<commit><confirm-timeout>5</confirm-timeout></commit>", "bad-element"],
    [confirmed("<confirm-timeout>0</confirm-timeout>"), "invalid-value"],
    ["<commit><persist-id>p</persist-id></commit>", "invalid-value"],
    ["<cancel-commit/>", "operation-failed"],
  ] as const) {
    expect(errorOf(await client.rpc(operation)).tag, operation).toBe(tag);
  }
});

test("the history names who, how and why; rollback and compare go to any point of it", async () => {
  const client = await connect();
  for (const name of ["one", "two", "three"]) {
    await client.edit(ethernet(name));
    const why = `<comment xmlns="urn:flowlift:history">add ${name}</comment>`;
    expect(await client.rpc(`<commit>${why}</commit>`)).toContain("<ok/>");
  }
  const history = await client.rpc(
    '<get><filter><history xmlns="urn:flowlift:history"/></filter></get>',
  );
  expect(history).toMatch(/<id>3<\/id>.*<user>operator<\/user>.*<comment>add three<\/comment>/);
  const compare = await client.rpc(
    '<compare xmlns="urn:flowlift:history"><from><steps>2</steps></from></compare>',
  );
  expect(compare).toMatch(/\+ \/ietf-interfaces:interfaces\/interface\[name='two'\]/);
  expect(compare).toContain("[name='three']");
  expect(compare).not.toContain("[name='one']");
  await client.edit(interfaceXml("two", "", 'nc:operation="delete"'));
  await client.rpc("<commit/>");
  expect(
    await client.rpc('<rollback xmlns="urn:flowlift:history"><commit-id>2</commit-id></rollback>'),
  ).toContain("<ok/>");
  const now = await running(client);
  expect(now).toContain("<name>two<");
  expect(now).not.toContain("<name>three<");
  // The history survives a restart, and one can go back to before the rollback.
  await fixture.stop("SIGKILL");
  await fixture.start();
  await fixture.applied();
  const again = await connect();
  await again.rpc('<rollback xmlns="urn:flowlift:history"><target>candidate</target></rollback>');
  expect(await again.read("candidate")).toContain("<name>three<");
  expect(
    errorOf(
      await again.rpc(
        '<rollback xmlns="urn:flowlift:history"><commit-id>77</commit-id></rollback>',
      ),
    ),
  ).toMatchObject({
    tag: "invalid-value",
    message: expect.stringContaining("77"),
  });
});

const KILLS = campaignSize(2, 40);

test(
  `what was answered survives kill -9 at any moment, ${KILLS} times`,
  campaignOptions(),
  async () => {
    for (let round = 0; round < KILLS; round++) {
      const client = await connect();
      let answered = "";
      const work = (async () => {
        for (let index = 0; !client.isClosed; index++) {
          const name = `r${round}i${index}`;
          await client.edit(ethernet(name));
          if ((await client.rpc("<commit/>")).includes("<ok/>")) answered = name;
        }
      })();
      await new Promise((resolve) => setTimeout(resolve, 150 + ((70 * round) % 400)));
      await fixture.stop("SIGKILL");
      await work;
      await fixture.start();
      await fixture.applied();
      const again = await connect();
      const now = await running(again);
      expect(answered).not.toBe("");
      expect(now).toContain(`<name>${answered}<`);
      // At most the one commit that was under way.
      const count = Number(/i(\d+)$/.exec(answered)?.[1]);
      expect(now).not.toContain(`<name>r${round}i${count + 2}<`);
      expect(JSON.stringify(fixture.data.lastConfig)).toContain(`"${answered}"`);
      again.close();
    }
  },
);
