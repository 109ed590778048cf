import { expect, test } from "vitest";
import { parseFirewallConfig } from "../../src/firewall/config.ts";
import { acl, aclConfig, zoneConfig } from "../appliance/configs.ts";

const CONTEXT = { interfaces: [] };

function parseMatches(matches: Record<string, unknown>, type: "ipv4" | "ipv6" = "ipv4") {
  const list = acl("a", [{ name: "one", matches, forwarding: "accept" }], type);
  const result = parseFirewallConfig(aclConfig([list], [["lan", "ingress", "a"]]), CONTEXT);
  if (!result.ok) return result.error;
  return result.value.attachments[0]?.acls[0]?.aces[0]?.match;
}

test.each([
  ["a port alone is eq", { port: 80 }, { first: 80, last: 80, negated: false }],
  ["lte starts at 0", { operator: "lte", port: 80 }, { first: 0, last: 80, negated: false }],
  ["gte ends at 65535", { operator: "gte", port: 80 }, { first: 80, last: 65_535, negated: false }],
  ["neq negates", { operator: "neq", port: 80 }, { first: 80, last: 80, negated: true }],
  [
    "a range has both ends",
    { "lower-port": 1, "upper-port": 9 },
    { first: 1, last: 9, negated: false },
  ],
])("ports: %s", (_, port, expected) => {
  expect(parseMatches({ tcp: { "destination-port": port } })).toMatchObject({
    protocol: 6,
    destinationPort: expected,
  });
});

test("a prefix loses the bits below its length", () => {
  expect(parseMatches({ ipv4: { "source-ipv4-network": "10.1.2.3/16" } })).toMatchObject({
    source: { address: "10.1.0.0", lengthBits: 16 },
  });
});

test("an ACL's type is the family of its ACEs", () => {
  expect(parseMatches({ icmp: { type: 128 } }, "ipv6")).toMatchObject({ family: 6, protocol: 58 });
  expect(parseMatches({ icmp: { type: 8 } }, "ipv4")).toMatchObject({ family: 4, protocol: 1 });
});

test.each([
  ["an unknown leaf", { ipv4: { identification: 7 } }, "/ipv4/identification"],
  ["layer 2", { eth: { ethertype: "ipv4" } }, "/matches/eth"],
  ["the other family", { ipv6: { "source-ipv6-network": "fd00::/8" } }, "/ipv6"],
  ["two protocols", { ipv4: { protocol: 17 }, tcp: {} }, "/ipv4/protocol"],
])("%s is refused with its path", (_, matches, path) => {
  expect(parseMatches(matches)).toMatchObject({
    kind: "config-not-applicable",
    path: expect.stringContaining(path),
  });
});

test("the egress interface is unknown where ingress ACLs judge, so matching it there is refused", () => {
  expect(parseMatches({ "egress-interface": "wan" })).toMatchObject({
    path: expect.stringContaining("ingress"),
  });
});

test("an action that nobody defined drops", () => {
  const policy = { name: "p", from: "inside", to: "outside", action: "future-word" };
  const result = parseFirewallConfig(zoneConfig([policy]), CONTEXT);
  expect(result.ok && result.value.zones?.policies[0]?.action).toBe("drop");
});

test("no zones at all is not the same as zones without policies", () => {
  const none = parseFirewallConfig({}, CONTEXT);
  const empty = parseFirewallConfig(zoneConfig([]), CONTEXT);
  expect(none.ok && none.value.zones).toBeUndefined();
  expect(empty.ok && empty.value.zones?.policies).toEqual([]);
});
