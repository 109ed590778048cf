/**
 * The network's typed configuration, from ietf-interfaces, ietf-ip, ietf-routing and flowlift-interfaces.
 *
 * Pure. Source: RFC 7223, RFC 7277, RFC 8022 (the revisions that Debian 12 ships); yang/flowlift-interfaces.yang.
 * Invariant: an interface without an `ipv4` (`ipv6`) container keeps the addresses that it has.
 */
import { err, ok, type Result } from "../lib/base/result.ts";
import {
  type AddressFamily,
  familyOf,
  type IpAddress,
  type IpPrefix,
  type MacAddress,
  parseIpAddress,
  parseIpPrefix,
  parseMacAddress,
} from "../lib/inet/address.ts";
import {
  childList,
  childNode,
  type DataNode,
  listStep,
  optionalNode,
  ProblemCollector,
  readBoolean,
  readIdentity,
  readNumber,
  readText,
} from "../lib/service/data-reader.ts";
import type { ConfigData, ConfigProblem } from "../lib/service/provider.ts";

/** IFNAMSIZ less the terminating zero. */
export const LINK_NAME_BYTES_MAX = 15;
export const VXLAN_PORT_DEFAULT = 4789;
/** Metric of static routes: below what DHCP clients use, so that configuration wins. */
export const STATIC_METRIC = 5;

export interface OwnAddress {
  readonly address: IpAddress;
  readonly lengthBits: number;
}

export interface FixedNeighbourConfig {
  readonly address: IpAddress;
  readonly mac: MacAddress;
}

/** One family of one interface. */
export interface FamilyConfig {
  readonly enabled: boolean;
  readonly addresses: readonly OwnAddress[];
  readonly neighbours: readonly FixedNeighbourConfig[];
}

export type VirtualConfig =
  | { readonly kind: "vlan"; readonly parent: string; readonly id: number }
  | {
      readonly kind: "vxlan";
      readonly id: number;
      readonly remote: IpAddress;
      readonly local: IpAddress | undefined;
      readonly port: number;
    };

export interface InterfaceConfig {
  readonly name: string;
  readonly enabled: boolean;
  readonly mtuBytes: number | undefined;
  readonly virtual: VirtualConfig | undefined;
  readonly ipv4: FamilyConfig | undefined;
  readonly ipv6: FamilyConfig | undefined;
}

export interface NextHopConfig {
  readonly interfaceName: string | undefined;
  readonly gateway: IpAddress | undefined;
}

export interface StaticRoute {
  readonly destination: IpPrefix;
  readonly type: "unicast" | "blackhole" | "unreachable" | "prohibit";
  readonly nextHops: readonly NextHopConfig[];
}

export interface NetworkConfig {
  readonly interfaces: readonly InterfaceConfig[];
  readonly routes: readonly StaticRoute[];
}

export const EMPTY_NETWORK: NetworkConfig = { interfaces: [], routes: [] };

const IF_ROOT = "/ietf-interfaces:interfaces";
const RT_ROOT = "/ietf-routing:routing/control-plane-protocols";

/** Returns the configuration, or the first thing in it that cannot be carried out. */
export function parseNetworkConfig(data: ConfigData): Result<NetworkConfig, ConfigProblem> {
  const problems = new ProblemCollector();
  const root = childNode(data, "ietf-interfaces:interfaces");
  const interfaces = childList(root, "interface").map((node) => parseInterface(node, problems));
  checkParents(interfaces, problems);
  const routes = parseRoutes(data, problems);
  return problems.first === undefined ? ok({ interfaces, routes }) : err(problems.first);
}

