import { expect, test } from "vitest";
import { parseFirewallConfig } from "../../src/firewall/config.ts";
import { judgeFirewall } from "../../src/firewall/judge.ts";
import type { ConntrackEntry } from "../../src/lib/conntrack/entry.ts";
import type { IpAddress } from "../../src/lib/inet/address.ts";
import { acl, aclConfig, zoneConfig } from "../appliance/configs.ts";

const PLACE = { ingressInterface: "lan", egressInterface: "wan" };

function tuple(source: string, sourcePort: number, destination: string, destinationPort: number) {
  return {
    protocol: 6,
    sourceAddress: source as IpAddress,
    sourcePort,
    destinationAddress: destination as IpAddress,
    destinationPort,
  };
}

/** A client's connection to a VIP, balanced to 10.9.0.1:8080, its source translated to 192.0.2.1. */
const ENTRY: ConntrackEntry = {
  ...{ id: 1, zone: 0, status: 0, mark: 0x0002_0106, hasSequenceAdjustment: false },
  original: tuple("10.0.0.9", 4000, "10.8.0.1", 80),
  reply: tuple("10.9.0.1", 8080, "192.0.2.1", 4000),
};

function judge(data: Record<string, unknown>, place = PLACE) {
  const result = parseFirewallConfig(data, { interfaces: [] });
  if (!result.ok) throw new Error(result.error.message);
  return judgeFirewall(result.value, ENTRY, place);
}

function to(network: string, port: number): Record<string, unknown> {
  return {
    ipv4: { "destination-ipv4-network": network },
    tcp: { "destination-port": { port } },
  };
}

test.each([
  ["ingress sees the VIP", "lan", "ingress", to("10.8.0.1/32", 80), "allowed"],
  ["ingress does not see the real server", "lan", "ingress", to("10.9.0.1/32", 8080), "forbidden"],
  ["egress sees the real server", "wan", "egress", to("10.9.0.1/32", 8080), "allowed"],
  ["egress does not see the VIP", "wan", "egress", to("10.8.0.1/32", 80), "forbidden"],
  [
    "egress sees the untranslated source",
    "wan",
    "egress",
    { ipv4: { "source-ipv4-network": "10.0.0.9/32" } },
    "allowed",
  ],
] as const)("%s", (_, interfaceName, direction, matches, verdict) => {
  const list = acl("a", [{ name: "only", matches, forwarding: "accept" }]);
  expect(judge(aclConfig([list], [[interfaceName, direction, "a"]])).verdict).toBe(verdict);
});

test("a flow that ends in the appliance is none of its business", () => {
  const nowhere = { ingressInterface: undefined, egressInterface: undefined };
  expect(judge(zoneConfig([]), nowhere as never).verdict).toBe("silent");
});

test("an ACE that looks at a per-packet field keeps a flow alive and never cuts one", () => {
  const keep = acl("a", [{ name: "odd", matches: { ipv4: { ttl: 1 } }, forwarding: "accept" }]);
  const cut = acl("a", [
    { name: "odd", matches: { ipv4: { ttl: 1 } }, forwarding: "drop" },
    { name: "rest", forwarding: "accept" },
  ]);
  for (const list of [keep, cut]) {
    const said = judge(aclConfig([list], [["lan", "ingress", "a"]]));
    expect(said).toMatchObject({ verdict: "allowed", eligible: false });
  }
});

test("a per-packet ACE behind the one that decides does not matter", () => {
  const list = acl("a", [
    { name: "first", forwarding: "accept" },
    { name: "odd", matches: { ipv4: { ttl: 1 } }, forwarding: "drop" },
  ]);
  expect(judge(aclConfig([list], [["lan", "ingress", "a"]])).eligible).toBe(true);
});

test("the rules that admitted a flow are named with their attachment", () => {
  const list = acl("a", [{ name: "all", forwarding: "accept" }]);
  const said = judge({
    ...aclConfig(
      [list],
      [
        ["lan", "ingress", "a"],
        ["wan", "egress", "a"],
      ],
    ),
    ...zoneConfig([{ name: "out", from: "inside", to: "outside", action: "accept" }]),
  });
  expect(said.rules).toEqual([
    { attachment: "lan", direction: "ingress", name: "all" },
    { attachment: "wan", direction: "egress", name: "all" },
    { attachment: "zone-policy", direction: "egress", name: "out" },
  ]);
});
