/** Interfaces, addresses, routes and neighbours: configured, read back, undone, adopted, mended. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildProgram, DataProcess, Testbed } from "../appliance/testbed.ts";

const bed = new Testbed();
let data: DataProcess;

beforeAll(async () => {
  const entry = buildProgram();
  bed.link(
    { netns: "vnf", dev: "lan", addresses: ["10.0.0.1/24"] },
    { netns: "client", dev: "eth0", addresses: ["10.0.0.2/24", "10.1.0.2/24"] },
  );
  bed.link(
    { netns: "vnf", dev: "wan", addresses: ["192.0.2.1/24"] },
    { netns: "server", dev: "eth0", addresses: ["192.0.2.2/24", "198.51.100.1/32"] },
  );
  data = await DataProcess.start(bed, entry, "vnf", ["lan", "wan"]);
});
afterAll(async () => {
  await data?.stop();
  bed.close();
});

const ETHERNET = "iana-if-type:ethernetCsmacd";
type Data = Record<string, unknown>;

function network(interfaces: readonly Data[], v4: readonly Data[] = [], v6: readonly Data[] = []) {
  return {
    "ietf-interfaces:interfaces": { interface: interfaces },
    "ietf-routing:routing": {
      "control-plane-protocols": {
        "control-plane-protocol": [
          {
            type: "ietf-routing:static",
            name: "static",
            "static-routes": {
              "ietf-ipv4-unicast-routing:ipv4": { route: v4 },
              "ietf-ipv6-unicast-routing:ipv6": { route: v6 },
            },
          },
        ],
      },
    },
  };
}

const LAN = (...ips: string[]): Data => ({
  name: "lan",
  type: ETHERNET,
  "ietf-ip:ipv4": { address: ips.map((ip) => ({ ip, "prefix-length": 24 })) },
});
const WAN: Data = { name: "wan", type: ETHERNET };
const PEER_ROUTE: Data = {
  "destination-prefix": "198.51.100.0/24",
  "next-hop": { "next-hop-address": "192.0.2.2" },
};

const ip = (...words: string[]): string => bed.exec("vnf", ["ip", ...words]);
const addresses = (dev: string): string[] =>
  [...ip("-o", "addr", "show", "dev", dev, "scope", "global").matchAll(/inet6? (\S+)/g)].map(
    (match) => match[1] ?? "",
  );
const state = async (): Promise<Data> => (await data.peer.call("get-state", {})) as Data;
const drift = async (): Promise<unknown> =>
  ((await state())["flowlift-interfaces:network"] as Data | undefined)?.["drift"] ?? [];

test("addresses, an MTU, routes of both families and neighbours get into the kernel and come back", async () => {
  const outcome = await data.commit(
    network(
      [
        {
          ...LAN("10.0.0.1", "10.1.0.1"),
          "flowlift-interfaces:mtu": 1400,
          "ietf-ip:ipv6": {
            address: [{ ip: "fd00:1::1", "prefix-length": 64 }],
            neighbor: [{ ip: "fd00:1::2", "link-layer-address": "02:00:00:00:00:aa" }],
          },
        },
        WAN,
      ],
      [
        PEER_ROUTE,
        { "destination-prefix": "0.0.0.0/0", "next-hop": { "special-next-hop": "unreachable" } },
        {
          "destination-prefix": "203.0.113.0/24",
          "next-hop": {
            "next-hop-list": {
              "next-hop": [
                { index: "1", "outgoing-interface": "wan", "next-hop-address": "192.0.2.2" },
                { index: "2", "outgoing-interface": "lan", "next-hop-address": "10.0.0.2" },
              ],
            },
          },
        },
      ],
      [{ "destination-prefix": "fd00:9::/32", "next-hop": { "next-hop-address": "fd00:1::2" } }],
    ),
  );
  expect(outcome).toMatchObject({ late: [] });
  expect(addresses("lan").sort()).toEqual(["10.0.0.1/24", "10.1.0.1/24", "fd00:1::1/64"]);
  expect(ip("link", "show", "lan")).toContain("mtu 1400");
  const routes = ip("route", "show");
  expect(routes).toMatch(/198\.51\.100\.0\/24 via 192\.0\.2\.2 dev wan proto 241 metric 5/);
  expect(routes).toMatch(/unreachable default proto 241 metric 5/);
  expect(routes).toMatch(/203\.0\.113\.0\/24 proto 241 metric 5\s+nexthop via/);
  expect(ip("-6", "route", "show", "fd00:9::/32")).toContain("via fd00:1::2 dev lan proto 241");
  expect(ip("neigh", "show", "fd00:1::2")).toContain("lladdr 02:00:00:00:00:aa PERMANENT");
  expect(bed.exec("vnf", ["ping", "-c1", "-W2", "198.51.100.1"])).toContain("1 received");
  expect(await drift()).toEqual([]);
  const told = JSON.stringify(await state());
  expect(told).toContain('"198.51.100.0/24"');
  expect(told).toContain(':next-hop-address":"192.0.2.2"');
  expect(told).toContain('"admin-status":"up"');
});

test("a commit that the kernel refuses half-way leaves everything as it was", async () => {
  const before = `${ip("addr")}${ip("route")}${ip("-6", "route")}`;
  const unreachable = {
    "destination-prefix": "203.0.113.128/25",
    "next-hop": { "next-hop-address": "172.31.0.1" },
  };
  const tried = data.commit(network([LAN("10.0.0.1", "10.2.0.1"), WAN], [PEER_ROUTE, unreachable]));
  await expect(tried).rejects.toThrow(/Cannot add route to 203\.0\.113\.128\/25 by 172\.31\.0\.1/);
  const volatile = / (valid_lft|preferred_lft|expires) \S+/g;
  const after = `${ip("addr")}${ip("route")}${ip("-6", "route")}`;
  expect(after.replaceAll(volatile, "")).toBe(before.replaceAll(volatile, ""));
});

test("a VXLAN interface is made, configured otherwise, and removed", async () => {
  const vxlan = (vni: number): Data => ({
    name: "vx0",
    type: "flowlift-interfaces:vxlan",
    "flowlift-interfaces:vxlan": { vni, remote: "192.0.2.2" },
    "ietf-ip:ipv4": { address: [{ ip: "10.77.0.1", "prefix-length": 24 }] },
  });
  const through = {
    "destination-prefix": "10.78.0.0/16",
    "next-hop": { "next-hop-address": "10.77.0.2" },
  };
  await data.commit(network([LAN("10.0.0.1"), WAN, vxlan(42)], [PEER_ROUTE, through]));
  expect(ip("-d", "link", "show", "vx0")).toMatch(/vxlan id 42 remote 192\.0\.2\.2 .*dstport 4789/);
  expect(ip("route", "show", "10.78.0.0/16")).toContain("via 10.77.0.2 dev vx0");
  await data.commit(network([LAN("10.0.0.1"), WAN, vxlan(43)], [PEER_ROUTE, through]));
  expect(ip("-d", "link", "show", "vx0")).toContain("vxlan id 43 ");
  expect(ip("route", "show", "10.78.0.0/16")).toContain("via 10.77.0.2 dev vx0");
  await data.commit(network([LAN("10.0.0.1"), WAN], [PEER_ROUTE]));
  expect(() => ip("link", "show", "vx0")).toThrow();
  expect(ip("route", "show", "10.78.0.0/16")).toBe("");
});

test("what somebody changes behind our back is told, and mended on request", async () => {
  ip("addr", "del", "10.0.0.1/24", "dev", "lan");
  ip("addr", "add", "10.66.0.1/24", "dev", "lan");
  ip("route", "del", "198.51.100.0/24");
  ip("link", "set", "lan", "down");
  expect(await drift()).toEqual([
    {
      object: 'address 10.66.0.1/24 of "lan"',
      difference: "is in the kernel and not configured",
    },
    { object: 'interface "lan"', difference: "is down and configured as enabled" },
    {
      object: 'address 10.0.0.1/24 of "lan"',
      difference: "is configured and not in the kernel",
    },
    { object: "route to 198.51.100.0/24", difference: "is configured and not in the kernel" },
  ]);
  const { changes } = (await data.peer.call("repair-network", {})) as { changes: string[] };
  expect(changes).toHaveLength(4);
  expect(addresses("lan")).toEqual(["10.0.0.1/24"]);
  expect(ip("route", "show", "198.51.100.0/24")).toContain("via 192.0.2.2");
  expect(await drift()).toEqual([]);
});

test("a process that starts again knows what it had configured", async () => {
  await data.stop("SIGKILL");
  await data.launch("vnf");
  ip("addr", "add", "10.67.0.1/24", "dev", "lan");
  expect(await drift()).toMatchObject([{ object: 'address 10.67.0.1/24 of "lan"' }]);
  await data.commit(network([{ name: "lan", type: ETHERNET }, WAN]));
  expect(addresses("lan")).toEqual(["10.67.0.1/24"]); // Ours is gone, somebody else's is not ours to take.
  expect(ip("route", "show", "proto", "241")).toBe("");
});
