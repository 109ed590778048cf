import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { compileAppliance, parseApplianceConfig } from "../../src/appliance/data-config.ts";
import { recallConfig, rememberConfig } from "../../src/appliance/data-memory.ts";
import { findInterfaceProblem } from "../../src/appliance/data-server.ts";
import {
  ADMITTING_RULES_MAX,
  createJudge,
  judgesAlike,
  placeOfMark,
} from "../../src/appliance/policy.ts";
import { RULESET_INTERFACES_MAX } from "../../src/appliance/ruleset.ts";
import type { ConntrackEntry } from "../../src/lib/conntrack/entry.ts";
import type { IpAddress, MacAddress } from "../../src/lib/inet/address.ts";
import { policyTagOf, TAGS_MAX } from "../../src/lib/service/policy-tag.ts";
import type { ApplianceInterface } from "../../src/lib/service/provider.ts";
import { RULES_PER_FLOW_MAX } from "../../src/offload-protocol/messages.ts";
import { lbConfig, natConfig, zoneConfig } from "./configs.ts";

function interfaces(count: number): ApplianceInterface[] {
  return Array.from({ length: count }, (_, index) => ({
    name: ["lan", "wan"][index] ?? `if${index}`,
    markIndex: index + 1,
    mac: "02:00:00:00:00:01" as MacAddress,
    mtuBytes: 1500,
    prefixes: [],
  }));
}

function parse(data: Record<string, unknown>) {
  const result = parseApplianceConfig(data, { interfaces: interfaces(2) });
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

const OUT = zoneConfig([{ name: "out", from: "inside", to: "outside", action: "accept" }]);

function flow(mark: number, external = "192.0.2.1"): ConntrackEntry {
  const ends = { client: "10.0.0.9" as IpAddress, server: "198.51.100.1" as IpAddress };
  const ports = { sourcePort: 4000, destinationPort: 80 };
  return {
    ...{ id: 1, zone: 0, status: 0, mark, hasSequenceAdjustment: false },
    original: {
      protocol: 6,
      sourceAddress: ends.client,
      destinationAddress: ends.server,
      ...ports,
    },
    reply: {
      protocol: 6,
      sourceAddress: ends.server,
      destinationAddress: external as IpAddress,
      sourcePort: 80,
      destinationPort: 4000,
    },
  };
}

test("one function's refusal is enough, and every function's rules are listed", () => {
  const both = parse({ ...OUT, ...natConfig(["192.0.2.1/32"]) });
  const place = placeOfMark(0x0002_0105, interfaces(2));
  expect(place).toEqual({ ingressInterface: "lan", egressInterface: "wan" });
  const said = createJudge(both)(flow(0x0002_0105), place);
  expect(said).toMatchObject({ allowed: true, service: "nat", eligible: true });
  expect(said.rules.map((rule) => rule.attachment)).toEqual(["nat", "zone-policy"]);
  const moved = parse({ ...OUT, ...natConfig(["192.0.2.2/32"]) });
  expect(createJudge(moved)(flow(0x0002_0105), place).allowed).toBe(false);
  const closed = parse({ ...zoneConfig([]), ...natConfig(["192.0.2.1/32"]) });
  expect(createJudge(closed)(flow(0x0002_0105), place).allowed).toBe(false);
});

test("a flow that left untranslated is cut when the NAT would translate it now", () => {
  const place = placeOfMark(0x0002_0107, interfaces(2));
  const plain = flow(0x0002_0107, "10.0.0.9");
  expect(createJudge(parse(OUT))(plain, place).allowed).toBe(true);
  const nat = parse({ ...OUT, ...natConfig(["192.0.2.1/32"]) });
  expect(createJudge(nat)(plain, place).allowed).toBe(false);
});

test("nothing is eligible while offload is disabled", () => {
  const off = parse({ ...OUT, "flowlift-zones:offload-policy": { enabled: false } });
  const place = placeOfMark(0x0002_0107, interfaces(2));
  expect(createJudge(off)(flow(0x0002_0107, "10.0.0.9"), place)).toMatchObject({
    allowed: true,
    eligible: false,
  });
});

test("a flow carries no more rules than the protocol takes", () => {
  expect(ADMITTING_RULES_MAX).toBe(RULES_PER_FLOW_MAX);
});

test.each([
  [RULESET_INTERFACES_MAX - 1, true],
  [RULESET_INTERFACES_MAX, true],
  [RULESET_INTERFACES_MAX + 1, false],
])("%d interfaces are possible: %s", (count, possible) => {
  const names = interfaces(count).map((item) => item.name);
  expect(findInterfaceProblem(names) === undefined).toBe(possible);
  const config = parse(OUT);
  const compile = () => compileAppliance(config, { interfaces: interfaces(count) });
  if (possible) expect(compile().baseChains).toHaveLength(6);
  else expect(compile).toThrow("interfaces stay within");
});

test("an interface name that nftables would read as more is refused at start", () => {
  expect(findInterfaceProblem(["lan", "wan*"])).toContain("wan*");
});

test("the remembered configuration is of this boot, or of none", () => {
  const folder = mkdtempSync(join(tmpdir(), "flowlift-memory-"));
  try {
    expect(recallConfig(folder, "boot-1")).toBeUndefined();
    const remembered = { config: { a: 1 }, policyEpoch: 7n, interfaces: ["lan", "vx0"] };
    rememberConfig(folder, "boot-1", remembered);
    expect(recallConfig(folder, "boot-1")).toEqual(remembered);
    expect(recallConfig(folder, "boot-2")).toBeUndefined();
    writeFileSync(join(folder, "data-config.json"), "{torn");
    expect(recallConfig(folder, "boot-1")).toBeUndefined();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("flows need not be judged again for what no judge looks at, and only for that", () => {
  const nat = natConfig(["192.0.2.1/32"]);
  const policy = (more: Record<string, unknown>) => ({ "flowlift-zones:offload-policy": more });
  const before = parse({ ...OUT, ...nat });
  expect(
    judgesAlike(before, parse({ ...OUT, ...nat, ...policy({ "worthiness-packets": 3 }) })),
  ).toBe(true);
  for (const other of [
    { ...OUT, ...nat, ...policy({ enabled: false }) },
    { ...OUT, ...natConfig(["192.0.2.2/32"]) },
    { ...zoneConfig([]), ...nat },
    { ...OUT, ...nat, ...lbConfig([{ name: "web", vip: "10.8.0.1", port: 80, servers: [] }]) },
  ]) {
    expect(judgesAlike(before, parse(other))).toBe(false);
  }
});

test.each([TAGS_MAX - 1, TAGS_MAX, TAGS_MAX + 1])(
  "tags stay the same after %d others",
  (others) => {
    const tag = policyTagOf("firewall", "out");
    const many = Array.from({ length: others }, (_, index) => policyTagOf("nat", `${index}`));
    expect(new Set(many).size).toBe(others);
    expect(policyTagOf("firewall", "out")).toBe(tag);
  },
);
