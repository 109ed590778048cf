/** The three functions on real packets: clients, one appliance, servers. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import {
  acl,
  aclConfig,
  lbConfig,
  natConfig,
  virtualService,
  zoneConfig,
} from "../appliance/configs.ts";
import { buildProgram, DataProcess, Testbed } from "../appliance/testbed.ts";
import { buildTopology, DATA_INTERFACES, tcp, udp } from "../appliance/topology.ts";
import { ask, BRIEFLY_MS, hold, serve, stillAlive, untilEchoes } from "../appliance/traffic.ts";

const bed = new Testbed();
let data: DataProcess;

const LAN_TO_WAN = { name: "out", from: "inside", to: "outside", action: "accept" };
const POOL = ["192.0.2.100/30"];
const FORWARD = { external: "192.0.2.100", port: 8080, internal: "10.0.0.10", internalPort: 80 };

beforeAll(async () => {
  const entry = buildProgram();
  buildTopology(bed);
  data = await DataProcess.start(bed, entry, "vnf", DATA_INTERFACES);
  await Promise.all([serve(bed, "client", [80, 81]), serve(bed, "server", [80, 81, 53])]);
});
afterAll(async () => {
  await data?.stop();
  bed.close();
});

test("appliance-data runs as an ordinary user with two capabilities, and closes the path at first", async () => {
  const own = readFileSync(`/proc/${data.child.pid}/status`, "utf8");
  expect(own).toMatch(/Uid:\t65534\t/);
  // CAP_NET_ADMIN is 12, CAP_NET_RAW is 13.
  expect(own).toMatch(/CapEff:\t0000000000003000/);
  const answers = await ask(
    bed,
    "client",
    [...[tcp("192.0.2.10"), udp("192.0.2.10"), tcp("fd00:b::10"), udp("fd00:b::10")]],
    BRIEFLY_MS,
  );
  expect(answers).toEqual([null, null, null, null]);
});

describe("nat", () => {
  beforeAll(async () => {
    expect(await data.commit(natConfig(POOL, [FORWARD]))).toMatchObject({ late: [] });
  });

  test("NAPT44 gives all flows of one internal host the same external address of the pool", async () => {
    const sources = ["10.0.0.10", "10.0.0.11"];
    const pools = new Set(["192.0.2.100", "192.0.2.101", "192.0.2.102", "192.0.2.103"]);
    for (const source of sources) {
      const probes = Array.from({ length: 20 }, (_, index) =>
        tcp("192.0.2.10", 80 + (index % 2), source),
      );
      const answers = await ask(bed, "client", probes);
      const addresses = new Set(answers.map((answer) => answer?.split(" ")[1]));
      expect(addresses.size).toBe(1);
      expect(pools).toContain([...addresses][0]);
    }
  });

  test("port forwarding leads from the external to the internal endpoint", async () => {
    const [answer] = await ask(bed, "server", [tcp("192.0.2.100", 8080)]);
    expect(answer).toMatch(/^client 192\.0\.2\.10 /);
  });

  test("hairpinning presents an external source address (RFC 4787 REQ-9)", async () => {
    const [answer] = await ask(bed, "client", [tcp("192.0.2.100", 8080, "10.0.0.11")]);
    expect(answer).toMatch(/^client 192\.0\.2\.10[0-3] /);
  });

  test("what hits no mapping from the external realm is dropped", async () => {
    const probes = [tcp("10.0.0.10"), udp("10.0.0.10"), tcp("192.0.2.100", 8081)];
    const answers = await ask(bed, "server", probes, BRIEFLY_MS);
    expect(answers.filter((answer) => answer?.startsWith("client"))).toEqual([]);
  });

  test("several separate ranges keep an internal host on one address", async () => {
    await data.commit(natConfig(["192.0.2.100/32", "192.0.2.102/32"]));
    const answers = await ask(
      bed,
      "client",
      Array.from({ length: 10 }, () => tcp("192.0.2.10")),
    );
    const addresses = new Set(answers.map((answer) => answer?.split(" ")[1]));
    expect(addresses.size).toBe(1);
    expect(["192.0.2.100", "192.0.2.102"]).toContain([...addresses][0]);
  });

  test("dynamic mappings and totals appear as operational data", async () => {
    const state = (await data.peer.call("get-state", {})) as Record<string, never>;
    const [instance] = (state["ietf-nat:nat"] as never)["instances"]["instance"] as [
      { "mapping-table": { "mapping-entry": Record<string, unknown>[] } },
    ];
    const [entry] = instance["mapping-table"]["mapping-entry"];
    expect(entry).toMatchObject({ type: "dynamic-implicit", "transport-protocol": 6 });
  });
});

test("operational data is valid by the modules", async () => {
  const text = JSON.stringify(await data.peer.call("get-state", {}));
  const file = join(bed.folder, "state.json");
  writeFileSync(file, text);
  const root = findProjectRoot();
  const folders = [
    "/usr/share/yuma/modules/ietf",
    "/usr/share/yang/modules/libyang",
    `${root}/yang`,
  ];
  const modules = [
    "ietf-nat",
    "flowlift-zones",
    "flowlift-load-balancer",
    "flowlift-offload-state",
    "flowlift-interfaces.yang",
  ];
  const own = modules.map((name) => {
    const file = readdirSync(`${root}/yang`).find((item) => item.startsWith(name));
    return `${root}/yang/${file}`;
  });
  const network = [
    "iana-if-type@2014-05-08",
    "ietf-interfaces@2014-05-08",
    "ietf-ip@2014-06-16",
    "ietf-routing@2016-11-04",
    "ietf-ipv4-unicast-routing@2016-11-04",
    "ietf-ipv6-unicast-routing@2016-11-04",
  ].map((name) => `/usr/share/yuma/modules/ietf/${name}.yang`);
  const paths = [...network, ...own];
  const args = [
    ...folders.flatMap((folder) => ["-p", folder]),
    ...["-F", "ietf-nat:napt44,basic-nat44,dst-nat"],
    ...["-F", "ietf-interfaces:if-mib", "-t", "get", ...paths, file],
  ];
  expect(text).toContain("dynamic-implicit");
  expect(text).toContain("flowlift-offload-state:offload-state");
  execFileSync("yanglint", args, { stdio: "pipe" });
});

describe("firewall", () => {
  test("zones deny by default: nothing leaks in, IPv4 and IPv6", async () => {
    await data.commit(zoneConfig([LAN_TO_WAN]));
    const out = await ask(bed, "client", [
      ...[tcp("192.0.2.10"), udp("192.0.2.10"), tcp("fd00:b::10"), udp("fd00:b::10")],
    ]);
    expect(out.every((answer) => answer?.startsWith("server"))).toBe(true);
    const targets = ["10.0.0.10", "10.0.0.11", "fd00:a::10"];
    const probes = targets.flatMap((host) =>
      [80, 81].flatMap((port) => [tcp(host, port), udp(host, port)]),
    );
    const answers = await ask(bed, "server", probes, BRIEFLY_MS);
    expect(answers.filter((answer) => answer !== null)).toEqual([]);
    const pings = await Promise.all(
      targets.map((host) => bed.try("server", ["ping", "-c1", "-W0.5", host])),
    );
    expect(pings.map((ping) => ping.ok)).toEqual([false, false, false]);
  });

  test("host-inbound services are closed unless the zone grants them", async () => {
    expect((await bed.try("client", ["ping", "-c1", "-W0.5", "10.0.0.1"])).ok).toBe(false);
    await data.commit(zoneConfig([LAN_TO_WAN], ["ping"]));
    expect((await bed.try("client", ["ping", "-c1", "-W0.5", "10.0.0.1"])).ok).toBe(true);
    expect((await bed.try("client", ["ping", "-c1", "-W0.5", "fd00:a::1"])).ok).toBe(true);
    expect((await bed.try("server", ["ping", "-c1", "-W0.5", "192.0.2.1"])).ok).toBe(false);
  });

  test("ACLs judge in order at the interface, count for each ACE, and reject with a reset", async () => {
    const rules = acl("edge", [
      {
        name: "no-81",
        matches: { tcp: { "destination-port": { port: 81 } } },
        forwarding: "reject",
      },
      {
        name: "v4",
        matches: { ipv4: { "destination-ipv4-network": "192.0.2.0/24" } },
        forwarding: "accept",
      },
    ]);
    await data.commit(aclConfig([rules], [["lan", "ingress", "edge"]]));
    const answers = await ask(
      bed,
      "client",
      [tcp("192.0.2.10", 81), tcp("192.0.2.10", 80), tcp("fd00:b::10")],
      BRIEFLY_MS,
    );
    expect(answers[0]).toBe("refused");
    expect(answers[1]).toMatch(/^server/);
    expect(answers[2]).toBeNull();
    const state = (await data.peer.call("get-state", {})) as Record<string, never>;
    const text = JSON.stringify(state["ietf-access-control-list:acls"]);
    expect(text).toContain('"name":"no-81","matched-packets":"1"');
    expect(text).toContain('"name":"v4","matched-packets":"1"');
  });

  test("a counter keeps its value over a commit that does not touch it", async () => {
    const before = bed.exec("vnf", ["nft", "list", "counters"]);
    expect(before).toMatch(/packets 1 /);
    const rules = acl("edge", [
      {
        name: "no-81",
        matches: { tcp: { "destination-port": { port: 81 } } },
        forwarding: "reject",
      },
      {
        name: "v4",
        matches: { ipv4: { "destination-ipv4-network": "192.0.2.0/24" } },
        forwarding: "accept",
      },
    ]);
    const attached = aclConfig([rules], [["lan", "ingress", "edge"]]);
    await data.commit({
      ...attached,
      ...lbConfig([virtualService("v", "10.8.0.1", [["one", "10.9.1.2", 1]])]),
    });
    const state = (await data.peer.call("get-state", {})) as Record<string, never>;
    const text = JSON.stringify(state["ietf-access-control-list:acls"]);
    expect(text).toContain('"name":"no-81","matched-packets":"1"');
  });

  test("a commit cuts the live flow that it forbids, and no other", async () => {
    await data.commit(zoneConfig([LAN_TO_WAN]));
    const kept = hold(bed, "client", "192.0.2.10", 80);
    const cut = hold(bed, "client", "192.0.2.10", 81);
    await untilEchoes([kept, cut], 5);
    const deny = acl("deny", [
      { name: "no-81", matches: { tcp: { "destination-port": { port: 81 } } }, forwarding: "drop" },
    ]);
    const outcome = await data.commit({
      ...zoneConfig([{ ...LAN_TO_WAN, acl: ["deny"] }]),
      ...aclConfig([deny]),
    });
    expect(outcome).toMatchObject({ cutFlows: 1, late: [] });
    expect(await stillAlive([kept, cut])).toEqual([true, false]);
    kept.close();
    cut.close();
  });
});
