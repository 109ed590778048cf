/**
 * OpenStack's network_data.json: links, networks on them, name servers.
 *
 * Pure. Source: Nova's "Metadata service" documentation and its network_data.json schema.
 */
import type { IpAddress } from "../../lib/inet/address.ts";
import type { DocumentReader, Value } from "./document.ts";
import {
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

/** Every kind of port that Neutron makes is an Ethernet card to its VM; these are not. */
const REFUSED_LINKS = ["bond", "bridge"];
const ADVERTISED = ["ipv6_slaac", "ipv6_dhcpv6-stateless", "ipv6_dhcpv6-stateful", "ipv6_dhcp"];

interface Link {
  readonly id: string;
  readonly value: Value;
  readonly members: ReadonlyMap<string, Value>;
  readonly name: string;
  readonly mac: string | undefined;
}

/** Returns the plan: interfaces are called eth0, eth1 … in the order of the document. */
export function readNetworkData(reader: DocumentReader, root: Value): NetworkPlan {
  const members = reader.map(root);
  reader.refuseUnknown(members, ["links", "networks", "services"]);
  const nameservers: string[] = [];
  readServices(reader, members.get("services"), nameservers);
  const links = readLinks(reader, members.get("links"));
  const networks = reader.list(members.get("networks"));
  const interfaces = links.map((link) => {
    const own = networks.filter((network) => network.members?.get("link")?.scalar === link.id);
    return readInterface(reader, link, links, own, nameservers);
  });
  return { interfaces, nameservers: [...new Set(nameservers)] };
}

function readLinks(reader: DocumentReader, at: Value | undefined): Link[] {
  const links: Link[] = [];
  let cards = 0;
  for (const value of reader.list(at)) {
    const members = reader.map(value);
    const type = reader.text(members.get("type")) ?? "";
    if (REFUSED_LINKS.includes(type))
      reader.fail(value, `links of type "${type}" are not supported`);
    const vlanId = reader.integer(members.get("vlan_id"), 1, VLAN_ID_MAX);
    const isVlan = type === "vlan";
    links.push({
      id: reader.text(members.get("id")) ?? "",
      value,
      members,
      name: isVlan ? `vlan${vlanId ?? 0}` : `eth${cards++}`,
      mac: readMac(reader, members.get("ethernet_mac_address")),
    });
  }
  return links;
}

function readInterface(
  reader: DocumentReader,
  link: Link,
  links: readonly Link[],
  networks: readonly Value[],
  nameservers: string[],
): PlannedInterface {
  const { members, name, value } = link;
  const shape = {
    name,
    line: value.line,
    mtu: reader.integer(members.get("mtu"), MTU_MIN, MTU_MAX),
  };
  const addresses: string[] = [];
  const routes: PlannedRoute[] = [];
  let dhcp4 = false;
  let acceptsAdvertisements = false;
  for (const network of networks) {
    const way = readNetwork(reader, network, addresses, routes, nameservers);
    dhcp4 ||= way === "dhcp4";
    acceptsAdvertisements ||= way === "advertised";
  }
  const common = { ...shape, addresses, routes, dhcp4, acceptsAdvertisements };
  if (members.get("type")?.scalar !== "vlan") {
    if (link.mac === undefined) reader.fail(value, "a link needs `ethernet_mac_address`");
    return { ...common, match: link.mac === undefined ? { name } : { mac: link.mac } };
  }
  const under = links.find((other) => other.id === members.get("vlan_link")?.scalar);
  if (under === undefined) reader.fail(value, "a vlan needs `vlan_link`, the id of another link");
  const id = reader.integer(members.get("vlan_id"), 1, VLAN_ID_MAX) ?? 1;
  return { ...common, match: {}, vlan: { link: under?.name ?? "", id } };
}

function readNetwork(
  reader: DocumentReader,
  network: Value,
  addresses: string[],
  routes: PlannedRoute[],
  nameservers: string[],
): "dhcp4" | "advertised" | "static" {
  const members = reader.map(network);
  const type = reader.text(members.get("type")) ?? "";
  readServices(reader, members.get("services"), nameservers);
  for (const item of reader.list(members.get("routes"))) {
    const route = readRoute(reader, item);
    if (route !== undefined) routes.push(route);
  }
  if (type === "ipv4_dhcp") return "dhcp4";
  if (ADVERTISED.includes(type)) return "advertised";
  if (type !== "ipv4" && type !== "ipv6") {
    reader.fail(network, `network type "${type}" is not supported`);
    return "static";
  }
  const text = reader.text(members.get("ip_address"));
  if (text === undefined) reader.fail(network, "a network needs `ip_address`");
  const mask = reader.text(members.get("netmask"));
  const address = text === undefined ? undefined : readAddress(reader, network, text, mask);
  if (address !== undefined) addresses.push(address);
  const via = readIp(reader, members.get("gateway"));
  if (via !== undefined) routes.push(defaultRoute(via));
  return "static";
}

function defaultRoute(via: IpAddress): PlannedRoute {
  return { to: via.includes(":") ? "::/0" : "0.0.0.0/0", via, metric: undefined };
}

function readRoute(reader: DocumentReader, item: Value): PlannedRoute | undefined {
  const members = reader.map(item);
  const text = reader.text(members.get("network"));
  const via = readIp(reader, members.get("gateway"));
  if (text === undefined) return reader.fail(item, "a route needs `network`");
  const mask = reader.text(members.get("netmask"));
  const to = readDestination(reader, item, text, mask, via);
  return to === undefined ? undefined : { to, via, metric: undefined };
}

function readServices(reader: DocumentReader, at: Value | undefined, servers: string[]): void {
  for (const item of reader.list(at)) {
    const members = reader.map(item);
    if (members.get("type")?.scalar !== "dns") continue;
    const server = readIp(reader, members.get("address"));
    if (server !== undefined) servers.push(server);
  }
}
