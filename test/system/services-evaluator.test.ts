/** The evaluator and the kernel agree: random small rulesets, real packets. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseApplianceConfig } from "../../src/appliance/data-config.ts";
import { createJudge, placeOfMark } from "../../src/appliance/policy.ts";
import type { ConntrackEntry } from "../../src/lib/conntrack/entry.ts";
import type { IpAddress, MacAddress } from "../../src/lib/inet/address.ts";
import type { ApplianceInterface } from "../../src/lib/service/provider.ts";
import { acl, aclConfig, type TestAce, zoneConfig } from "../appliance/configs.ts";
import { buildProgram, DataProcess, Testbed } from "../appliance/testbed.ts";
import { ask, BRIEFLY_MS, type Probe, serve } from "../appliance/traffic.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";

/** Rulesets tried; `flowlift test --full` tries many more. */
const CASES = campaignSize(12, 200);
const SEED = Number(process.env["FLOWLIFT_EVALUATOR_SEED"] ?? 20_261_121);

const bed = new Testbed();
let data: DataProcess;

const CLIENTS = ["10.0.0.10", "10.0.0.11", "10.0.0.130", "fd00:a::10", "fd00:a::11"];
const SERVERS = ["192.0.2.10", "192.0.2.11", "192.0.2.200", "fd00:b::10", "fd00:b::11"];
const PORTS = [80, 81, 8080];
const INTERFACES: readonly ApplianceInterface[] = ["lan", "wan"].map((name, index) => ({
  name,
  markIndex: index + 1,
  mac: "02:00:00:00:00:01" as MacAddress,
  mtuBytes: 1500,
  prefixes: [],
}));

beforeAll(async () => {
  const entry = buildProgram();
  bed.link(
    {
      netns: "client",
      dev: "eth0",
      addresses: CLIENTS.map((host) => `${host}/${host.includes(":") ? 64 : 24}`),
    },
    { netns: "vnf", dev: "lan", addresses: ["10.0.0.1/24", "fd00:a::1/64"] },
  );
  bed.link(
    {
      netns: "server",
      dev: "eth0",
      addresses: SERVERS.map((host) => `${host}/${host.includes(":") ? 64 : 24}`),
    },
    { netns: "vnf", dev: "wan", addresses: ["192.0.2.1/24", "fd00:b::1/64"] },
  );
  for (const [netns, v4, v6] of [
    ["client", "10.0.0.1", "fd00:a::1"],
    ["server", "192.0.2.1", "fd00:b::1"],
  ] as const) {
    bed.exec(netns, ["ip", "route", "add", "default", "via", v4]);
    bed.exec(netns, ["ip", "-6", "route", "add", "default", "via", v6]);
  }
  data = await DataProcess.start(bed, entry, "vnf", ["lan", "wan"]);
  await serve(bed, "server", PORTS);
});
afterAll(async () => {
  await data?.stop();
  bed.close();
});

/** A small generator (mulberry32), so that a failure can be repeated by its seed. */
function randomSource(seed: number): <T>(choices: readonly T[]) => T {
  let state = seed >>> 0;
  return (choices) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    const value = ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
    return choices[Math.floor(value * choices.length)] as (typeof choices)[number];
  };
}

type Pick = ReturnType<typeof randomSource>;

function randomPort(pick: Pick): Record<string, unknown> {
  return pick([
    { port: pick(PORTS) },
    { operator: "neq", port: pick(PORTS) },
    { operator: "lte", port: pick(PORTS) },
    { operator: "gte", port: pick(PORTS) },
    { "lower-port": 80, "upper-port": pick([80, 81, 9000]) },
  ]);
}

function randomAce(pick: Pick, index: number): TestAce {
  const family = pick([4, 6]);
  const ip = family === 4 ? "ipv4" : "ipv6";
  const of = (hosts: readonly string[]) => {
    const host = pick(hosts.filter((name) => name.includes(":") === (family === 6)));
    return `${host}/${pick(family === 4 ? [32, 25, 24, 0] : [128, 127, 64, 0])}`;
  };
  const match: Record<string, unknown> = {};
  if (pick([true, false])) match[`source-${ip}-network`] = of(CLIENTS);
  if (pick([true, false, true])) match[`destination-${ip}-network`] = of(SERVERS);
  const transport = pick(["tcp", "udp", undefined]);
  return {
    name: `ace-${index}`,
    matches: {
      ...(pick([true, true, false]) ? { [ip]: match } : {}),
      ...(transport === undefined ? {} : { [transport]: { "destination-port": randomPort(pick) } }),
    },
    forwarding: pick(["accept", "accept", "drop", "reject"]),
  };
}

