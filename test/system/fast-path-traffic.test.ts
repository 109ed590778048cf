/** The fast path on real traffic: what it forwards, what it leaves to the VM, what it counts. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { FastPathDriver, NeighbourLocation } from "../../src/fast-path/driver.ts";
import { connectRemoteDriver } from "../../src/fast-path/remote-driver.ts";
import type { EndpointCounter } from "../../src/lab/endpoint-counter.ts";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import {
  clientFlow,
  GENERATION,
  MAC_CLIENT,
  MAC_SERVER,
  PORT_CLIENT,
  PORT_SERVER,
  SEGMENT_A,
  SEGMENT_B,
  SERVER,
  SLOT,
} from "../fast-path/traffic-flow.ts";
import { TrafficLab } from "../fast-path/traffic-lab.ts";
import { patience } from "../support/patience.ts";

const UDP_SCRIPT = join(findProjectRoot(), "test/fast-path/udp-echo.mjs");
const TCP_SCRIPT = join(findProjectRoot(), "test/fast-path/tcp-exchange.mjs");
const UDP_PORT = 7000;
const TCP_PORT = 7001;
const TRANSFER_BYTES: number = 150 * 1024 * 1024;
const TCP = 6;
const UDP = 17;

let lab: TrafficLab;
let driver: FastPathDriver;
const counters: { client?: EndpointCounter; server?: EndpointCounter } = {};

beforeAll(async () => {
  lab = new TrafficLab();
  await lab.startAgent();
  driver = await lab.connect();
  counters.client = lab.countAt("c");
  counters.server = lab.countAt("s");
  lab.spawn("s", process.execPath, UDP_SCRIPT, "server", String(UDP_PORT));
  lab.spawn("s", process.execPath, TCP_SCRIPT, "server", String(TCP_PORT));
  await waitFor(() => {
    const listening = lab.exec("s", "ss", "-lntuH");
    return listening.includes(`:${UDP_PORT}`) && listening.includes(`:${TCP_PORT}`);
  });
});
afterAll(() => lab.destroy());

async function waitFor(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + patience(10_000);
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`this never came true: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function askUdp(family: 4 | 6, sourcePort: number, count: number): Promise<number> {
  const words = ["client", SERVER[family], UDP_PORT, sourcePort, count, 600].map(String);
  return Number(await lab.finish("c", process.execPath, UDP_SCRIPT, ...words));
}

/** The counter law: what both endpoints sent to the VM is what the ports forwarded or passed. */
async function expectCounterLaw(): Promise<void> {
  const [slot] = (await driver.totals()).slots;
  const sent = [counters.client!.read().sent, counters.server!.read().sent];
  expect({
    packets: slot!.fastPackets + slot!.passedPackets,
    bytes: slot!.fastBytes + slot!.passedBytes,
  }).toEqual({
    packets: sent.reduce((sum, tally) => sum + tally.packets, 0n),
    bytes: sent.reduce((sum, tally) => sum + tally.bytes, 0n),
  });
}

describe("the agent", () => {
  test("runs with its own user and CAP_BPF and CAP_NET_ADMIN only", () => {
    const status = readFileSync(`/proc/${lab.agent?.pid}/status`, "utf8");
    const CAP_NET_ADMIN_AND_BPF = (1n << 12n) | (1n << 39n);
    expect(/^Uid:\s+64005\s+64005\s+64005/m.test(status)).toBe(true);
    const effective = /^CapEff:\s+([0-9a-f]+)/m.exec(status)?.[1];
    expect(BigInt(`0x${effective}`)).toBe(CAP_NET_ADMIN_AND_BPF);
  });

  test("knows on which port each address lives", async () => {
    lab.exec("c", "ping", "-c1", "-W2", SERVER[4]);
    await waitFor(async () => {
      const known = await driver.listNeighbours();
      return [MAC_CLIENT, MAC_SERVER].every((mac) => known.some((entry) => entry.mac === mac));
    });
    expect(await driver.listNeighbours()).toEqual(
      expect.arrayContaining([
        { segmentId: SEGMENT_A, mac: MAC_CLIENT, portId: PORT_CLIENT },
        { segmentId: SEGMENT_B, mac: MAC_SERVER, portId: PORT_SERVER },
      ]),
    );
  });
});

