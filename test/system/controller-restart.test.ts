import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
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

let site: ControllerSite | undefined;
const others: Running[] = [];
const clients: VmClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const { child, exited } of others.splice(0)) {
    child.kill("SIGKILL");
    await exited;
  }
  await site?.dispose();
  site = undefined;
});

async function open(owner: ControllerSite, running: Running): Promise<VmClient> {
  const client = new VmClient(
    connectBridge(running.ready["grpc"] ?? "", owner.bridgeTls("host-1"), RED),
  );
  clients.push(client);
  await client.until(() => client.isOpen);
  return client;
}

async function startAgent(socket: string): Promise<Running> {
  const agent = await startProcess([AGENT, dirname(dirname(MAIN)), socket]);
  others.push(agent);
  return agent;
}

test("after kill -9 the controller takes back what the fast path holds, and tells what was not told", async () => {
  const owner = new ControllerSite({ driver: "agent" });
  site = owner;
  const socket = join(owner.directory, "agent.sock");
  owner.writeConfig(configWithNeighbours(socket));
  const agent = await startAgent(socket);
  const first = await owner.start();
  const before = await open(owner, first);
  const flows = Array.from({ length: 50 }, (_, index) => natFlow(BigInt(index + 1)));
  await before.call({ kind: "request-offload", epoch: EPOCH, flows });
  await before.until(() => before.events.length === 50);
  const { sequence: settled } = before.events[9] ?? { sequence: 0n };
  await before.call({ kind: "acknowledge-events", sequence: settled });
  agent.child.stdin?.write("\n\n\n");
  await before.until(() => before.statistics.length >= 50);
  const told = before.statistics.at(-1)?.counters.original;
  expect(told).toMatchObject({ fastPackets: 3n, fastBytes: 300n });
  first.child.kill("SIGKILL");
  await first.exited;

  const second = await owner.start();
  const after = await open(owner, second);
  const held = await after.call({ kind: "get-flows", limit: 1024 });
  if (held.kind !== "get-flows") throw new Error("get-flows is answered");
  expect(held.flows.length).toBe(50);
  expect(held.flows.every(({ state }) => state === "active")).toBe(true);
  expect(held.flows.map(({ flow }) => flow)).toEqual(expect.arrayContaining(flows));
  // What was not acknowledged comes again, with the same numbers; the rest does not.
  await after.until(() => after.events.length >= 40);
  expect(after.events).toEqual(before.events.slice(10));
  const gone = await after.call({
    kind: "withdraw-offload",
    epoch: EPOCH,
    selection: { kind: "all" },
  });
  if (gone.kind !== "withdraw-offload") throw new Error("withdraw-offload is answered");
  expect(gone.results.length).toBe(50);
  expect(gone.results[0]).toMatchObject({ counters: { original: { fastPackets: 3n } } });
  await after.until(() => after.events.length === 90);
  expect(after.events.at(-1)?.sequence).toBeGreaterThan(before.events.at(-1)?.sequence ?? 0n);
});

test("a fast path that lost everything closes every flow; one that holds what nobody knows is cleaned", async () => {
  const owner = new ControllerSite({ driver: "agent" });
  site = owner;
  const socket = join(owner.directory, "agent.sock");
  owner.writeConfig(configWithNeighbours(socket));
  const agent = await startAgent(socket);
  const running = await owner.start();
  const vm = await open(owner, running);
  await vm.call({ kind: "request-offload", epoch: EPOCH, flows: [natFlow(1n), natFlow(2n)] });
  await vm.until(() => vm.events.length === 2);
  agent.child.kill("SIGKILL");
  await agent.exited;
  await startAgent(socket);
  await vm.until(() => vm.events.length === 4);
  expect(vm.events.slice(2).map(({ what }) => what)).toMatchObject([
    { kind: "closed", cause: "evicted" },
    { kind: "closed", cause: "evicted" },
  ]);
  await vm.call({ kind: "request-offload", epoch: EPOCH, flows: [natFlow(3n)] });
  await vm.until(() => vm.events.length === 5);
  // A controller without this state directory knows nothing of flow 3, which the agent holds.
  running.child.kill("SIGKILL");
  await running.exited;
  const stranger = new ControllerSite({ driver: "agent" });
  stranger.writeConfig(configWithNeighbours(socket));
  const next = await stranger.start();
  await expect.poll(next.stderr).toContain("removing flows that belong to nobody");
  await stranger.dispose();
});

test("--mock serves the serial protocol without bridge, with faults that can be changed", async () => {
  site = new ControllerSite();
  const path = join(site.directory, "{vm}.sock");
  const mock = await startProcess([
    MAIN,
    "controller",
    "--mock",
    "--listen",
    `unix:${path}`,
    "--config",
    site.configFile,
    "--token",
    "a-token-for-this-test",
    "--table",
    "2",
  ]);
  others.push(mock);
  expect(mock.stderr()).toContain("point the appliance's offload port at unix");
  const serial = join(site.directory, "red-gateway.sock");
  expect(existsSync(serial)).toBe(true);
  const vm = new VmClient(await connectSerial(serial));
  clients.push(vm);
  await vm.until(() => vm.isOpen);
  const flows = [natFlow(1n), natFlow(2n), natFlow(3n)];
  await vm.call({ kind: "request-offload", epoch: EPOCH, flows });
  await vm.until(() => vm.events.length === 3);
  expect(vm.events.map(({ what }) => what.kind).sort()).toEqual([
    "activated",
    "activated",
    "refused-late",
  ]);
  const change = (faults: unknown): Promise<Response> =>
    fetch(`${mock.ready["admin"]}/faults`, {
      method: "POST",
      headers: {
        authorization: "Bearer a-token-for-this-test",
        "content-type": "application/json",
      },
      body: JSON.stringify(faults),
    });
  expect((await change({ refuseShare: 2 })).status).toBe(400);
  expect(await (await change({ tableFlows: 100, refuseShare: 1 })).json()).toMatchObject({
    refuseShare: 1,
  });
  await vm.call({ kind: "request-offload", epoch: EPOCH, flows: [natFlow(4n)] });
  await vm.until(() => vm.events.length === 4);
  expect(vm.events[3]?.what).toEqual({ kind: "refused-late", reason: "table-full" });
  await change({ crashAfter: 1 });
  void vm.call({ kind: "renew-lease", epoch: EPOCH }).catch(() => {});
  await mock.exited;
  expect(mock.child.signalCode).toBe("SIGKILL");
});
