/** What the controller tells over its admin endpoint, updates on their way to a driver, and the mock's faults. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { connectRemoteDriver } from "../../src/fast-path/remote-driver.ts";
import { openListeningSocket } from "../../src/lab/listening-socket.ts";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import type { MacAddress } from "../../src/lib/inet/address.ts";
import {
  ControllerSite,
  configWithNeighbours,
  MAIN,
  type Running,
  startProcess,
} from "../controller/controller-process.ts";
import { connectBridge, connectSerial, VmClient } from "../controller/vm-client.ts";
import { EPOCH, natFlow } from "../controller/world.ts";

const RED = { tenant: "red", vm: "gateway" };
const AGENT = join(findProjectRoot(), "test/controller/memory-agent.mjs");
const TOKEN = "a-token-for-this-test";
const STREAMS_MAX = 16;

let site: ControllerSite | undefined;
const clients: VmClient[] = [];
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await site?.dispose();
  site = undefined;
});

function keep(running: Running): Running {
  cleanups.push(async () => {
    running.child.kill("SIGKILL");
    await running.exited;
  });
  return running;
}

async function open(owner: ControllerSite, running: Running): Promise<VmClient> {
  const tls = owner.bridgeTls("host-1");
  const client = new VmClient(connectBridge(running.ready["grpc"] ?? "", tls, RED));
  clients.push(client);
  await client.until(() => client.isOpen);
  return client;
}

interface EventStream {
  readonly response: Response;
  readonly text: () => string;
  readonly abort: () => void;
}

/** Follows /events; what came is in `text()`. */
async function follow(owner: ControllerSite, running: Running, accept = ""): Promise<EventStream> {
  const aborter = new AbortController();
  cleanups.push(() => aborter.abort());
  const token = readFileSync(join(owner.directory, "token"), "utf8").trim();
  const headers = { authorization: `Bearer ${token}`, ...(accept === "" ? {} : { accept }) };
  const { signal } = aborter;
  const response = await fetch(`${running.ready["admin"]}/events`, { headers, signal });
  let text = "";
  const read = async (): Promise<void> => {
    for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString();
  };
  if (response.ok) read().catch(() => {}); // It is aborted at the end.
  return { response, text: () => text, abort: () => aborter.abort() };
}

describe("/events", () => {
  test("tells each flow's life as JSON lines and as server-sent events, to each listener", async () => {
    const owner = new ControllerSite();
    site = owner;
    const running = await owner.start();
    const lines = await follow(owner, running);
    const sse = await follow(owner, running, "text/event-stream");
    expect(lines.response.headers.get("content-type")).toBe("application/x-ndjson");
    expect(sse.response.headers.get("content-type")).toBe("text/event-stream");
    const vm = await open(owner, running);
    const wrong = { ...natFlow(2n), idleTimeoutMs: 0 };
    await vm.call({ kind: "request-offload", epoch: EPOCH, flows: [natFlow(1n), wrong] });
    await vm.until(() => vm.events.length === 1);
    await vm.call({ kind: "withdraw-offload", epoch: EPOCH, selection: { kind: "all" } });
    await expect.poll(() => lines.text().split("\n").length).toBe(4);
    const told = lines.text().trim().split("\n");
    const news = told.map((line) => JSON.parse(line) as Record<string, unknown>);
    const same = { tenant: "red", vm: "gateway", epoch: EPOCH };
    expect(news.find(({ kind }) => kind === "refused")).toMatchObject({ ...same, flowId: "2" });
    expect(news.find(({ kind }) => kind === "activated")).toMatchObject({
      ...same,
      flowId: "1",
      directions: "both",
      tuple: "6 10.0.0.5:1025 > 198.51.100.7:443",
    });
    expect(news.find(({ kind }) => kind === "closed")).toMatchObject({
      ...same,
      cause: "withdrawn",
      counters: { original: { fastPackets: "0" } },
    });
    await expect.poll(sse.text).toBe(told.map((line) => `data: ${line}\n\n`).join(""));
  });

  test(`serves ${STREAMS_MAX} listeners, not one more, and again one when one has gone`, async () => {
    const owner = new ControllerSite();
    site = owner;
    const running = await owner.start();
    const streams: EventStream[] = [];
    for (let count = 0; count < STREAMS_MAX; count++) streams.push(await follow(owner, running));
    expect(new Set(streams.map(({ response }) => response.status))).toEqual(new Set([200]));
    expect((await follow(owner, running)).response.status).toBe(503);
    streams[0]?.abort();
    await expect
      .poll(async () => (await follow(owner, running)).response.status, { timeout: 5_000 })
      .toBe(200);
  });
});

