/** The contract suite on a driver behind the agent's socket, and what the connection itself promises. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { serveDriver } from "../../src/fast-path/agent.ts";
import type { NeighbourLocation } from "../../src/fast-path/driver.ts";
import { MemoryDriver } from "../../src/fast-path/memory/memory-driver.ts";
import { connectRemoteDriver } from "../../src/fast-path/remote-driver.ts";
import { SILENT_LOG } from "../../src/lib/base/log.ts";
import { describeDriverContract } from "./contract.ts";
import { CLIENT, INSIDE_PORT, makePorts, VNICS } from "./contract-subject.ts";

const folder = mkdtempSync(join(tmpdir(), "flowlift-agent-"));
let sockets = 0;
afterAll(() => rmSync(folder, { recursive: true }));

function nextSocketPath(): string {
  return join(folder, `${sockets++}.sock`);
}

describeDriverContract("remote", async (limits) => {
  const memory = new MemoryDriver({ limits });
  const path = nextSocketPath();
  const served = await serveDriver(memory, path, SILENT_LOG);
  const driver = await connectRemoteDriver(path);
  return {
    driver,
    interfaceNames: ["inside", "outside", "vm"],
    play: (portId, frame) => memory.playFrame(portId, frame),
    async close() {
      await driver.close();
      await served.close();
    },
  };
});

test("neighbours are told and listed, and a port that goes takes its own along", async () => {
  const memory = new MemoryDriver();
  const path = nextSocketPath();
  const served = await serveDriver(memory, path, SILENT_LOG);
  const driver = await connectRemoteDriver(path);
  const told: NeighbourLocation[] = [];
  driver.onNeighbour = (location) => told.push(location);
  const ports = makePorts(["a", "b", "c"]);
  await driver.configure({ ports, vnics: VNICS });
  memory.learnNeighbour(INSIDE_PORT, CLIENT);
  const here = { segmentId: 10, mac: CLIENT, portId: INSIDE_PORT };
  expect(await driver.listNeighbours()).toEqual([here]);
  await driver.configure({ ports: ports.slice(1), vnics: VNICS });
  expect(await driver.listNeighbours()).toEqual([]);
  expect(told).toEqual([here, { ...here, portId: undefined }]);
  await driver.close();
  await served.close();
});

test("onLost() is called once when the agent ends, and not after close()", async () => {
  const path = nextSocketPath();
  const served = await serveDriver(new MemoryDriver(), path, SILENT_LOG);
  const losses: string[] = [];
  const abandoned = await connectRemoteDriver(path);
  abandoned.onLost = () => losses.push("abandoned");
  const closed = await connectRemoteDriver(path);
  closed.onLost = () => losses.push("closed");
  await closed.close();
  await abandoned.totals();
  await served.close();
  await expect(abandoned.totals()).rejects.toMatchObject({ code: "LOCAL_RPC_CLOSED" });
  expect(losses).toEqual(["abandoned"]);
  await expect(connectRemoteDriver(path)).rejects.toMatchObject({ code: "LOCAL_RPC_CLOSED" });
});

test("a driver that is lost behind a living agent is lost for its controller", async () => {
  const memory = new MemoryDriver();
  const path = nextSocketPath();
  const served = await serveDriver(memory, path, SILENT_LOG);
  const driver = await connectRemoteDriver(path);
  const lost = new Promise<void>((resolve) => {
    driver.onLost = resolve;
  });
  await driver.totals();
  memory.onLost();
  await lost;
  await served.close();
});
