/** Delay, loss and reordering, while a connection changes between fast and slow path. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { FastPathDriver } from "../../src/fast-path/driver.ts";
import { clientFlow } from "../fast-path/traffic-flow.ts";
import type { TrafficLab } from "../fast-path/traffic-lab.ts";
import { askUdp, exchangeTcp, openGuestLab, TCP_PORT, waitFor } from "./guest-lab.ts";

const TCP = 6;
const SOURCE_PORT = 30_024;
const TRANSFER_BYTES: number = 4 * 1024 * 1024;
const WEATHER = "delay 4ms 2ms loss 0.5% reorder 2% 25%".split(" ");
const ROUND_MS = 150;

let lab: TrafficLab;
let driver: FastPathDriver;
beforeAll(async () => {
  ({ lab, driver } = await openGuestLab());
  // Behind the fast path and behind the VM alike: packets leave the host through these.
  for (const port of ["pc", "ps"]) {
    lab.exec("h", "tc", "qdisc", "add", "dev", port, "root", "netem", ...WEATHER);
  }
});
afterAll(() => lab.destroy());

test("a transfer arrives whole over a bad network, between fast and slow path", async () => {
  const [client, server] = [lab.countAt("c"), lab.countAt("s")];
  const opening = (await driver.totals()).slots[0];
  await waitFor(async () => (await askUdp(lab, SOURCE_PORT, 1)) === 1);
  const connection = {
    family: 4,
    protocol: TCP,
    sourcePort: SOURCE_PORT,
    destinationPort: TCP_PORT,
  } as const;
  const flow = clientFlow(1, connection);
  let isDone = false;
  const transfer = exchangeTcp(lab, SOURCE_PORT, TRANSFER_BYTES).finally(() => {
    isDone = true;
  });
  const finished = (): boolean => isDone;
  let fastPackets = 0n;
  let rounds = 0;
  while (!finished()) {
    await driver.install([flow]);
    await new Promise((resolve) => setTimeout(resolve, ROUND_MS));
    const [final] = await driver.withdraw([1]);
    if (final?.outcome === "withdrawn") fastPackets += final.counters.original.fastPackets;
    await new Promise((resolve) => setTimeout(resolve, ROUND_MS));
    rounds++;
  }
  expect((await transfer).trim()).toBe("both directions arrived whole");
  expect(rounds).toBeGreaterThan(1);
  expect(fastPackets).toBeGreaterThan(0n);
  // What was lost, was lost behind the ports: everything that was sent is counted there once.
  const closing = (await driver.totals()).slots[0];
  const packets = (closing?.fastPackets ?? 0n) + (closing?.passedPackets ?? 0n);
  const opened = (opening?.fastPackets ?? 0n) + (opening?.passedPackets ?? 0n);
  expect(packets - opened).toBe(client.read().sent.packets + server.read().sent.packets);
  const text = lab.exec("h", "tc", "-s", "qdisc", "show", "dev", "pc");
  expect(Number(/dropped (\d+)/.exec(text)?.[1])).toBeGreaterThan(0);
});
