import { describe, expect, test } from "vitest";
import type { NetworkPlan } from "../../../src/appliance/first-boot/network-plan.ts";
import {
  defaultPlan,
  formatNetworkScript,
  type KernelLink,
  planNetworkScript,
} from "../../../src/appliance/first-boot/network-script.ts";
import { formatProblem, ProblemList } from "../../../src/appliance/first-boot/report.ts";
import { readDocuments } from "./seed-directory.ts";

const LINKS: readonly KernelLink[] = [
  { name: "eth0", mac: "52:54:00:00:00:01" },
  { name: "eth1", mac: "52:54:00:00:00:02" },
  { name: "eth2", mac: "52:54:00:00:00:03" },
];

/** The same network in the three dialects. */
const V2 = `
network:
  version: 2
  ethernets:
    inside:
      match: {macaddress: "52:54:00:00:00:02"}
      set-name: inside
      addresses: [10.0.0.1/24, "fd00::1/64"]
      mtu: 1400
      routes: [{to: 10.9.0.0/16, via: 10.0.0.254, metric: 5}]
      nameservers: {addresses: [192.0.2.53]}
    outside:
      match: {macaddress: "52:54:00:00:00:01"}
      set-name: outside
      dhcp4: true
      dhcp6: true
`;
const V1 = `
version: 1
config:
  - type: physical
    name: inside
    mac_address: "52:54:00:00:00:02"
    mtu: 1400
    subnets:
      - {type: static, address: 10.0.0.1, netmask: 255.255.255.0, dns_nameservers: [192.0.2.53],
         routes: [{network: 10.9.0.0, netmask: 255.255.0.0, gateway: 10.0.0.254, metric: 5}]}
      - {type: static6, address: "fd00::1/64"}
  - {type: physical, name: outside, mac_address: "52:54:00:00:00:01", subnets: [{type: dhcp}, {type: dhcp6}]}
`;
const OPENSTACK = JSON.stringify({
  links: [
    { id: "tap1", type: "ovs", ethernet_mac_address: "52:54:00:00:00:02", mtu: 1400 },
    { id: "tap2", type: "phy", ethernet_mac_address: "52:54:00:00:00:01" },
  ],
  networks: [
    {
      id: "n0",
      type: "ipv4",
      link: "tap1",
      ip_address: "10.0.0.1",
      netmask: "255.255.255.0",
      routes: [{ network: "10.9.0.0", netmask: "255.255.0.0", gateway: "10.0.0.254" }],
      services: [{ type: "dns", address: "192.0.2.53" }],
    },
    {
      id: "n1",
      type: "ipv6",
      link: "tap1",
      ip_address: "fd00::1",
      netmask: "ffff:ffff:ffff:ffff::",
    },
    { id: "n2", type: "ipv4_dhcp", link: "tap2" },
    { id: "n3", type: "ipv6_slaac", link: "tap2" },
  ],
  services: [],
});

/** What matters to the kernel, without names and lines. */
function essence(plan: NetworkPlan | undefined): unknown {
  return {
    nameservers: plan?.nameservers,
    interfaces: plan?.interfaces.map(({ line: _, name: _name, routes, ...rest }) => ({
      ...rest,
      routes: routes.map(({ to, via }) => ({ to, via })),
    })),
  };
}

describe("one network in three dialects", () => {
  const v2 = readDocuments({ "network-config": V2 });
  const v1 = readDocuments({ "network-config": V1 });
  const openStack = readDocuments({ "network_data.json": OPENSTACK });

  test("each is read without a problem", () => {
    expect([v2.problems, v1.problems, openStack.problems]).toEqual([[], [], []]);
  });

  test("all mean the same", () => {
    expect(essence(v1.seed.network)).toEqual(essence(v2.seed.network));
    expect(essence(openStack.seed.network)).toEqual(essence(v2.seed.network));
  });

  test("version 2 becomes these commands", () => {
    const plan = v2.seed.network;
    if (plan === undefined) throw new Error("no plan");
    const problems = new ProblemList();
    const script = planNetworkScript("network-config", plan, LINKS, problems);
    expect(problems.list()).toEqual([]);
    expect(script.interfaces).toEqual(["inside", "outside", "eth2"]);
    expect(script.dhcp).toEqual(["outside"]);
    expect(script.lines).toEqual([
      "run ip link set dev eth1 down",
      "run ip link set dev eth1 name flren0",
      "run ip link set dev eth0 down",
      "run ip link set dev eth0 name flren1",
      "run ip link set dev flren0 name inside",
      "run ip link set dev flren1 name outside",
      "run ip link set dev inside mtu 1400",
      "setting net/ipv6/conf/inside/accept_ra 0",
      "run ip link set dev inside up",
      "run ip addr add 10.0.0.1/24 dev inside",
      "run ip addr add fd00::1/64 dev inside",
      "setting net/ipv6/conf/outside/accept_ra 2",
      "run ip link set dev outside up",
      "setting net/ipv6/conf/eth2/accept_ra 0",
      "run ip link set dev eth2 up",
      "run ip route add 10.9.0.0/16 via 10.0.0.254 metric 5",
    ]);
    expect(formatNetworkScript(script.lines)).toContain("run() {");
  });
});

