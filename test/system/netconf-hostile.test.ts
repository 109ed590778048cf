/** Who may come in, and what a peer that misbehaves can do: to itself, and to nobody else. */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import ssh2 from "ssh2";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Driver, MAIN, ManageFixture, runProgram, USER, waitFor } from "./netconf-fixture.ts";
import { ethernet } from "./netconf-payloads.ts";

const fixture = new ManageFixture();
let driver: Driver;

beforeAll(async () => {
  await fixture.data.start();
  await fixture.start();
  await fixture.applied();
  driver = fixture.driver();
  await fixture.connect(driver, "a");
  const many = Array.from({ length: 400 }, (_, index) => ethernet(`eth${index}`)).join("");
  await driver.edit("a", many);
  expect((await driver.call("a", "commit")).xml).toContain("<ok/>");
});
afterAll(() => fixture.dispose());

const HELLO =
  '<hello xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><capabilities>' +
  "<capability>urn:ietf:params:netconf:base:1.1</capability></capabilities></hello>]]>]]>";

/** OpenSSH's own client; what it prints, errors included. */
function openSsh(input: string, ...args: string[]): Promise<string> {
  const options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"];
  const flags = ["-p", String(fixture.port), "-F", "none", ...options.flatMap((o) => ["-o", o])];
  return runProgram("ssh", [...flags, ...args], input);
}
const asUser = ["-o", "IdentitiesOnly=yes", "-i", fixture.keyFile, `${USER}@127.0.0.1`];

async function expectServed(): Promise<void> {
  expect((await driver.call("a", "get_config", { source: "running" })).xml).toContain("eth399");
}

describe("authentication", () => {
  test("lets the authorized key in, over OpenSSH too", async () => {
    expect(await openSsh(HELLO, ...asUser, "-s", "netconf")).toContain("<session-id>");
  });

  test.each([
    ["another key", (folder: string) => ["-i", join(folder, "other"), `${USER}@127.0.0.1`]],
    ["another user", () => ["-i", fixture.keyFile, "root@127.0.0.1"]],
    ["no key", () => ["-o", "PubkeyAuthentication=no", `${USER}@127.0.0.1`]],
  ])("keeps out %s", async (_name, argsOf) => {
    spawnSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(fixture.folder, "other")]);
    const args = ["-o", "IdentitiesOnly=yes", ...argsOf(fixture.folder), "-s", "netconf"];
    const output = await openSsh(HELLO, ...args);
    expect(output).toContain("Permission denied");
    expect(output).not.toContain("<hello");
  });

  test("keeps everybody out when the file of keys is empty, or its line has options", async () => {
    const file = join(fixture.folder, "authorized_keys");
    const good = readFileSync(file, "utf8");
    const key = good.split("\n").find((line) => line.startsWith("ssh-"));
    for (const text of ["", `command="true" ${key}\n`]) {
      writeFileSync(file, text);
      expect(await openSsh(HELLO, ...asUser, "-s", "netconf")).toContain("Permission denied");
    }
    writeFileSync(file, good);
    expect(await openSsh(HELLO, ...asUser, "-s", "netconf")).toContain("<session-id>");
  });

  test.each([
    ["a shell", []],
    ["a command", ["id"]],
    ["another subsystem", ["-s", "sftp"]],
  ])("gives no %s", async (_name, what) => {
    const output = await openSsh("id\n", ...asUser, ...what);
    expect(output).not.toContain("uid=");
  });
});

