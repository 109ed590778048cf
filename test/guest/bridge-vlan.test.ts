/** The fast path at the ports of a bridge that filters VLANs, as hosts have it. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { FastPathDriver } from "../../src/fast-path/driver.ts";
import { clientFlow, MAC_CLIENT, PORT_CLIENT, SEGMENT_A } from "../fast-path/traffic-flow.ts";
import type { TrafficLab } from "../fast-path/traffic-lab.ts";
import { askUdp, openGuestLab, UDP_PORT, waitFor } from "./guest-lab.ts";

const UDP = 17;
const SOURCE_PORT = 20_014;
const TENANT_VLAN = 10;
const OTHER_VLAN = 20;

let lab: TrafficLab;
let driver: FastPathDriver;

function moveTo(vlan: number, port: string, from: number): void {
  const bridge = (...words: string[]): string => lab.exec("h", "bridge", "vlan", ...words);
  bridge("add", "dev", port, "vid", `${vlan}`, "pvid", "untagged");
  bridge("del", "dev", port, "vid", `${from}`);
}

beforeAll(async () => {
  ({ lab, driver } = await openGuestLab((made) => {
    lab = made;
    lab.exec("h", "ip", "link", "set", "bra", "type", "bridge", "vlan_filtering", "1");
    for (const port of ["pc", "pva"]) moveTo(TENANT_VLAN, port, 1);
  }));
});
afterAll(() => lab.destroy());

test("an address learnt in a VLAN is told with its port, and its flow is redirected", async () => {
  await waitFor(async () => (await askUdp(lab, SOURCE_PORT, 3)) === 3);
  expect(lab.exec("h", "bridge", "fdb", "show", "br", "bra")).toContain(`vlan ${TENANT_VLAN}`);
  const client = { segmentId: SEGMENT_A, mac: MAC_CLIENT, portId: PORT_CLIENT };
  await waitFor(async () => JSON.stringify(await driver.listNeighbours()).includes(MAC_CLIENT));
  expect(await driver.listNeighbours()).toContainEqual(client);
  const connection = {
    family: 4,
    protocol: UDP,
    sourcePort: SOURCE_PORT,
    destinationPort: UDP_PORT,
  } as const;
  expect(await driver.install([clientFlow(1, connection)])).toMatchObject([
    { outcome: "installed" },
  ]);
  const before = lab.vmReceived();
  expect(await askUdp(lab, SOURCE_PORT, 50)).toBe(50);
  expect(lab.vmReceived() - before).toBeLessThan(10);
  expect(await driver.withdraw([1])).toMatchObject([
    { outcome: "withdrawn", counters: { original: { fastPackets: 50n } } },
  ]);
});

test("a host in another VLAN of the same bridge reaches nobody", async () => {
  moveTo(OTHER_VLAN, "pc", TENANT_VLAN);
  expect(await askUdp(lab, SOURCE_PORT, 2)).toBe(0);
  moveTo(TENANT_VLAN, "pc", OTHER_VLAN);
  await waitFor(async () => (await askUdp(lab, SOURCE_PORT, 3)) === 3);
});