test("a card that is not there is told with those that are, and the rest goes on", () => {
  const { seed } = readDocuments({ "network-config": V2 });
  const problems = new ProblemList();
  const [eth0] = LINKS;
  if (seed.network === undefined || eth0 === undefined) throw new Error("no plan");
  const script = planNetworkScript("network-config", seed.network, [eth0], problems);
  expect(problems.list().map(formatProblem)).toEqual([
    "network-config line 5: no network card has MAC 52:54:00:00:00:02; there are: eth0 52:54:00:00:00:01",
  ]);
  expect(script.interfaces).toEqual(["outside"]);
});

test("without a document the first card asks by DHCP, and the others are up", () => {
  const script = planNetworkScript("network-config", defaultPlan(LINKS), LINKS, new ProblemList());
  expect(script.dhcp).toEqual(["eth0"]);
  expect(script.interfaces).toEqual(["eth0", "eth1", "eth2"]);
});

test("a vlan is made on the card that carries it, by the name that card gets", () => {
  const { problems, seed } = readDocuments({
    "network-config": `
version: 2
ethernets: {card: {match: {macaddress: "52:54:00:00:00:01"}, set-name: trunk}}
vlans: {blue: {id: 7, link: card, addresses: [10.7.0.1/24]}}
`,
  });
  expect(problems).toEqual([]);
  if (seed.network === undefined) throw new Error("no plan");
  const { interfaces, lines } = planNetworkScript("n", seed.network, LINKS, new ProblemList());
  expect(lines).toContain("run ip link add link trunk name blue type vlan id 7");
  expect(interfaces).toEqual(["trunk", "blue", "eth1", "eth2"]);
});

const inside = (more: string): string => `version: 2\nethernets:\n  a:\n    ${more}\n`;

test.each([
  ["no version", "ethernets: {}", /line 1: it needs `version: 1` or `version: 2`/],
  ["no YAML", "version: 2\nethernets: [", /line \d+: no valid YAML/],
  ["a key twice", "version: 2\nversion: 2", /line 2: no valid YAML/],
  ["an alias", "version: &a 2\nethernets: {b: *a}", /line 2: aliases are not supported/],
  ["two documents", "version: 2\n---\nversion: 2", /several YAML documents/],
  [
    "no length",
    inside("addresses: [10.0.0.1]"),
    /line 4: .*10\.0\.0\.1" is no address with prefix/,
  ],
  ["a length too long", inside("addresses: [10.0.0.1/33]"), /no address/],
  [
    "a shell in a name",
    "version: 2\nethernets: {'a; reboot': {}}",
    /cannot be an interface's name/,
  ],
  [
    "a name too long",
    "version: 2\nethernets: {abcdefghijklmnop: {}}",
    /cannot be an interface's name/,
  ],
  ["a wrong MAC", inside("match: {macaddress: 52-54}"), /no MAC address/],
  ["an MTU too small", inside("mtu: 575"), /whole number from 576 to 65535/],
  ["an unknown key", inside("dhcp5: true"), /"dhcp5" is not supported/],
  ["a bond", "version: 2\nbonds: {b: {}}", /"bonds" is not supported/],
  ["a route to nowhere", inside("routes: [{to: 10.0.0.1/8, via: 10.0.0.2}]"), /is no network/],
  ["a vlan without link", "version: 2\nvlans: {b: {id: 1, link: c}}", /link "c" is not described/],
  ["a vlan id too high", "version: 2\nvlans: {b: {id: 4095, link: b}}", /from 1 to 4094/],
  [
    "a bridge of version 1",
    "version: 1\nconfig: [{type: bridge, name: b}]",
    /type "bridge" is not supported/,
  ],
  [
    "a mask with a gap",
    "version: 1\nconfig: [{type: physical, name: a, subnets: [{type: static, address: 10.0.0.1, netmask: 255.0.255.0}]}]",
    /no address/,
  ],
])("%s is told, and the whole document is left out", (_name, text, reason) => {
  const { problems, seed } = readDocuments({ "network-config": text });
  expect(problems[0]).toMatch(reason);
  expect(seed.network).toBeUndefined();
});

test.each([
  [32, 0],
  [33, 2],
])("%i interfaces make %i problems", (count, expected) => {
  const ethernets = Array.from({ length: count }, (_, index) => `  n${index}: {}`).join("\n");
  const { problems } = readDocuments({
    "network-config": `version: 2\nethernets:\n${ethernets}\n`,
  });
  expect(problems).toHaveLength(expected);
});