describe("a peer that misbehaves", () => {
  test.each([
    ["bytes instead of a chunk", "hello?", "malformed-message"],
    ["a chunk of size zero", "\n#0\n\n##\n", "malformed-message"],
    ["a chunk above the bound", "\n#67108865\n", "too-big"],
    ["XML that ends too early", "\n#4\n<rpc\n##\n", "malformed-message"],
    [
      "an entity bomb",
      '\n#67\n<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;&b;&b;">]><rpc>&d;</rpc>\n##\n',
      "malformed-message",
    ],
  ])("by %s is told so, alone", async (_name, bytes, tag) => {
    const output = await openSsh(HELLO + bytes, ...asUser, "-s", "netconf");
    expect(output).toContain(`<error-tag>${tag}</error-tag>`);
    await expectServed();
  });

  test("by reading nothing holds up itself, and costs little", async () => {
    const client = new ssh2.Client();
    const privateKey = readFileSync(fixture.keyFile);
    await new Promise<void>((resolve, reject) => {
      client.once("ready", resolve).once("error", reject);
      client.connect({ host: "127.0.0.1", port: fixture.port, username: USER, privateKey });
    });
    const stream = await new Promise<ssh2.ClientChannel>((resolve, reject) => {
      client.subsys("netconf", (error, channel) => (error ? reject(error) : resolve(channel)));
    });
    const residentKb = (): number =>
      Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${fixture.pid}/status`, "utf8"))?.[1]);
    const before = residentKb();
    stream.write(HELLO);
    const rpc =
      '<rpc message-id="1" xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><get-config><source><running/></source></get-config></rpc>';
    // Each reply has some 50 kB: all of them would be 250 MB.
    for (let count = 0; count < 5000; count++) stream.write(`\n#${rpc.length}\n${rpc}\n##\n`);
    for (let round = 0; round < 20; round++) await expectServed();
    expect(residentKb() - before).toBeLessThan(80 * 1024);
    client.destroy();
  });

  test("by sending half a hello holds no session", async () => {
    const other = fixture.driver();
    await fixture.connect(other, "x");
    await openSsh("<hello", ...asUser, "-s", "netconf");
    await expectServed();
    const filter = [
      "subtree",
      '<netconf-state xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"><sessions/></netconf-state>',
    ];
    const { xml } = await driver.call("a", "get", { filter });
    expect(xml?.match(/<session>/g)).toHaveLength(2);
  });
});

describe("start", () => {
  const manage = (file: string) =>
    spawnSync(process.execPath, [MAIN, "appliance-manage", "--settings", file], {
      encoding: "utf8",
    });

  test("on a port in use fails with one line", () => {
    const { status, stdout, stderr } = manage(fixture.writeSettings({ port: fixture.port }));
    expect(status).toBe(1);
    expect(stdout).toBe("");
    expect(stderr).toContain(`127.0.0.1:${fixture.port} is in use`);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  test.each([
    ["no JSON", "{", "Cannot read settings"],
    ["a list", "[]", "one object"],
    [
      "a port that is none",
      '{"name":"x","runDirectory":"/r","stateDirectory":"/s","bootId":"b","interfaces":[],"netconf":{"authorizedKeysFile":"/k","users":["u"],"listen":[{"address":"::1","port":65536}]}}',
      "netconf.listen",
    ],
  ])("with settings that are %s fails as a wrong use", (_name, text, reason) => {
    const file = join(fixture.folder, "bad.json");
    writeFileSync(file, text);
    const { status, stderr } = manage(file);
    expect(status).toBe(2);
    expect(stderr).toContain(reason);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });

  test("makes a host key that only the process can read", async () => {
    const key = join(fixture.stateDirectory, "ssh_host_ed25519_key");
    expect(spawnSync("stat", ["-c", "%a", key], { encoding: "utf8" }).stdout.trim()).toBe("600");
    const scanned = await runProgram("ssh-keyscan", ["-p", String(fixture.port), "127.0.0.1"]);
    const own = readFileSync(`${key}.pub`, "utf8").split(" ").slice(0, 2).join(" ");
    expect(scanned).toContain(own.trim());
  });
});

test("a socket that the parent passes is served", async () => {
  const other = new ManageFixture();
  const listener: Server = createServer();
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  try {
    const address = listener.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    // biome-ignore lint/suspicious/noExplicitAny: Node shows a listener's descriptor nowhere else.
    await other.start({ inheritedFd: (listener as any)._handle.fd });
    listener.close(); // Ours; the process has its own descriptor.
    const client = other.driver();
    other.port = port;
    await waitFor(() => other.stderr.includes("NETCONF is served"), "it serves");
    expect((await other.connect(client, "i")).sessionId).toBe(1);
  } finally {
    await other.dispose();
  }
});
