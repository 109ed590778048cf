/**
 * cloud-init's network-config version 2 (netplan's dialect): ethernets and vlans.
 *
 * Pure. Source: cloud-init's documentation, "Networking config Version 2".
 */
import { parseMacAddress } from "../../lib/inet/address.ts";
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

const COMMON = [
  "dhcp4",
  "dhcp6",
  "accept-ra",
  "addresses",
  "gateway4",
  "gateway6",
  "routes",
  "nameservers",
  "mtu",
];
/** Nothing that an appliance would do otherwise. */
const IGNORED = [
  "optional",
  "optional-addresses",
  "wakeonlan",
  "critical",
  "dhcp4-overrides",
  "dhcp6-overrides",
  "dhcp-identifier",
  "ipv6-privacy",
  "link-local",
  "renderer",
];

/** Returns the plan; what is wrong went to the reader. */
export function readNetworkV2(reader: DocumentReader, network: Value): NetworkPlan {
  const members = reader.map(network);
  reader.refuseUnknown(members, ["version", "ethernets", "vlans"], ["renderer"]);
  const nameservers: string[] = [];
  const interfaces: PlannedInterface[] = [];
  for (const [id, value] of reader.map(members.get("ethernets"))) {
    interfaces.push(readEthernet(reader, id, value, nameservers));
  }
  const nameOf = (id: string): string => {
    const set = members.get("ethernets")?.members?.get(id)?.members?.get("set-name")?.scalar;
    return typeof set === "string" ? set : id;
  };
  for (const [id, value] of reader.map(members.get("vlans"))) {
    interfaces.push(readVlan(reader, id, value, nameservers, nameOf));
  }
  return { interfaces, nameservers: [...new Set(nameservers)] };
}

function readEthernet(
  reader: DocumentReader,
  id: string,
  value: Value,
  nameservers: string[],
): PlannedInterface {
  const members = reader.map(value);
  reader.refuseUnknown(members, [...COMMON, "match", "set-name"], IGNORED);
  const match = reader.map(members.get("match"));
  reader.refuseUnknown(match, ["macaddress", "name"]);
  const mac = readMac(reader, match.get("macaddress"));
  const byName = reader.text(match.get("name"));
  const setName = reader.text(members.get("set-name"));
  if (byName !== undefined && /[*?[]/.test(byName)) {
    reader.fail(value, "a pattern of names is not supported; match by macaddress");
  }
  const found = mac === undefined ? { name: byName ?? id } : { mac };
  const name = setName ?? (mac === undefined ? (byName ?? id) : id);
  return { name, match: found, line: value.line, ...readCommon(reader, members, nameservers) };
}

function readVlan(
  reader: DocumentReader,
  id: string,
  value: Value,
  nameservers: string[],
  nameOf: (id: string) => string,
): PlannedInterface {
  const members = reader.map(value);
  reader.refuseUnknown(members, [...COMMON, "id", "link"], IGNORED);
  const vlanId = reader.integer(members.get("id"), 1, VLAN_ID_MAX);
  const link = reader.text(members.get("link"));
  if (vlanId === undefined || link === undefined) {
    reader.fail(value, "a vlan needs `id` and `link`");
  }
  const vlan = { link: nameOf(link ?? ""), id: vlanId ?? 1 };
  const common = readCommon(reader, members, nameservers);
  return { name: id, match: {}, vlan, line: value.line, ...common };
}

export function readMac(reader: DocumentReader, at: Value | undefined): string | undefined {
  const text = reader.text(at);
  if (text === undefined || at === undefined) return undefined;
  return parseMacAddress(text.toLowerCase()) ?? reader.fail(at, `"${text}" is no MAC address`);
}

type Common = Pick<
  PlannedInterface,
  "mtu" | "addresses" | "routes" | "dhcp4" | "acceptsAdvertisements"
>;

function readCommon(
  reader: DocumentReader,
  members: ReadonlyMap<string, Value>,
  nameservers: string[],
): Common {
  const addresses: string[] = [];
  for (const item of reader.list(members.get("addresses"))) {
    // `address: {lifetime, label}` is netplan's long form; lifetimes of fixed addresses mean nothing here.
    const text = item.members === undefined ? reader.text(item) : [...item.members.keys()][0];
    const address = text === undefined ? undefined : readAddress(reader, item, text);
    if (address !== undefined) addresses.push(address);
  }
  const routes = readGateways(reader, members);
  for (const item of reader.list(members.get("routes"))) {
    const route = readRoute(reader, item);
    if (route !== undefined) routes.push(route);
  }
  const servers = reader.map(members.get("nameservers"));
  reader.refuseUnknown(servers, ["addresses"], ["search"]);
  for (const item of reader.list(servers.get("addresses"))) {
    const server = readIp(reader, item);
    if (server !== undefined) nameservers.push(server);
  }
  const dhcp6 = reader.flag(members.get("dhcp6")) ?? false;
  return {
    mtu: reader.integer(members.get("mtu"), MTU_MIN, MTU_MAX),
    addresses,
    routes,
    dhcp4: reader.flag(members.get("dhcp4")) ?? false,
    acceptsAdvertisements: reader.flag(members.get("accept-ra")) ?? dhcp6,
  };
}

function readGateways(reader: DocumentReader, members: ReadonlyMap<string, Value>): PlannedRoute[] {
  const routes: PlannedRoute[] = [];
  for (const [name, to] of [
    ["gateway4", "0.0.0.0/0"],
    ["gateway6", "::/0"],
  ] as const) {
    const via = readIp(reader, members.get(name));
    if (via !== undefined) routes.push({ to, via, metric: undefined });
  }
  return routes;
}

function readRoute(reader: DocumentReader, item: Value): PlannedRoute | undefined {
  const members = reader.map(item);
  reader.refuseUnknown(members, ["to", "via", "metric"], ["on-link"]);
  const text = reader.text(members.get("to"));
  const via = readIp(reader, members.get("via"));
  if (text === undefined) return reader.fail(item, "a route needs `to`");
  const to = readDestination(reader, item, text, undefined, via);
  const metric = reader.integer(members.get("metric"), 0, METRIC_MAX);
  return to === undefined ? undefined : { to, via, metric };
}
