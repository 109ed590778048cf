/** A real bridge process between Unix sockets and a gRPC server with mutual TLS. */
import { chmodSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { initControllerPki, loadControllerTls } from "../../src/lib/pki/store.ts";
import {
  encodeMarker,
  encodeMessage,
  FrameDecoder,
  type SessionId,
} from "../../src/offload-protocol/framing.ts";
import {
  type BridgeProcess,
  BridgeSite,
  type Guest,
  MARKER,
} from "../offload-bridge/bridge-site.ts";
import { TestUpstream } from "../offload-bridge/test-upstream.ts";
import { eventually } from "../serial/eventually.ts";

const ID = "00000000000000bb" as SessionId;
const LIMITS = {
  messageBytesMax: 100_000,
  messagesPerSec: 200,
  messagesBurst: 400,
  bytesPerSec: 2_000_000,
  bytesBurst: 1_000_000,
};
const YEAR_MS = 365 * 24 * 3600 * 1000;

let site: BridgeSite;
let upstream: TestUpstream;
const cleanups: (() => unknown)[] = [];

beforeEach(async () => {
  site = new BridgeSite();
  upstream = await TestUpstream.start(loadControllerTls(site.pki));
  site.writeSettings(`127.0.0.1:${upstream.port}`, { limits: LIMITS });
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  upstream.stop();
  await site.dispose();
});

/** Starts the bridge, and waits until both virtual machines' calls are there. */
async function startAttached(): Promise<BridgeProcess> {
  const bridge = site.start();
  expect([await bridge.ready, bridge.stderr()]).toEqual([true, ""]);
  await eventually(() => expect(tenantsAttached()).toEqual(["blue", "red"]));
  return bridge;
}

function tenantsAttached(): string[] {
  return upstream.calls
    .filter((call) => !call.isOver)
    .map((call) => call.tenant)
    .sort();
}

function callOf(tenant: string): TestUpstream["calls"][number] {
  const call = upstream.calls.findLast((each) => each.tenant === tenant && !each.isOver);
  if (call === undefined) throw new Error(`no call of ${tenant}`);
  return call;
}

test("a bridge forwards both ways, opaque, each socket under its own stamp", async () => {
  const bridge = await startAttached();
  const red = await site.dial("red");
  const blue = await site.dial("blue");
  red.socket.write(MARKER);
  red.send("I am blue", "\u0000\u0001");
  await eventually(() => {
    expect(callOf("red").frames).toEqual(["serial-up", "M", "m:I am blue", "m:\u0000\u0001"]);
    expect(callOf("blue").frames).toEqual(["serial-up"]);
  });
  const stamps = upstream.calls.map(({ host, vm }) => `${host} ${vm}`);
  expect(stamps).toEqual(["host-1 gateway", "host-1 gateway"]);
  callOf("blue").send({ kind: "marker", sessionId: ID });
  callOf("blue").send({ kind: "message", bytes: Buffer.from("for blue") });
  await eventually(() => expect(blue.received).toEqual(["M", "for blue"]));
  expect(red.received).toEqual([]);
  red.close();
  await eventually(() => expect(callOf("red").frames.at(-1)).toBe("serial-down"));
  bridge.child.kill("SIGTERM");
  expect(await bridge.exited).toBe(0);
});

test("a bridge runs as nobody, without any capability", async () => {
  const bridge = await startAttached();
  const status = readFileSync(`/proc/${bridge.child.pid}/status`, "utf8");
  expect(status).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
  for (const set of ["CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
    expect(status).toMatch(new RegExp(`^${set}:\t0000000000000000$`, "m"));
  }
});

test("a bridge reaches a controller on a Unix socket, by the same certificates, and again after it was away", async () => {
  const address = `unix:${join(site.folder, "controller.sock")}`;
  const start = async (): Promise<TestUpstream> => {
    const started = await TestUpstream.start(loadControllerTls(site.pki), address);
    chmodSync(join(site.folder, "controller.sock"), 0o666); // The bridge is nobody.
    return started;
  };
  upstream.stop();
  upstream = await start();
  site.writeSettings(address, { limits: LIMITS });
  await startAttached();
  expect(upstream.calls.map(({ host }) => host)).toEqual(["host-1", "host-1"]);
  const red = await site.dial("red");
  red.socket.write(MARKER);
  red.send("through a file");
  await eventually(() =>
    expect(callOf("red").frames).toEqual(["serial-up", "M", "m:through a file"]),
  );
  upstream.stop();
  rmSync(join(site.folder, "controller.sock"), { force: true });
  upstream = await start();
  await eventually(() => expect(tenantsAttached()).toEqual(["blue", "red"]), 10_000);
  await eventually(() => expect(callOf("red").frames).toEqual(["serial-up"]));
});

test("a bridge on a Unix socket still refuses a controller of another authority", async () => {
  const address = `unix:${join(site.folder, "controller.sock")}`;
  const pki = join(site.folder, "other-pki");
  initControllerPki(pki);
  upstream.stop();
  upstream = await TestUpstream.start(loadControllerTls(pki), address);
  chmodSync(join(site.folder, "controller.sock"), 0o666);
  site.writeSettings(address, { limits: LIMITS });
  expect(await site.start().ready).toBe(true);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect(upstream.calls).toEqual([]);
});

test("a bridge that was killed and started again attaches, and its sockets work again", async () => {
  const first = await startAttached();
  const before = await site.dial("red");
  before.socket.write(MARKER);
  before.socket.write("\n#100\ntorn");
  await eventually(() => expect(callOf("red").frames).toEqual(["serial-up", "M"]));
  first.child.kill("SIGKILL");
  await eventually(() => expect([before.isClosed, tenantsAttached()]).toEqual([true, []]));
  await startAttached();
  const after = await site.dial("red");
  after.send("of no session");
  after.socket.write(MARKER);
  after.send("again");
  await eventually(() => expect(callOf("red").frames).toEqual(["serial-up", "M", "m:again"]));
});

test("a bridge attaches again when the controller comes back, and says which ports are up", async () => {
  await startAttached();
  const red = await site.dial("red");
  red.socket.write(MARKER);
  await eventually(() => expect(callOf("red").frames).toEqual(["serial-up", "M"]));
  const { port } = upstream;
  upstream.stop();
  red.send("while nobody listens");
  upstream = await TestUpstream.start(loadControllerTls(site.pki), port);
  await eventually(() => expect(tenantsAttached()).toEqual(["blue", "red"]), 10_000);
  await eventually(() => expect(callOf("red").frames).toEqual(["serial-up"]));
  red.send("of the session before");
  red.socket.write(MARKER);
  red.send("new");
  await eventually(() => expect(callOf("red").frames).toEqual(["serial-up", "M", "m:new"]));
});

/** Sends echo requests as blue, and returns how many came back. */
async function echoAsBlue(blue: Guest, count: number): Promise<number> {
  const call = callOf("blue");
  await eventually(() => expect(call.frames).toEqual(["serial-up"]));
  call.onMessage = (bytes) => call.send({ kind: "message", bytes });
  call.send({ kind: "marker", sessionId: ID });
  blue.socket.write(MARKER);
  for (let index = 0; index < count; index++) {
    blue.send(`echo ${index}`);
    await eventually(() => expect(blue.received.at(-1)).toBe(`echo ${index}`));
  }
  return blue.received.filter((text) => text.startsWith("echo ")).length;
}

test("a virtual machine that floods is limited, and another one is not affected", async () => {
  await startAttached();
  const red = await site.dial("red");
  const blue = await site.dial("blue");
  const started = performance.now();
  let flooding = true;
  let offered = 0;
  const flood = async (): Promise<void> => {
    const burst = Buffer.concat([MARKER, ...Array.from({ length: 200 }, () => encodeMessage("x"))]);
    while (flooding) {
      offered += 201;
      if (!red.socket.write(burst))
        await new Promise((resolve) => red.socket.once("drain", resolve));
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const flooded = flood();
  expect(await echoAsBlue(blue, 50)).toBe(50);
  await new Promise((resolve) => setTimeout(resolve, 500));
  flooding = false;
  red.socket.emit("drain");
  await flooded;
  const frames = callOf("red").frames.filter((frame) => !frame.startsWith("refused"));
  const seconds = (performance.now() - started) / 1000;
  const { messagesBurst, messagesPerSec } = LIMITS;
  expect(frames.length).toBeLessThanOrEqual(messagesBurst + messagesPerSec * (seconds + 1) + 1);
  expect(offered).toBeGreaterThan(3 * frames.length);
  expect(callOf("red").frames).toContain("refused message-rate");
  // The flood was drained all the time: the guest's writes never froze.
  expect(callOf("blue").frames.some((frame) => frame.startsWith("refused"))).toBe(false);
});

test("an oversized message is dropped and told, and the next session works", async () => {
  await startAttached();
  const red = await site.dial("red");
  red.socket.write(MARKER);
  red.send("y".repeat(LIMITS.messageBytesMax), "z".repeat(LIMITS.messageBytesMax + 1), "lost");
  await eventually(() => {
    const kinds = callOf("red").frames.map((frame) => frame.slice(0, 3));
    expect(kinds).toEqual(["ser", "M", "m:y", "ref"]);
  });
  expect(callOf("red").frames.at(-1)).toBe("refused message-bytes");
  red.socket.write(MARKER);
  red.send("again");
  await eventually(() => expect(callOf("red").frames.at(-1)).toBe("m:again"));
});

test("a bridge connects to a socket that somebody else makes, as QEMU does", async () => {
  const path = join(site.folder, "chardev.sock");
  const vm = { tenant: "red", vm: "gateway", socketPath: path, mode: "connect" };
  site.writeSettings(`127.0.0.1:${upstream.port}`, { vms: [vm] });
  const bridge = site.start();
  expect(await bridge.ready).toBe(true);
  await eventually(() => expect(callOf("red").frames).toEqual([]));
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => sockets.push(socket));
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  chmodSync(path, 0o666);
  await eventually(() => expect(callOf("red").frames).toEqual(["serial-up"]));
  callOf("red").send({ kind: "marker", sessionId: ID });
  const bytes = await new Promise<Buffer>((resolve) => sockets[0]?.once("data", resolve));
  expect(bytes.equals(encodeMarker(ID))).toBe(true);
  expect(new FrameDecoder().push(bytes)).toEqual([{ kind: "marker", sessionId: ID }]);
});

test("a certificate of a foreign authority gets no call through", async () => {
  const foreign = join(site.folder, "foreign");
  initControllerPki(foreign);
  site.issue(foreign);
  const bridge = site.start();
  expect(await bridge.ready).toBe(true);
  await eventually(() => expect(bridge.stderr()).toMatch(/UNAVAILABLE/));
  expect(upstream.calls).toEqual([]);
});

test("an expired certificate stops the bridge with the reason and exit code 1", async () => {
  const expired = new BridgeSite();
  cleanups.push(() => expired.dispose());
  rmSync(join(expired.bridgePki, "bridge.cert.pem"));
  expired.issue(expired.pki, new Date(Date.now() - 2 * YEAR_MS));
  expired.writeSettings(`127.0.0.1:${upstream.port}`);
  const bridge = expired.start();
  expect(await bridge.exited).toBe(1);
  expect(bridge.stderr()).toMatch(/bridge\.cert\.pem" expired at .*`flowlift pki` renews it\n$/);
});

test("a renewed certificate is used without a restart, and a broken one changes nothing", async () => {
  const bridge = await startAttached();
  const red = await site.dial("red");
  const before = upstream.calls.length;
  rmSync(join(site.bridgePki, "bridge.cert.pem"));
  bridge.child.kill("SIGHUP");
  await eventually(() => expect(bridge.stderr()).toMatch(/the certificate stays as it was/));
  expect(upstream.calls.length).toBe(before);
  site.issue(site.pki);
  bridge.child.kill("SIGHUP");
  await eventually(() => {
    expect(bridge.stderr()).toMatch(/the certificate was renewed/);
    expect(upstream.calls.length).toBe(before + 2);
    expect(tenantsAttached()).toEqual(["blue", "red"]);
  });
  red.socket.write(MARKER);
  red.send("after the renewal");
  await eventually(() => expect(callOf("red").frames).toContain("m:after the renewal"));
});

test("wrong settings stop the bridge with the member's name and exit code 2", async () => {
  site.writeSettings(`127.0.0.1:${upstream.port}`, { vms: [{ tenant: "red" }] });
  const bridge = site.start();
  expect(await bridge.exited).toBe(2);
  expect(bridge.stderr()).toMatch(/^flowlift: Cannot use ".*": "vms\[0\]\.mode" is neither/);
});
