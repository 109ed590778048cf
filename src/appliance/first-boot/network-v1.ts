/**
 * cloud-init's network-config version 1: physical interfaces, vlans, name servers, routes.
 *
 * Pure. Source: cloud-init's documentation, "Networking config Version 1".
 */
import type { DocumentReader, Value } from "./document.ts";
import {
  METRIC_MAX,
  MTU_MAX,
  MTU_MIN,
  type NetworkPlan,
  type PlannedInterface,
  type PlannedRoute,
  readAddress,
  readDestination,
  readIp,
  VLAN_ID_MAX,
} from "./network-plan.ts";
import { readMac } from "./network-v2.ts";

const ADVERTISED = ["dhcp6", "ipv6_slaac", "ipv6_dhcpv6-stateless", "ipv6_dhcpv6-stateful"];

interface Collected {
  readonly interfaces: PlannedInterface[];
  readonly nameservers: string[];
  readonly routes: PlannedRoute[];
}

/** Returns the plan; what is wrong went to the reader. */
export function readNetworkV1(reader: DocumentReader, network: Value): NetworkPlan {
  const members = reader.map(network);
  reader.refuseUnknown(members, ["version", "config"]);
  const collected: Collected = { interfaces: [], nameservers: [], routes: [] };
  for (const item of reader.list(members.get("config"))) readItem(reader, item, collected);
  // A route of no interface is added last: the kernel finds its link by the gateway.
  const { interfaces } = collected;
  const last = interfaces.at(-1);
  if (last !== undefined && collected.routes.length > 0) {
    interfaces[interfaces.length - 1] = { ...last, routes: [...last.routes, ...collected.routes] };
  }
  return { interfaces, nameservers: [...new Set(collected.nameservers)] };
}

function readItem(reader: DocumentReader, item: Value, collected: Collected): void {
  const members = reader.map(item);
  const type = reader.text(members.get("type"));
  switch (type) {
    case "physical":
    case "vlan":
      collected.interfaces.push(readInterface(reader, item, members, type, collected));
      return;
    case "nameserver":
      reader.refuseUnknown(members, ["type", "address"], ["search", "interface"]);
      readServers(reader, members.get("address"), collected.nameservers);
      return;
    case "route": {
      const route = readRoute(reader, item);
      if (route !== undefined) collected.routes.push(route);
      return;
    }
    default:
      reader.fail(
        item,
        `type "${type ?? ""}" is not supported; use physical, vlan, nameserver or route`,
      );
  }
}

function readInterface(
  reader: DocumentReader,
  item: Value,
  members: ReadonlyMap<string, Value>,
  type: "physical" | "vlan",
  collected: Collected,
): PlannedInterface {
  const known = ["type", "name", "mac_address", "mtu", "subnets", "vlan_link", "vlan_id"];
  reader.refuseUnknown(members, known, ["accept-ra", "keep_configuration"]);
  const name = reader.text(members.get("name")) ?? "";
  if (name === "") reader.fail(item, "an interface needs `name`");
  const mac = readMac(reader, members.get("mac_address"));
  const addresses: string[] = [];
  const routes: PlannedRoute[] = [];
  let dhcp4 = false;
  let acceptsAdvertisements = reader.flag(members.get("accept-ra")) ?? false;
  for (const subnet of reader.list(members.get("subnets"))) {
    const way = readSubnet(reader, subnet, addresses, routes, collected.nameservers);
    dhcp4 ||= way === "dhcp4";
    acceptsAdvertisements ||= way === "advertised";
  }
  const mtu = reader.integer(members.get("mtu"), MTU_MIN, MTU_MAX);
  const shape = { name, mtu, addresses, routes, dhcp4, acceptsAdvertisements, line: item.line };
  if (type === "physical") return { ...shape, match: mac === undefined ? { name } : { mac } };
  const link = reader.text(members.get("vlan_link"));
  const id = reader.integer(members.get("vlan_id"), 1, VLAN_ID_MAX);
  if (link === undefined || id === undefined) {
    reader.fail(item, "a vlan needs `vlan_link` and `vlan_id`");
  }
  return { ...shape, match: {}, vlan: { link: link ?? "", id: id ?? 1 } };
}

function readSubnet(
  reader: DocumentReader,
  subnet: Value,
  addresses: string[],
  routes: PlannedRoute[],
  nameservers: string[],
): "dhcp4" | "advertised" | "static" {
  const members = reader.map(subnet);
  const known = ["type", "address", "netmask", "gateway", "dns_nameservers", "routes"];
  reader.refuseUnknown(members, known, [
    "dns_search",
    "control",
    "broadcast",
    "ipv4",
    "ipv6",
    "scope",
  ]);
  readServers(reader, members.get("dns_nameservers"), nameservers);
  for (const item of reader.list(members.get("routes"))) {
    const route = readRoute(reader, item);
    if (route !== undefined) routes.push(route);
  }
  const type = reader.text(members.get("type")) ?? "";
  if (type === "dhcp" || type === "dhcp4") return "dhcp4";
  if (ADVERTISED.includes(type)) return "advertised";
  if (type === "manual") return "static";
  if (type !== "static" && type !== "static6") {
    reader.fail(
      subnet,
      `subnet type "${type}" is not supported; use static, dhcp, dhcp6 or manual`,
    );
    return "static";
  }
  const text = reader.text(members.get("address"));
  if (text === undefined) reader.fail(subnet, "a static subnet needs `address`");
  const address =
    text === undefined
      ? undefined
      : readAddress(reader, subnet, text, reader.text(members.get("netmask")));
  if (address !== undefined) addresses.push(address);
  const via = readIp(reader, members.get("gateway"));
  if (via !== undefined) {
    routes.push({ to: via.includes(":") ? "::/0" : "0.0.0.0/0", via, metric: undefined });
  }
  return "static";
}

/** `network` and `netmask` inside subnets, `destination` outside. */
function readRoute(reader: DocumentReader, item: Value): PlannedRoute | undefined {
  const members = reader.map(item);
  const known = ["type", "network", "destination", "netmask", "gateway", "metric"];
  reader.refuseUnknown(members, known);
  const text = reader.text(members.get("network") ?? members.get("destination"));
  const via = readIp(reader, members.get("gateway"));
  if (text === undefined) return reader.fail(item, "a route needs `destination` or `network`");
  const mask = reader.text(members.get("netmask"));
  const to = readDestination(reader, item, text, mask, via);
  const metric = reader.integer(members.get("metric"), 0, METRIC_MAX);
  return to === undefined ? undefined : { to, via, metric };
}

function readServers(reader: DocumentReader, at: Value | undefined, servers: string[]): void {
  if (at === undefined) return;
  for (const item of at.items ?? [at]) {
    const server = readIp(reader, item);
    if (server !== undefined) servers.push(server);
  }
}