describe.each([4, 6] as const)("UDP over IPv%i", (family) => {
  const sourcePort = 20_000 + family;
  const flow = clientFlow(family, {
    family,
    protocol: UDP,
    sourcePort,
    destinationPort: UDP_PORT,
  });

  test("is answered through the VM, then without it, then through it again", async () => {
    // The first packets may wait for neighbour discovery in vain.
    await waitFor(async () => (await askUdp(family, sourcePort, 5)) === 5);
    expect(await driver.install([flow])).toEqual([{ handle: family, outcome: "installed" }]);
    const before = lab.vmReceived();
    expect(await askUdp(family, sourcePort, 200)).toBe(200);
    // Neighbour discovery still reaches the VM.
    expect(lab.vmReceived() - before).toBeLessThan(10);
    const [outcome] = await driver.withdraw([family]);
    const bytes = 200n * BigInt(600 + 8 + (family === 4 ? 20 : 40));
    expect(outcome).toMatchObject({
      outcome: "withdrawn",
      counters: {
        original: { fastPackets: 200n, fastBytes: bytes, passedPackets: 0n },
        reply: { fastPackets: 200n, fastBytes: bytes, passedPackets: 0n },
      },
    });
    expect(await askUdp(family, sourcePort, 20)).toBe(20);
    await expectCounterLaw();
  });
});

describe.each([
  { segmentation: "on", family: 4 },
  { segmentation: "off", family: 4 },
  { segmentation: "on", family: 6 },
] as const)("TCP over IPv$family with segmentation offload $segmentation", (row) => {
  const { family, segmentation } = row;
  const connection = { family, protocol: TCP, destinationPort: TCP_PORT };

  test("survives install, withdraw, install, and everything is counted", async () => {
    for (const [machine, name] of [
      ["c", "c0"],
      ["s", "s0"],
    ] as const) {
      lab.exec(machine, "ethtool", "-K", name, "tx", segmentation, "tso", segmentation);
      lab.exec(machine, "ethtool", "-K", name, "gso", segmentation, "gro", segmentation);
    }
    const sourcePort = 30_000 + family + (segmentation === "on" ? 10 : 0);
    const flow = clientFlow(100, { ...connection, sourcePort });
    const words = ["client", SERVER[family], TCP_PORT, sourcePort, TRANSFER_BYTES].map(String);
    const transfer = lab.finish("c", process.execPath, TCP_SCRIPT, ...words);
    let isDone = false;
    const done = (): boolean => isDone;
    const result = transfer.finally(() => {
      isDone = true;
    });
    let fastPackets = 0n;
    let rounds = 0;
    while (!done()) {
      const [outcome] = await driver.install([flow]);
      expect(outcome).toEqual({ handle: 100, outcome: "installed" });
      await new Promise((resolve) => setTimeout(resolve, 60));
      const [final] = await driver.withdraw([100]);
      if (final?.outcome === "withdrawn") fastPackets += final.counters.original.fastPackets;
      rounds++;
    }
    expect((await result).trim()).toBe("both directions arrived whole");
    expect(rounds).toBeGreaterThan(1);
    expect(fastPackets).toBeGreaterThan(1000n);
    await expectCounterLaw();
  });
});