test("the admin endpoint serves on a socket that was inherited, also what waited before the start", async () => {
  const owner = new ControllerSite();
  site = owner;
  const socket = openListeningSocket(0);
  cleanups.push(() => socket.close());
  const waiting = fetch(`http://127.0.0.1:${socket.port}/flows`);
  const child = spawn(process.execPath, [MAIN, "controller", "--settings", owner.settingsFile], {
    stdio: ["ignore", "pipe", "inherit", socket.fd],
    env: { ...process.env, LISTEN_FDS: "1" },
  });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  cleanups.push(async () => {
    child.kill("SIGKILL");
    await exited;
  });
  expect((await waiting).status).toBe(401);
  const token = readFileSync(join(owner.directory, "token"), "utf8").trim();
  const headers = { authorization: `Bearer ${token}` };
  const answer = await fetch(`http://127.0.0.1:${socket.port}/flows`, { headers });
  expect(await answer.json()).toMatchObject({ total: 0 });
});

test("update-offload reaches the driver: next hop and MTU, in the direction that is named", async () => {
  const owner = new ControllerSite({ driver: "agent" });
  site = owner;
  const socketPath = join(owner.directory, "agent.sock");
  const config = configWithNeighbours(socketPath) as {
    "flowlift-controller:controller": {
      host: { port: { interface: string; "static-neighbour"?: string[] }[] }[];
    };
  };
  const other = "02:00:00:0a:02:77" as MacAddress;
  const ports = config["flowlift-controller:controller"].host[0]?.port ?? [];
  const behind = ports.find((port) => port.interface === "red-server");
  behind?.["static-neighbour"]?.push(other);
  owner.writeConfig(config);
  keep(await startProcess([AGENT, dirname(dirname(MAIN)), socketPath]));
  const running = await owner.start();
  const vm = await open(owner, running);
  await vm.call({ kind: "request-offload", epoch: EPOCH, flows: [natFlow(1n)] });
  await vm.until(() => vm.events.length === 1);
  const driver = await connectRemoteDriver(socketPath);
  cleanups.push(() => driver.close());
  const held = async () => (await driver.listFlows?.())?.[0];
  const before = await held();
  expect(before?.original).toMatchObject({ newDestinationMac: "02:00:00:0a:02:01" });
  const update = { kind: "update-offload", epoch: EPOCH, flowId: 1n } as const;
  const originalEgress = { nextHop: other, mtuBytes: 1400 };
  const stale = await vm.call({ ...update, expectedVersion: 9n, originalEgress });
  expect(stale).toMatchObject({ outcome: "refused", reason: "version-conflict", version: 1n });
  const done = await vm.call({ ...update, expectedVersion: 1n, originalEgress });
  expect(done).toMatchObject({ outcome: "updated", version: 2n });
  await expect
    .poll(async () => (await held())?.original)
    .toEqual({ ...before?.original, newDestinationMac: other, mtuBytes: 1400 });
  expect((await held())?.reply).toEqual(before?.reply);
});

describe("--mock", () => {
  async function start(...faults: string[]): Promise<VmClient> {
    const owner = new ControllerSite();
    site = owner;
    const listen = `unix:${join(owner.directory, "{vm}.sock")}`;
    const words = ["controller", "--mock", "--listen", listen, "--config", owner.configFile];
    keep(await startProcess([MAIN, ...words, "--token", TOKEN, ...faults]));
    const vm = new VmClient(await connectSerial(join(owner.directory, "red-gateway.sock")));
    clients.push(vm);
    await vm.until(() => vm.isOpen);
    return vm;
  }

  test("--delay holds up installs and withdrawals, not the answer to a request", async () => {
    const vm = await start("--delay", "400");
    const startedMs = performance.now();
    const granted = await vm.call({ kind: "request-offload", epoch: EPOCH, flows: [natFlow(1n)] });
    expect(granted).toMatchObject({ results: [{ outcome: "granted-pending" }] });
    expect(vm.events).toEqual([]);
    await vm.until(() => vm.events.length === 1);
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(399);
    const withdrawnAtMs = performance.now();
    await vm.call({ kind: "withdraw-offload", epoch: EPOCH, selection: { kind: "all" } });
    expect(performance.now() - withdrawnAtMs).toBeGreaterThanOrEqual(399);
  });

  test("--drop-replies 1 answers nothing, and does what was asked all the same", async () => {
    const vm = await start("--drop-replies", "1");
    let hasAnswer = false;
    vm.call({ kind: "request-offload", epoch: EPOCH, flows: [natFlow(1n)] }).then(
      () => {
        hasAnswer = true;
      },
      () => {}, // In its own time; the test is over by then.
    );
    await vm.until(() => vm.events.length === 1);
    expect(vm.events[0]).toMatchObject({ flowId: 1n, what: { kind: "activated" } });
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(hasAnswer).toBe(false);
  });

  test("--reorder 1 sends an answer after the one that follows, and a lone one late", async () => {
    const vm = await start("--reorder", "1");
    const order: string[] = [];
    const note = (name: string) => () => void order.push(name);
    await Promise.all([
      vm.call({ kind: "renew-lease", epoch: EPOCH }).then(note("first")),
      vm.call({ kind: "get-flows", limit: 1 }).then(note("second")),
    ]);
    expect(order).toEqual(["second", "first"]);
    expect(await vm.call({ kind: "renew-lease", epoch: EPOCH })).toMatchObject({ leaseMs: 30_000 });
    expect(vm.decodeFailures).toEqual([]);
  });
});
