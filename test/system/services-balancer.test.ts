/** The load balancer on real packets, and commits that must not disturb anything. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { lbConfig, natConfig, virtualService } from "../appliance/configs.ts";
import { buildProgram, DataProcess, Testbed } from "../appliance/testbed.ts";
import { buildTopology, DATA_INTERFACES, DMZ_HOSTS } from "../appliance/topology.ts";
import { hold, many, serve, stillAlive, untilEchoes } from "../appliance/traffic.ts";

const bed = new Testbed();
let data: DataProcess;

const POOL = ["192.0.2.100/30"];
const FORWARD = { external: "192.0.2.100", port: 8080, internal: "10.0.0.10", internalPort: 80 };

beforeAll(async () => {
  const entry = buildProgram();
  buildTopology(bed);
  data = await DataProcess.start(bed, entry, "vnf", DATA_INTERFACES);
  await Promise.all([
    serve(bed, "client", [80]),
    serve(bed, "server", [80]),
    ...DMZ_HOSTS.map((name) => serve(bed, name, [80])),
  ]);
});
afterAll(async () => {
  await data?.stop();
  bed.close();
});

const SERVERS = [
  ["one", "10.9.1.2", 1],
  ["two", "10.9.2.2", 2],
  ["three", "10.9.3.2", 3],
] as const;

test("weighted round robin is exact over 3,000 connections", async () => {
  await data.commit(lbConfig([virtualService("web", "10.8.0.1", SERVERS)]));
  const answers = await many(bed, "client", { host: "10.8.0.1", port: 80, count: 3000 });
  expect(answers).toEqual({ one: 500, two: 1000, three: 1500 });
});

test("the turn goes on where it stopped over a commit that does not touch the service", async () => {
  const service = lbConfig([virtualService("web", "10.8.0.1", SERVERS)]);
  await data.commit(service);
  const first = await many(bed, "client", { host: "10.8.0.1", port: 80, count: 3 });
  await data.commit({ ...service, ...natConfig(POOL) });
  const second = await many(bed, "client", { host: "10.8.0.1", port: 80, count: 3 });
  const sum = (name: string) => (first[name] ?? 0) + (second[name] ?? 0);
  expect([sum("one"), sum("two"), sum("three")]).toEqual([1, 2, 3]);
});

test("source hash keeps a client on its server, also after a restart of the process", async () => {
  await data.commit(
    lbConfig([virtualService("web", "10.8.0.1", SERVERS, { scheduler: "source-hash" })]),
  );
  const first = await many(bed, "client", { host: "10.8.0.1", port: 80, count: 20 });
  expect(Object.keys(first)).toHaveLength(1);
  const rules = bed.exec("vnf", ["nft", "list", "ruleset"]);
  const held = hold(bed, "client", "10.8.0.1", 80);
  await untilEchoes([held], 5);
  await data.stop("SIGKILL");
  expect(await stillAlive([held])).toEqual([true]);
  await data.launch("vnf");
  const withoutCounts = (text: string) => text.replaceAll(/packets \d+ bytes \d+/g, "");
  expect(withoutCounts(bed.exec("vnf", ["nft", "list", "ruleset"]))).toBe(withoutCounts(rules));
  const second = await many(bed, "client", { host: "10.8.0.1", port: 80, count: 20 });
  expect(Object.keys(second)).toEqual(Object.keys(first));
  held.close();
});

test("a commit of the same configuration cuts nothing: plain, forwarded, hairpinned, balanced, both", async () => {
  const config = {
    ...natConfig(POOL, [FORWARD]),
    ...lbConfig([
      virtualService("web", "10.8.0.1", [["one", "10.9.1.2", 1]]),
      virtualService("out", "10.8.0.2", [["far", "192.0.2.10", 1]]),
    ]),
  };
  await data.commit(config);
  const held = [
    hold(bed, "client", "192.0.2.10", 80),
    hold(bed, "server", "192.0.2.100", 8080),
    hold(bed, "client", "192.0.2.100", 8080),
    hold(bed, "client", "10.8.0.1", 80),
    hold(bed, "client", "10.8.0.2", 80),
  ];
  await untilEchoes(held, 5);
  expect(await data.commit(config)).toMatchObject({ cutFlows: 0, late: [] });
  const moved = { ...config, ...natConfig(["192.0.2.110/32"]) };
  const outcome = (await data.commit(moved)) as { cutFlows: number };
  // All but the balanced connection that stays inside had an external address that is gone.
  expect(outcome.cutFlows).toBeGreaterThanOrEqual(4);
  expect(await stillAlive(held)).toEqual([false, false, false, true, false]);
  for (const connection of held) connection.close();
});

test("a commit that takes a real server away cuts its connections", async () => {
  await data.commit(lbConfig([virtualService("web", "10.8.0.1", [["one", "10.9.1.2", 1]])]));
  const held = hold(bed, "client", "10.8.0.1", 80);
  await untilEchoes([held], 5);
  const outcome = await data.commit(
    lbConfig([virtualService("web", "10.8.0.1", [["two", "10.9.2.2", 1]])]),
  );
  expect(outcome).toMatchObject({ late: [] });
  expect(await stillAlive([held])).toEqual([false]);
  held.close();
});
