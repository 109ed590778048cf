/** Our transactions in the kernel: equal to hand-written ones, atomic, incremental, safe, fast enough. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { PREPARED_MAX } from "../../src/appliance/data-plane.ts";
import {
  acl,
  aclConfig,
  lbConfig,
  natConfig,
  virtualService,
  zoneConfig,
} from "../appliance/configs.ts";
import { buildProgram, DataProcess, Testbed } from "../appliance/testbed.ts";

const bed = new Testbed();
let entry = "";
let data: DataProcess;

beforeAll(async () => {
  entry = buildProgram();
  bed.netns("vnf");
  data = await DataProcess.start(bed, entry, "vnf", ["lan", "wan"]);
});
afterAll(async () => {
  await data?.stop();
  bed.close();
});

/** nft's own words, without digests; the place maps are tested by themselves below. */
function canonical(text: string): string[] {
  return text
    .replaceAll(/-[0-9a-f]{20}\b/g, "-digest")
    .replaceAll(/(iifname \. oifname \. ct mark map) \{.*\}/g, "$1")
    .split("\n")
    .sort();
}

const SERVICES = [
  virtualService("web", "10.8.0.1", [
    ["one", "10.9.1.2", 1],
    ["two", "10.9.2.2", 2],
  ]),
  virtualService("six", "fd00:8::1", [["six", "fd00:9::2", 1]], { scheduler: "source-hash" }),
];

const GOLDEN = {
  ...natConfig(
    ["192.0.2.100/30"],
    [{ external: "192.0.2.100", port: 8080, internal: "10.0.0.10", internalPort: 80 }],
    { "subscriber-match": [{ "match-id": 1, subnet: "10.0.0.0/8" }] },
  ),
  ...aclConfig(
    [
      acl(
        "edge",
        [
          {
            name: "web",
            matches: {
              ipv4: { "source-ipv4-network": "10.0.0.0/24" },
              tcp: { "destination-port": { "lower-port": 80, "upper-port": 90 } },
            },
            forwarding: "accept",
          },
          { name: "ttl", matches: { ipv4: { ttl: 1 } }, forwarding: "drop" },
          { name: "ping", matches: { icmp: { type: 8 } }, forwarding: "accept" },
          {
            name: "rest",
            matches: { udp: { "source-port": { operator: "neq", port: 53 } } },
            forwarding: "reject",
          },
        ],
        "ipv4",
      ),
    ],
    [["lan", "ingress", "edge"]],
  ),
  ...zoneConfig([{ name: "out", from: "inside", to: "outside", action: "accept" }], ["ping"]),
  ...lbConfig(SERVICES),
};

test("a representative configuration reads in the kernel as its hand-written form", async () => {
  expect(await data.commit(GOLDEN)).toMatchObject({ late: [] });
  const ours = canonical(bed.exec("vnf", ["nft", "list", "ruleset"]));
  const file = new URL("../nft/golden.nft", import.meta.url);
  bed.exec("hand", ["nft", "-f", "-"], readFileSync(file, "utf8"));
  const hand = canonical(bed.exec("hand", ["nft", "list", "ruleset"]));
  expect(ours).toEqual(hand);
});

test("a new connection's mark tells its service, its interfaces and whether it may be offloaded", () => {
  const text = bed.exec("vnf", ["nft", "list", "chain", "inet", "flowlift", "forward"]);
  const maps = text.split("\n").filter((line) => line.includes("oifname . ct mark map"));
  expect(maps).toHaveLength(2);
  // lan (1) to wan (2): plain, port-forwarded, balanced, and judged by a per-packet field at ingress.
  for (const [from, eligible, other] of [
    ["0x00000000", "0x00020107", "0x00020103"],
    ["0x00000001", "0x00020105", "0x00020101"],
    ["0x00000002", "0x00020106", "0x00020102"],
    ["0x01000000", "0x00020103", "0x00020103"],
  ]) {
    expect(maps[0]).toContain(`"lan" . "wan" . ${from} : ${eligible}`);
    expect(maps[1]).toContain(`"lan" . "wan" . ${from} : ${other}`);
  }
});

