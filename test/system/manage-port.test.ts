/**
 * The management port end to end: a real appliance-manage, the real `flowlift connect`, and clients that know
 * nothing of it (OpenSSH, ncclient). QEMU's part is played by a socket pair.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type LocalRpcHandlers, listenLocalRpc } from "../../src/lib/base/local-rpc.ts";
import { Chardev } from "./chardev.ts";
import { MAIN, ManageFixture, USER, waitFor } from "./netconf-fixture.ts";

const run = promisify(execFile);
const HELLO =
  '<hello xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><capabilities>' +
  "<capability>urn:ietf:params:netconf:base:1.0</capability></capabilities></hello>]]>]]>";
const rpc = (id: number, body: string): string =>
  `<rpc xmlns="urn:ietf:params:xml:ns:netconf:base:1.0" message-id="${id}">${body}</rpc>]]>]]>`;
const ASK = '<get><filter type="subtree"><appliance xmlns="urn:flowlift:system"/></filter></get>';

const fixture = new ManageFixture();
const chardev = new Chardev(
  join(fixture.folder, "manage.sock"),
  join(fixture.runDirectory, "guest.sock"),
);
const children: ChildProcess[] = [];
const helperCalls: unknown[] = [];

/** Runs `flowlift connect` until it says READY; returns its port. */
async function listen(): Promise<{ readonly port: number; readonly child: ChildProcess }> {
  const words = [MAIN, "connect", "--socket", chardev.hostPath, "--listen", "127.0.0.1:0"];
  const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  let said = "";
  child.stderr?.on("data", (bytes: Buffer) => {
    said += bytes.toString();
  });
  await new Promise((resolve) => child.stdout?.once("data", resolve));
  return { port: Number(/at port (\d+)/.exec(said)?.[1]), child };
}

/** Runs OpenSSH's client over the port; returns what the server said. */
async function ssh(input: string): Promise<string> {
  const proxy = `${process.execPath} ${MAIN} connect --socket ${chardev.hostPath} --stdio`;
  const words = ["-o", `ProxyCommand=${proxy}`, "-o", "StrictHostKeyChecking=no"];
  const files = [
    "-o",
    "UserKnownHostsFile=/dev/null",
    "-o",
    "LogLevel=ERROR",
    "-i",
    fixture.keyFile,
  ];
  const child = spawn("ssh", [...words, ...files, "-s", `${USER}@vm`, "netconf"]);
  children.push(child);
  let output = "";
  child.stdout.on("data", (bytes: Buffer) => {
    output += bytes.toString();
  });
  child.stderr.on("data", (bytes: Buffer) => {
    output += bytes.toString();
  });
  child.stdin.write(input);
  await new Promise((resolve) => child.once("close", resolve));
  return output;
}

async function startManage(bootId: string): Promise<void> {
  const managePort = { kind: "unix", path: chardev.guestPath };
  await fixture.start({ bootId, settings: { managePort } });
}

beforeAll(async () => {
  await fixture.data.start();
  await chardev.start();
  const handlers: LocalRpcHandlers = {
    "install-key": (params) => {
      helperCalls.push(params);
      return { fingerprint: "SHA256:made-up" };
    },
  };
  await listenLocalRpc(join(fixture.runDirectory, "helper.sock"), handlers, undefined, 0o666);
  await startManage("boot-1");
});

afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  chardev.close();
  await fixture.dispose();
});

describe("flowlift connect --stdio", () => {
  test("OpenSSH speaks NETCONF through it", async () => {
    const output = await ssh(HELLO + rpc(1, ASK) + rpc(2, "<close-session/>"));
    expect(output).toContain("<boot-id>boot-1</boot-id>");
    expect(output).toContain('message-id="2"><ok/>');
  });

  test("the port carries SSH's ciphertext and no word of NETCONF", () => {
    const bytes = Buffer.concat(chardev.seen).toString("latin1");
    expect(bytes).toContain("SSH-2.0-flowlift");
    expect(bytes).not.toContain("netconf:base");
    expect(bytes).not.toContain("boot-1");
  });

  test("two clients at once are served through the one port", async () => {
    const both = await Promise.all(
      [1, 2].map(() => ssh(HELLO + rpc(7, ASK) + rpc(8, "<close-session/>"))),
    );
    for (const output of both) expect(output).toContain('message-id="7"');
  });
});

describe("flowlift connect --install-key", () => {
  const install = (key: string): Promise<{ readonly stdout: string }> =>
    run(process.execPath, [
      ...[MAIN, "connect", "--socket", chardev.hostPath],
      ...["--install-key", key, "--code", "ABCD-2345"],
    ]);

  test("brings key and code to the VM's helper, and tells the fingerprint", async () => {
    const { stdout } = await install(`${fixture.keyFile}.pub`);
    expect(stdout).toBe("The key SHA256:made-up may log in now\n");
    const key = readFileSync(`${fixture.keyFile}.pub`, "utf8").trim();
    expect(helperCalls).toEqual([{ code: "ABCD-2345", key }]);
  });

  test("refuses a private key before it leaves the machine", async () => {
    await expect(install(fixture.keyFile)).rejects.toMatchObject({ code: 2 });
    expect(helperCalls).toHaveLength(1);
  });
});

describe("flowlift connect --listen", () => {
  test("ncclient works through a relay that another one owns, and after that one was killed", async () => {
    const { port } = await listen();
    const driver = fixture.driver();
    expect(await fixture.connect(driver, "first", { port })).toHaveProperty("sessionId");
    // The relay that --stdio left behind owns the port; its path names its process.
    const { stdout } = await run("pgrep", ["-f", `connect --relay --socket ${chardev.hostPath}`]);
    for (const pid of stdout.trim().split("\n")) process.kill(Number(pid), "SIGKILL");
    await waitFor(async () => {
      const reply = await fixture.connect(fixture.driver(), "second", { port });
      return reply.sessionId !== undefined;
    }, "a session after the relay died");
  });

  test("sessions work again after the VM rebooted", async () => {
    const { port } = await listen();
    await fixture.connect(fixture.driver(), "before", { port });
    await fixture.stop("SIGKILL");
    await startManage("boot-2");
    const output = await ssh(HELLO + rpc(1, ASK) + rpc(2, "<close-session/>"));
    expect(output).toContain("<boot-id>boot-2</boot-id>");
  });

  test("sessions work again after both connections of the port were cut", async () => {
    chardev.cut();
    const output = await ssh(HELLO + rpc(1, ASK) + rpc(2, "<close-session/>"));
    expect(output).toContain("<boot-id>boot-2</boot-id>");
  });

  test("noise on the line costs at most the sessions that it hit", async () => {
    chardev.inject(randomBytes(100_000));
    const output = await ssh(HELLO + rpc(1, ASK) + rpc(2, "<close-session/>"));
    expect(output).toContain("<boot-id>boot-2</boot-id>");
  });

  test("a client that says something else than a service is turned away", async () => {
    const socket = connect(`${chardev.hostPath}.relay`);
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => {});
    socket.write("X");
    await closed;
  });
});
