/** Policy without the offload engine: what a commit forbids is cut on the slow path all the same. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { acl, aclConfig, zoneConfig } from "../appliance/configs.ts";
import { buildProgram, DataProcess, Testbed } from "../appliance/testbed.ts";
import { buildTopology, DATA_INTERFACES, udp } from "../appliance/topology.ts";
import { ask, hold, serve, stillAlive, untilEchoes } from "../appliance/traffic.ts";

const LAN_TO_WAN = { name: "out", from: "inside", to: "outside", action: "accept" };
/** More than data-cut deletes in one batch. */
const MANY = 150;
const bed = new Testbed();
let data: DataProcess;

beforeAll(async () => {
  const entry = buildProgram();
  buildTopology(bed);
  data = await DataProcess.start(bed, entry, "vnf", DATA_INTERFACES);
  await data.stop();
  // Nothing can serve on this path, so the engine cannot start; the path itself must.
  const file = join(bed.folder, "vnf.json");
  const settings = JSON.parse(readFileSync(file, "utf8")) as object;
  const offloadPort = { kind: "unix", mode: "listen", path: "/proc/no-socket" };
  writeFileSync(file, JSON.stringify({ ...settings, offloadPort }));
  await data.launch("vnf");
  await serve(bed, "server", [80, 81]);
});
afterAll(async () => {
  await data?.stop();
  bed.close();
});

function countEntries(protocol: string, port: number): number {
  const lines = bed.exec("vnf", ["cat", "/proc/net/nf_conntrack"]).split("\n");
  return lines.filter((line) => line.includes(` ${protocol} `) && line.includes(` dport=${port} `))
    .length;
}

test("a commit cuts every live flow that it forbids and no other, in as many batches as it takes", async () => {
  expect(data.stderr).toContain("Offload is off");
  await data.commit(zoneConfig([LAN_TO_WAN]));
  const kept = hold(bed, "client", "192.0.2.10", 80);
  const cut = Array.from({ length: 2 }, () => hold(bed, "client", "192.0.2.10", 81));
  await untilEchoes([kept, ...cut], 3);
  const probes = Array.from({ length: MANY }, () => udp("192.0.2.10", 81));
  const answers = await ask(bed, "client", probes);
  expect(answers.filter((answer) => answer !== null)).toHaveLength(MANY);
  expect([countEntries("tcp", 80), countEntries("tcp", 81)]).toEqual([1, 2]);
  expect(countEntries("udp", 81)).toBe(MANY);
  const port = { "destination-port": { port: 81 } };
  const deny = acl("deny", [
    { name: "no-tcp", matches: { tcp: port }, forwarding: "drop" },
    { name: "no-udp", matches: { udp: port }, forwarding: "drop" },
  ]);
  const outcome = await data.commit({
    ...zoneConfig([{ ...LAN_TO_WAN, acl: ["deny"] }]),
    ...aclConfig([deny]),
  });
  expect(outcome).toEqual({ cutFlows: MANY + 2, cutOffloadedFlows: 0, late: [] });
  expect(await stillAlive([kept, ...cut])).toEqual([true, false, false]);
  expect([countEntries("tcp", 80), countEntries("udp", 81)]).toEqual([1, 0]);
  for (const connection of [kept, ...cut]) connection.close();
});