function parseInterface(node: DataNode, problems: ProblemCollector): InterfaceConfig {
  const name = readText(node, "name") ?? "";
  const path = `${IF_ROOT}/${listStep("interface", "name", name)}`;
  if (!isLinkName(name)) {
    const rule = `1 to ${LINK_NAME_BYTES_MAX} bytes without "/", ":" and blanks`;
    problems.add(`${path}/name`, `"${name}" cannot name an interface: ${rule}`);
  }
  return {
    name,
    enabled: readBoolean(node, "enabled", true),
    mtuBytes: readNumber(node, "flowlift-interfaces:mtu"),
    virtual: parseVirtual(node, path, problems),
    ipv4: parseFamily(node, 4, path, problems),
    ipv6: parseFamily(node, 6, path, problems),
  };
}

/** Linux: dev_valid_name() in net/core/dev.c. */
function isLinkName(name: string): boolean {
  const fits = name.length > 0 && Buffer.byteLength(name) <= LINK_NAME_BYTES_MAX;
  return fits && name !== "." && name !== ".." && !/[/:\s]/.test(name);
}

function parseVirtual(
  node: DataNode,
  path: string,
  problems: ProblemCollector,
): VirtualConfig | undefined {
  const vlan = optionalNode(node, "flowlift-interfaces:vlan");
  if (readIdentity(node, "type") === "l2vlan" && vlan !== undefined) {
    const parent = readText(vlan, "parent") ?? "";
    return { kind: "vlan", parent, id: readNumber(vlan, "id") ?? 0 };
  }
  const vxlan = optionalNode(node, "flowlift-interfaces:vxlan");
  if (vxlan === undefined) return undefined;
  const remote = parseIpAddress(readText(vxlan, "remote") ?? "");
  const localText = readText(vxlan, "local");
  const local = localText === undefined ? undefined : parseIpAddress(localText);
  if (remote === undefined) {
    return problems.add(`${path}/flowlift-interfaces:vxlan/remote`, "not an address");
  }
  if (local !== undefined && familyOf(local) !== familyOf(remote)) {
    const reason = "local and remote must be of one address family";
    return problems.add(`${path}/flowlift-interfaces:vxlan/local`, reason);
  }
  const port = readNumber(vxlan, "port") ?? VXLAN_PORT_DEFAULT;
  return { kind: "vxlan", id: readNumber(vxlan, "vni") ?? 0, remote, local, port };
}

function parseFamily(
  node: DataNode,
  family: AddressFamily,
  parent: string,
  problems: ProblemCollector,
): FamilyConfig | undefined {
  const found = optionalNode(node, `ietf-ip:ipv${family}`);
  if (found === undefined) return undefined;
  const path = `${parent}/ietf-ip:ipv${family}`;
  const addresses = childList(found, "address").flatMap((entry): OwnAddress[] => {
    const text = readText(entry, "ip") ?? "";
    const at = `${path}/${listStep("address", "ip", text)}`;
    const address = parseIpAddress(text);
    const lengthBits = readLength(entry, family);
    if (address !== undefined && lengthBits !== undefined) return [{ address, lengthBits }];
    problems.add(at, "needs a prefix length, or a netmask of leading ones");
    return [];
  });
  const neighbours = childList(found, "neighbor").flatMap((entry): FixedNeighbourConfig[] => {
    const text = readText(entry, "ip") ?? "";
    const address = parseIpAddress(text);
    const mac = parseMacAddress(readText(entry, "link-layer-address") ?? "");
    if (address !== undefined && mac !== undefined) return [{ address, mac }];
    const at = `${path}/${listStep("neighbor", "ip", text)}/link-layer-address`;
    problems.add(at, "an Ethernet address has six pairs of hexadecimal digits");
    return [];
  });
  return { enabled: readBoolean(found, "enabled", true), addresses, neighbours };
}

function readLength(entry: DataNode, family: AddressFamily): number | undefined {
  const length = readNumber(entry, "prefix-length");
  if (length !== undefined) return length;
  const netmask = family === 4 ? readText(entry, "netmask") : undefined;
  if (netmask === undefined) return undefined;
  const bits = netmask
    .split(".")
    .map((part) => Number(part).toString(2).padStart(8, "0"))
    .join("");
  return /^1*0*$/.test(bits) ? bits.replaceAll("0", "").length : undefined;
}