test("the same configuration twice changes nothing, whatever the order of its lists", async () => {
  const before = bed.exec("vnf", ["nft", "-a", "list", "ruleset"]);
  const [one, two] = SERVICES;
  await data.commit({ ...GOLDEN, ...lbConfig([two ?? {}, one ?? {}]) });
  const after = bed.exec("vnf", ["nft", "-a", "list", "ruleset"]);
  const chains = (text: string) => text.match(/chain \S+-[0-9a-f]{20} \{ # handle \d+/g);
  expect(chains(after)).toEqual(chains(before));
});

test("a ruleset that the kernel refuses changes nothing", () => {
  const before = bed.exec("vnf", ["nft", "-a", "list", "ruleset"]);
  const modules = entry.replace("/cli/main.js", "");
  // Source translation in a forward chain: valid words, refused by the kernel alone.
  const script = `
    import { openNft } from "${modules}/lib/nft/libnftables.js";
    import { NftTable } from "${modules}/lib/nft/transaction.js";
    import { APPLIANCE_TABLE, closedRuleset } from "${modules}/appliance/ruleset.js";
    const nft = openNft();
    const table = new NftTable(nft, APPLIANCE_TABLE);
    const bad = closedRuleset();
    const snat = { kind: "snat", persistent: false, addresses: { kind: "range", first: "192.0.2.1", last: "192.0.2.1" } };
    const chains = bad.baseChains.map((chain) => chain.name === "forward" ? { ...chain, rules: [[snat]] } : chain);
    for (const method of ["check", "apply"]) {
      try { await table[method]({ ...bad, baseChains: chains }); console.log("accepted"); }
      catch (error) { console.log(error.code); }
    }
    await nft.close();`;
  const output = bed.exec("vnf", [process.execPath, "--input-type=module", "-e", script]);
  expect(output.trim().split("\n")).toEqual(["NFT_APPLY_REJECTED", "NFT_APPLY_REJECTED"]);
  expect(bed.exec("vnf", ["nft", "-a", "list", "ruleset"])).toBe(before);
});

test.each([
  [PREPARED_MAX - 1, true],
  [PREPARED_MAX, true],
  [PREPARED_MAX + 1, false],
])("of %d prepared transactions the first can still be committed: %s", async (count, possible) => {
  const ids = Array.from({ length: count }, (_, index) => `bound-${count}-${index}`);
  for (const transactionId of ids) {
    expect(await data.peer.call("prepare", { transactionId, config: GOLDEN })).toEqual({
      ok: true,
    });
  }
  const commit = data.peer.call("commit", { transactionId: ids[0] });
  if (possible) expect(await commit).toMatchObject({ late: [] });
  else await expect(commit).rejects.toThrow("nothing was prepared");
  for (const transactionId of ids) await data.peer.call("abort", { transactionId });
});

test("abort after commit brings the previous configuration back", async () => {
  await data.commit(GOLDEN);
  const before = bed.exec("vnf", ["nft", "list", "ruleset"]);
  const transactionId = "taken-back";
  await data.peer.call("prepare", { transactionId, config: {} });
  await data.peer.call("commit", { transactionId });
  expect(bed.exec("vnf", ["nft", "list", "ruleset"])).not.toBe(before);
  await data.peer.call("abort", { transactionId });
  expect(canonical(bed.exec("vnf", ["nft", "list", "ruleset"]))).toEqual(canonical(before));
});

const HOSTILE = [
  'x"; flush ruleset; #',
  "x } } table inet evil { chain c { } }",
  "@flowlift",
  "*",
  "$(reboot)",
  "x\\n\\u0000",
  '{"flush":{"ruleset":null}}',
  "ünïcödé 名",
];

test("names chosen by an operator cannot break out of what they name", async () => {
  bed.exec("vnf", ["nft", "add", "table", "inet", "canary"]);
  const aces = HOSTILE.map((name) => ({ name, forwarding: "accept" as const }));
  const outcome = await data.commit({
    ...aclConfig(
      HOSTILE.map((name) => acl(name, aces)),
      [["lan", "ingress", HOSTILE[0] as string]],
    ),
    "flowlift-zones:zones": {
      zone: HOSTILE.map((name, index) => ({ name, interface: index === 0 ? ["lan"] : [] })),
      policy: HOSTILE.map((name) => ({
        name,
        from: name,
        to: name,
        action: "accept",
        acl: HOSTILE,
      })),
    },
    ...lbConfig(
      HOSTILE.map((name, index) =>
        virtualService(
          name,
          `10.8.0.${index + 1}`,
          HOSTILE.map((s, i) => [s, `10.9.0.${i + 1}`, 1] as const),
        ),
      ),
    ),
  });
  expect(outcome).toMatchObject({ late: [] });
  const tables = bed.exec("vnf", ["nft", "list", "tables"]).trim().split("\n");
  expect(tables).toEqual(["table inet flowlift", "table inet canary"]);
  const text = bed.exec("vnf", ["nft", "list", "table", "inet", "flowlift"]);
  for (const name of HOSTILE) expect(text.includes(name) && name.length > 2).toBe(false);
});

test.each(["lan*", "@lan", 'a"b', "a b", "a;b", "sixteen-letters-", ""])(
  "an interface called %j is refused with its path",
  async (name) => {
    const config = aclConfig([acl("a", [])], [[name, "ingress", "a"]]);
    expect(await data.commit(config)).toMatchObject({
      ok: false,
      path: expect.stringContaining("attachment-points"),
    });
  },
);

test("1,000 ACEs are prepared and committed; the time is printed", async () => {
  const aces = Array.from({ length: 1000 }, (_, index) => ({
    name: `ace-${index}`,
    matches: {
      ipv4: { "destination-ipv4-network": `10.${index % 250}.${index % 7}.0/${24 + (index % 4)}` },
      tcp: { "destination-port": { "lower-port": 1000 + index, "upper-port": 1100 + index } },
    },
    forwarding: index % 3 === 0 ? ("drop" as const) : ("accept" as const),
  }));
  const linear = aclConfig([acl("big", aces, "ipv4")], [["lan", "ingress", "big"]]);
  await data.commit({});
  for (const [what, config] of [
    ["first", linear],
    ["again", aclConfig([acl("big", aces.slice(1), "ipv4")], [["lan", "ingress", "big"]])],
  ] as const) {
    const start = performance.now();
    expect(await data.commit(config)).toMatchObject({ late: [] });
    process.stdout.write(`1,000 ACEs, ${what}: ${(performance.now() - start).toFixed(0)} ms\n`);
  }
  const state = JSON.stringify(await data.peer.call("get-state", {}));
  expect(state).toContain('"name":"ace-999","matched-packets":"0"');
});