/** Mixed lists, and long lists of one shape that become maps. */
function randomAcl(pick: Pick, name: string) {
  const count = pick([1, 3, 6, 14]);
  const uniform = pick([true, false]);
  const aces = Array.from({ length: count }, (_, index): TestAce => {
    if (!uniform) return randomAce(pick, index);
    const ipv4 = {
      "source-ipv4-network": `${pick(CLIENTS.slice(0, 3))}/32`,
      "destination-ipv4-network": `${pick(SERVERS.slice(0, 3))}/${pick([32, 32, 25])}`,
    };
    const port = pick([{ port: pick(PORTS) }, { "lower-port": 81, "upper-port": 9000 }]);
    const forwarding = pick(["accept", "drop", "reject"] as const);
    return {
      name: `ace-${index}`,
      matches: { ipv4, tcp: { "destination-port": port } },
      forwarding,
    };
  });
  return acl(name, aces);
}

function randomConfig(pick: Pick): Record<string, unknown> {
  const acls = ["a", "b", "c"].map((name) => randomAcl(pick, name));
  const attachments = [
    ...(pick([true, false]) ? [["lan", "ingress", "a"] as const] : []),
    ...(pick([true, false, false]) ? [["wan", "egress", "b"] as const] : []),
  ];
  const policy = {
    name: "p",
    from: "inside",
    to: "outside",
    action: pick(["accept", "accept", "drop", "reject"]),
    ...(pick([true, false]) ? { acl: ["c", "a"] } : {}),
  };
  return {
    ...aclConfig(acls, attachments),
    ...(pick([true, true, false])
      ? zoneConfig(pick([true, true, true, false]) ? [policy] : [])
      : {}),
  };
}

function entryOf(probe: Probe): ConntrackEntry {
  const protocol = probe.protocol === "tcp" ? 6 : 17;
  const ends = {
    client: { address: probe.source as IpAddress, port: probe.sourcePort ?? 0 },
    server: { address: probe.host as IpAddress, port: probe.port },
  };
  const tuple = (from: "client" | "server", to: "client" | "server") => ({
    protocol,
    sourceAddress: ends[from].address,
    sourcePort: ends[from].port,
    destinationAddress: ends[to].address,
    destinationPort: ends[to].port,
  });
  return {
    ...{ id: 1, zone: 0, status: 0, mark: 0x0002_0107, hasSequenceAdjustment: false },
    original: tuple("client", "server"),
    reply: tuple("server", "client"),
  };
}

test(
  `judge() says of ${CASES} random rulesets what the kernel does`,
  campaignOptions(),
  async () => {
    const pick = randomSource(SEED);
    let port = 20_000;
    const seen = { allowed: 0, forbidden: 0 };
    for (let index = 0; index < CASES; index++) {
      const config = randomConfig(pick);
      expect(await data.commit(config)).toMatchObject({ late: [] });
      const probes = Array.from({ length: 24 }, (): Probe => {
        const source = pick(CLIENTS);
        const hosts = SERVERS.filter((host) => host.includes(":") === source.includes(":"));
        const protocol = pick(["tcp", "udp"] as const);
        return { protocol, source, sourcePort: port++, host: pick(hosts), port: pick(PORTS) };
      });
      const parsed = parseApplianceConfig(config, { interfaces: INTERFACES });
      if (!parsed.ok) throw new Error(parsed.error.message);
      const judge = createJudge(parsed.value);
      const said = probes.map((probe) => {
        const entry = entryOf(probe);
        return judge(entry, placeOfMark(entry.mark, INTERFACES)).allowed;
      });
      const answers = await ask(bed, "client", probes, BRIEFLY_MS);
      // On a busy machine an answer may be late: what should have passed gets a second, patient chance.
      const again = probes.flatMap((_, at) => (said[at] && answers[at] === null ? [at] : []));
      const fresh = again.map((at) => ({ ...(probes[at] as Probe), sourcePort: port++ }));
      const second = fresh.length === 0 ? [] : await ask(bed, "client", fresh);
      again.forEach((at, index) => {
        answers[at] = second[index] ?? null;
      });
      const done = answers.map((answer) => answer?.startsWith("server ") ?? false);
      const wrong = probes.flatMap((probe, at) =>
        said[at] === done[at] ? [] : [{ ...probe, said: said[at], answer: answers[at] }],
      );
      expect({ wrong, config: wrong.length > 0 ? JSON.stringify(config) : "" }).toEqual({
        wrong: [],
        config: "",
      });
      for (const allowed of said) seen[allowed ? "allowed" : "forbidden"]++;
    }
    // A property that only ever sees one side proves nothing.
    expect(seen.allowed).toBeGreaterThan(CASES);
    expect(seen.forbidden).toBeGreaterThan(CASES);
  },
);
