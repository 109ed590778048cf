/** The steps between two networks, without a kernel. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { MacAddress } from "../../src/lib/inet/address.ts";
import type {
  NetworkAddress,
  NetworkLink,
  NetworkRoute,
  NetworkSnapshot,
} from "../../src/lib/netlink/network-snapshot.ts";
import {
  EMPTY_NETWORK,
  LINK_NAME_BYTES_MAX,
  type NetworkConfig,
  parseNetworkConfig,
} from "../../src/network/config.ts";
import { describeOperation, invertOperation } from "../../src/network/operation.ts";
import { planNetwork, ROUTE_PROTOCOL } from "../../src/network/plan.ts";
import { campaignSize } from "../support/campaign.ts";

function link(index: number, name: string, more: Partial<NetworkLink> = {}): NetworkLink {
  const mac = "02:00:00:00:00:01" as MacAddress;
  return { index, name, mac, mtuBytes: 1500, up: true, enabled: true, ...more };
}

function address(linkIndex: number, text: string, more: Partial<NetworkAddress> = {}) {
  const [ip = "", bits] = text.split("/");
  const base = { linkIndex, address: ip, lengthBits: Number(bits), scope: 0, permanent: true };
  return { ...base, ...more } as NetworkAddress;
}

function snapshot(more: Partial<NetworkSnapshot> = {}): NetworkSnapshot {
  const links = [link(1, "lo"), link(2, "inside"), link(3, "outside")];
  return { links, addresses: [], routes: [], neighbours: [], ...more };
}

function parse(interfaces: readonly object[], routes: readonly object[] = []): NetworkConfig {
  const result = parseData(interfaces, routes);
  if (!result.ok) throw new Error(`${result.error.path}: ${result.error.message}`);
  return result.value;
}

function parseData(interfaces: readonly object[], routes: readonly object[] = []) {
  const type = "ietf-routing:static";
  return parseNetworkConfig({
    "ietf-interfaces:interfaces": { interface: interfaces },
    "ietf-routing:routing": {
      "control-plane-protocols": {
        "control-plane-protocol": [
          {
            type,
            name: "s",
            "static-routes": { "ietf-ipv4-unicast-routing:ipv4": { route: routes } },
          },
        ],
      },
    },
  });
}

const INSIDE = (...ips: string[]) => ({
  name: "inside",
  type: "iana-if-type:ethernetCsmacd",
  "ietf-ip:ipv4": { address: ips.map((ip) => ({ ip, "prefix-length": 24 })) },
});

const describePlan = (wanted: NetworkConfig, previous: NetworkConfig, now: NetworkSnapshot) =>
  planNetwork(wanted, previous, now).map(describeOperation);

test("an interface without an ipv4 container keeps the addresses that somebody gave it", () => {
  const wanted = parse([{ name: "inside", type: "iana-if-type:ethernetCsmacd" }]);
  const now = snapshot({ addresses: [address(2, "10.0.0.1/24")] });
  expect(describePlan(wanted, EMPTY_NETWORK, now)).toEqual([]);
});

test("a configured family has exactly the configured addresses", () => {
  const now = snapshot({ addresses: [address(2, "10.0.0.1/24"), address(2, "10.0.0.2/24")] });
  expect(describePlan(parse([INSIDE("10.0.0.2", "10.0.0.3")]), EMPTY_NETWORK, now)).toEqual([
    'delete address 10.0.0.1/24 of "inside"',
    'add address 10.0.0.3/24 of "inside"',
  ]);
});

test("link-local addresses and leases are left alone", () => {
  const addresses = [
    address(2, "10.0.0.9/24", { permanent: false }),
    address(2, "169.254.1.1/16", { scope: 253 }),
    address(2, "10.0.0.2/24"),
  ];
  const wanted = parse([INSIDE("10.0.0.2")]);
  expect(describePlan(wanted, EMPTY_NETWORK, snapshot({ addresses }))).toEqual([]);
});

test("a family that is no longer configured loses what was configured, and nothing else", () => {
  const now = snapshot({ addresses: [address(2, "10.0.0.1/24"), address(2, "10.9.0.1/24")] });
  const previous = parse([INSIDE("10.0.0.1")]);
  const wanted = parse([{ name: "inside", type: "iana-if-type:ethernetCsmacd" }]);
  expect(describePlan(wanted, previous, now)).toEqual(['delete address 10.0.0.1/24 of "inside"']);
});

test("only routes of our own protocol number are deleted", () => {
  const foreign = route("192.0.2.0", 24, 4);
  const own = route("198.51.100.0", 24, ROUTE_PROTOCOL);
  const now = snapshot({ routes: [foreign, own] });
  expect(describePlan(EMPTY_NETWORK, EMPTY_NETWORK, now)).toEqual([
    "delete route to 198.51.100.0/24",
  ]);
});

function route(destination: string, lengthBits: number, protocol: number): NetworkRoute {
  return {
    family: 4,
    type: 1,
    table: 254,
    destination: destination as NonNullable<NetworkRoute["destination"]>,
    lengthBits,
    protocol,
    metric: 5,
    nextHops: [{ linkIndex: 2 }],
  };
}

test("a VLAN comes after the interface that carries it, and goes before it changes", () => {
  const vlan = (id: number) => ({
    name: "in.5",
    type: "iana-if-type:l2vlan",
    "flowlift-interfaces:vlan": { parent: "inside", id },
  });
  const plain = { name: "inside", type: "iana-if-type:ethernetCsmacd" };
  const wanted = parse([vlan(5), plain]);
  expect(describePlan(wanted, EMPTY_NETWORK, snapshot())).toEqual([
    'add interface "in.5"',
    'set interface "in.5" up',
  ]);
  const now = snapshot({
    links: [link(2, "inside"), link(7, "in.5", { kind: "vlan", virtualId: 5 })],
  });
  expect(describePlan(wanted, wanted, now)).toEqual([]);
  expect(describePlan(parse([vlan(6), plain]), wanted, now)).toEqual([
    'delete interface "in.5"',
    'add interface "in.5"',
    'set interface "in.5" up',
  ]);
  expect(describePlan(parse([plain]), wanted, now)).toEqual(['delete interface "in.5"']);
});

test("an interface that is not there is waited for, with everything on it", () => {
  const wanted = parse([{ ...INSIDE("10.0.0.1"), name: "later" }]);
  expect(describePlan(wanted, EMPTY_NETWORK, snapshot())).toEqual([]);
});

test("a step taken back and taken again is the same step", () => {
  const now = snapshot({ addresses: [address(2, "10.0.0.1/24")] });
  const wanted = parse(
    [{ ...INSIDE("10.0.0.3"), "flowlift-interfaces:mtu": 1400, enabled: false }],
    [{ "destination-prefix": "10.5.0.0/16", "next-hop": { "special-next-hop": "blackhole" } }],
  );
  const steps = planNetwork(wanted, EMPTY_NETWORK, now);
  expect(steps.length).toBeGreaterThan(4);
  for (const step of steps) expect(invertOperation(invertOperation(step))).toEqual(step);
});

test.each([
  ["a name of 16 bytes", [{ name: "a".repeat(LINK_NAME_BYTES_MAX + 1) }], "cannot name"],
  ["a name with a slash", [{ name: "a/b" }], "cannot name"],
  [
    "a netmask with a hole",
    [{ name: "a", "ietf-ip:ipv4": { address: [{ ip: "10.0.0.1", netmask: "255.0.255.0" }] } }],
    "netmask of leading ones",
  ],
  [
    "a neighbour without an Ethernet address",
    [
      {
        name: "a",
        "ietf-ip:ipv4": { neighbor: [{ ip: "10.0.0.1", "link-layer-address": "00:11" }] },
      },
    ],
    "six pairs",
  ],
])("%s is refused with its path", (_name, interfaces, text) => {
  const result = parseData(interfaces);
  expect(result.ok).toBe(false);
  if (!result.ok) expect(result.error).toMatchObject({ message: expect.stringContaining(text) });
});

test("a name of 15 bytes is taken", () => {
  expect(parseData([{ name: "a".repeat(LINK_NAME_BYTES_MAX) }]).ok).toBe(true);
  expect(parseData([{ name: "a".repeat(LINK_NAME_BYTES_MAX - 1) }]).ok).toBe(true);
});

test("from any addresses to any others: the steps lead there, and then there is nothing to do", () => {
  const ips = fc.uniqueArray(fc.integer({ min: 1, max: 20 }), { maxLength: 8 });
  fc.assert(
    fc.property(ips, ips, (have, want) => {
      const wanted = parse([INSIDE(...want.map((last) => `10.0.0.${last}`))]);
      let addresses = have.map((last) => address(2, `10.0.0.${last}/24`));
      for (const step of planNetwork(wanted, EMPTY_NETWORK, snapshot({ addresses }))) {
        if (step.kind === "delete-address") {
          expect(addresses.some((one) => one.address === step.address)).toBe(true);
          addresses = addresses.filter((one) => one.address !== step.address);
        } else if (step.kind === "add-address") {
          addresses = [...addresses, address(2, `${step.address}/${step.lengthBits}`)];
        }
      }
      const reached = addresses.map((one) => one.address).sort();
      expect(reached).toEqual(want.map((last) => `10.0.0.${last}`).sort());
      expect(planNetwork(wanted, wanted, snapshot({ addresses }))).toEqual([]);
    }),
    { numRuns: campaignSize(200, 20_000) },
  );
});