describe("while nobody looks", () => {
  const sourcePort = 20_100;
  const flow = clientFlow(7, { family: 4, protocol: UDP, sourcePort, destinationPort: UDP_PORT });

  test("a killed agent's flows are forwarded on, and the next agent adopts them", async () => {
    await driver.install([flow]);
    expect(await askUdp(4, sourcePort, 10)).toBe(10);
    let losses = 0;
    driver.onLost = () => {
      losses++;
    };
    await lab.killAgent("SIGKILL");
    await waitFor(() => losses === 1);
    const before = lab.vmReceived();
    expect(await askUdp(4, sourcePort, 100)).toBe(100);
    expect(lab.vmReceived() - before).toBeLessThan(10);
    await lab.startAgent();
    driver = await lab.connect();
    expect(await driver.listFlows?.()).toEqual([flow]);
    expect(await askUdp(4, sourcePort, 10)).toBe(10);
    const [outcome] = await driver.withdraw([7]);
    expect(outcome).toMatchObject({ counters: { original: { fastPackets: 120n } } });
    await expectCounterLaw();
  });

  test("with the agent dead, flows end with their lease", async () => {
    await driver.install([flow]);
    await driver.setSlot(SLOT, GENERATION, 600);
    await lab.killAgent("SIGKILL");
    await new Promise((resolve) => setTimeout(resolve, 700));
    const before = lab.vmReceived();
    expect(await askUdp(4, sourcePort, 50)).toBe(50);
    expect(lab.vmReceived() - before).toBeGreaterThanOrEqual(100);
    await lab.startAgent();
    driver = await lab.connect();
    await driver.withdraw([7]);
  });

  test("an agent with another table size replaces what it finds, and the old programs go", async () => {
    await driver.install([flow]);
    expect(await lab.killAgent("SIGTERM")).toBe(0);
    await lab.startAgent(512);
    const fresh = await connectRemoteDriver(lab.socketPath);
    expect(await fresh.listFlows?.()).toEqual([]);
    const before = lab.vmReceived();
    expect(await askUdp(4, sourcePort, 20)).toBe(20);
    expect(lab.vmReceived() - before).toBeGreaterThanOrEqual(40);
    await fresh.close();
    driver = await lab.connect();
  });
});

describe("a port", () => {
  const sourcePort = 20_200;
  const flow = clientFlow(8, { family: 4, protocol: UDP, sourcePort, destinationPort: UDP_PORT });

  test("that is made anew is bound again by its name, and its addresses are told", async () => {
    await driver.install([flow]);
    expect(await askUdp(4, sourcePort, 5)).toBe(5);
    const told: NeighbourLocation[] = [];
    driver.onNeighbour = (location) => told.push(location);
    lab.exec("h", "ip", "link", "del", "pc");
    await waitFor(() => told.some(({ mac, portId }) => mac === MAC_CLIENT && portId === undefined));
    lab.wireClient();
    await waitFor(() => lab.exec("h", "tc", "filter", "show", "dev", "pc", "ingress").length > 0);
    const before = lab.vmReceived();
    expect(await askUdp(4, sourcePort, 50)).toBe(50);
    expect(lab.vmReceived() - before).toBeLessThan(20);
    await waitFor(() => told.at(-1)?.portId === PORT_CLIENT);
    await driver.withdraw([8]);
  });

  test("whose addresses move is told, and ageing alone loses nothing", async () => {
    lab.exec("h", "bridge", "fdb", "del", MAC_SERVER, "dev", "ps", "master");
    const known = await driver.listNeighbours();
    expect(known).toContainEqual({ segmentId: SEGMENT_B, mac: MAC_SERVER, portId: PORT_SERVER });
    const told: NeighbourLocation[] = [];
    driver.onNeighbour = (location) => told.push(location);
    lab.exec("h", "bridge", "fdb", "replace", MAC_SERVER, "dev", "pvb", "master", "static");
    await waitFor(() => told.some(({ mac, portId }) => mac === MAC_SERVER && portId === 3));
    lab.exec("h", "bridge", "fdb", "replace", MAC_SERVER, "dev", "ps", "master", "static");
    await waitFor(() => told.at(-1)?.portId === PORT_SERVER);
  });

  test("that is down as a way out leaves its flows to the VM, and takes them back", async () => {
    await driver.install([flow]);
    lab.exec("h", "ip", "link", "set", "ps", "down");
    const before = lab.vmReceived();
    expect(await askUdp(4, sourcePort, 1)).toBe(0);
    expect(lab.vmReceived() - before).toBeGreaterThanOrEqual(1);
    lab.exec("h", "ip", "link", "set", "ps", "up");
    await waitFor(async () => (await askUdp(4, sourcePort, 5)) === 5);
    const passed = lab.vmReceived();
    expect(await askUdp(4, sourcePort, 50)).toBe(50);
    expect(lab.vmReceived() - passed).toBeLessThan(20);
    await driver.withdraw([8]);
  });
});