function checkParents(interfaces: readonly InterfaceConfig[], problems: ProblemCollector): void {
  const byName = new Map(interfaces.map((entry) => [entry.name, entry]));
  const taken = new Set<string>();
  for (const { name, virtual } of interfaces) {
    if (virtual?.kind !== "vlan") continue;
    const path = `${IF_ROOT}/${listStep("interface", "name", name)}/flowlift-interfaces:vlan`;
    if (byName.get(virtual.parent)?.virtual?.kind === "vlan") {
      problems.add(`${path}/parent`, "a VLAN of a VLAN is not supported");
    }
    const key = `${virtual.parent} ${virtual.id}`;
    if (taken.has(key)) {
      problems.add(`${path}/id`, `VLAN ${virtual.id} of "${virtual.parent}" is there twice`);
    }
    taken.add(key);
  }
}

function parseRoutes(data: ConfigData, problems: ProblemCollector): StaticRoute[] {
  const protocols = childNode(childNode(data, "ietf-routing:routing"), "control-plane-protocols");
  const routes: StaticRoute[] = [];
  for (const protocol of childList(protocols, "control-plane-protocol")) {
    const type = readIdentity(protocol, "type") ?? "";
    const name = readText(protocol, "name") ?? "";
    const path = `${RT_ROOT}/control-plane-protocol[type='${type}'][name='${name}']`;
    if (type === "direct") continue; // Always there: the routes of the interfaces' own prefixes.
    if (type !== "static") {
      problems.add(path, `routing protocol "${type}" is not supported; use "static"`);
      continue;
    }
    const container = childNode(protocol, "static-routes");
    for (const family of [4, 6] as const) {
      const member = `ietf-ipv${family}-unicast-routing:ipv${family}`;
      const node = childNode(container, member);
      for (const route of childList(node, "route")) {
        const parsed = parseRoute(route, `${path}/static-routes/${member}`, problems);
        if (parsed !== undefined) routes.push(parsed);
      }
    }
  }
  checkTwice(routes, problems);
  return routes;
}

function parseRoute(
  node: DataNode,
  parent: string,
  problems: ProblemCollector,
): StaticRoute | undefined {
  const text = readText(node, "destination-prefix") ?? "";
  const path = `${parent}/${listStep("route", "destination-prefix", text)}`;
  const destination = parseIpPrefix(text);
  if (destination === undefined) return problems.add(path, "the prefix has bits after its length");
  const hop = childNode(node, "next-hop");
  const special = readText(hop, "special-next-hop");
  if (special === "blackhole" || special === "unreachable" || special === "prohibit") {
    return { destination, type: special, nextHops: [] };
  }
  if (special !== undefined) {
    return problems.add(`${path}/next-hop/special-next-hop`, `"${special}" is not supported`);
  }
  const listed = childList(childNode(hop, "next-hop-list"), "next-hop");
  const nextHops = (listed.length > 0 ? listed : [hop]).map((entry) => readNextHop(entry));
  const empty = nextHops.some((entry) => !entry.interfaceName && !entry.gateway);
  if (empty) {
    return problems.add(`${path}/next-hop`, "needs an outgoing interface or a next-hop address");
  }
  return { destination, type: "unicast", nextHops };
}

function readNextHop(node: DataNode): NextHopConfig {
  const gateway = readText(node, "next-hop-address");
  return {
    interfaceName: readText(node, "outgoing-interface"),
    gateway: gateway === undefined ? undefined : parseIpAddress(gateway),
  };
}

function checkTwice(routes: readonly StaticRoute[], problems: ProblemCollector): void {
  const seen = new Set<string>();
  for (const { destination } of routes) {
    const key = `${destination.address}/${destination.lengthBits}`;
    if (seen.has(key)) problems.add(RT_ROOT, `the route to ${key} is there twice`);
    seen.add(key);
  }
}
