/**
 * The kernel's network as operational data of ietf-interfaces, ietf-ip and ietf-routing.
 *
 * Pure. Source: RFC 7223 (interfaces-state), RFC 7277, RFC 8022 (routing-state); the revisions that Debian ships.
 */
import { familyOf } from "../lib/inet/address.ts";
import type {
  NetworkAddress,
  NetworkLink,
  NetworkRoute,
  NetworkSnapshot,
} from "../lib/netlink/network-snapshot.ts";
import type { ConfigData } from "../lib/service/provider.ts";
import type { Drift } from "./network.ts";

/** Routes that are told; a table with more is cut here, and the count says so by being full. */
export const ROUTES_TOLD_MAX = 10_000;
const RTPROT_KERNEL = 2;
/** ietf-interfaces: the type is mandatory. */
const TYPES: Readonly<Record<string, string>> = {
  vlan: "iana-if-type:l2vlan",
  vxlan: "flowlift-interfaces:vxlan",
  bridge: "iana-if-type:bridge",
};
const SPECIAL: Readonly<Record<number, string>> = {
  6: "blackhole",
  7: "unreachable",
  8: "prohibit",
};

export interface NetworkStateSources {
  readonly snapshot: NetworkSnapshot;
  readonly drift: readonly Drift[];
  /** When counting began, as `yang:date-and-time`. */
  readonly discontinuityTime: string;
}

/** Returns RFC 7951 data. */
export function readNetworkState(sources: NetworkStateSources): ConfigData {
  const { snapshot, drift } = sources;
  const interfaces = snapshot.links.map((link) => readLink(link, sources));
  const names = new Map(snapshot.links.map((link) => [link.index, link.name]));
  return {
    "ietf-interfaces:interfaces-state": { interface: interfaces },
    "ietf-routing:routing-state": {
      interfaces: { interface: snapshot.links.map((link) => link.name) },
      ribs: {
        rib: ([4, 6] as const).map((family) => readRib(family, snapshot.routes, names)),
      },
    },
    ...(drift.length === 0 ? {} : { "flowlift-interfaces:network": { drift } }),
  };
}

function readLink(link: NetworkLink, sources: NetworkStateSources): Record<string, unknown> {
  const { snapshot, discontinuityTime } = sources;
  const addresses = snapshot.addresses.filter((one) => one.linkIndex === link.index);
  const type =
    link.name === "lo"
      ? "iana-if-type:softwareLoopback"
      : (TYPES[link.kind ?? ""] ?? "iana-if-type:ethernetCsmacd");
  return {
    name: link.name,
    type,
    "admin-status": link.enabled ? "up" : "down",
    "oper-status": link.up ? "up" : link.enabled ? "lower-layer-down" : "down",
    "if-index": link.index,
    ...(link.mac === undefined ? {} : { "phys-address": link.mac }),
    ...readStatistics(link, discontinuityTime),
    ...readFamily(4, link, addresses, snapshot),
    ...readFamily(6, link, addresses, snapshot),
  };
}

function readStatistics(link: NetworkLink, discontinuityTime: string): Record<string, unknown> {
  const counted = link.statistics;
  if (counted === undefined) return {};
  const wrap = (value: bigint): number => Number(value & 0xffff_ffffn); // counter32
  return {
    statistics: {
      "discontinuity-time": discontinuityTime,
      "in-octets": `${counted.rxBytes}`,
      "in-unicast-pkts": `${counted.rxPackets - counted.rxMulticast}`,
      "in-multicast-pkts": `${counted.rxMulticast}`,
      "in-discards": wrap(counted.rxDropped),
      "in-errors": wrap(counted.rxErrors),
      "out-octets": `${counted.txBytes}`,
      "out-unicast-pkts": `${counted.txPackets}`,
      "out-discards": wrap(counted.txDropped),
      "out-errors": wrap(counted.txErrors),
    },
  };
}

function readFamily(
  family: 4 | 6,
  link: NetworkLink,
  addresses: readonly NetworkAddress[],
  snapshot: NetworkSnapshot,
): Record<string, unknown> {
  const own = addresses.filter(({ address }) => familyOf(address) === family);
  const fixed = snapshot.neighbours.filter(
    (entry) => entry.linkIndex === link.index && familyOf(entry.address) === family,
  );
  if (own.length === 0 && fixed.length === 0) return {};
  const address = own.map(({ address: ip, lengthBits, permanent }) => ({
    ip,
    "prefix-length": lengthBits,
    origin: permanent ? "static" : "dhcp",
  }));
  const neighbor = fixed.map((entry) => ({
    ip: entry.address,
    "link-layer-address": entry.mac,
    origin: "static",
  }));
  const mtu = family === 4 ? Math.min(link.mtuBytes, 65_535) : link.mtuBytes;
  return {
    [`ietf-ip:ipv${family}`]: {
      forwarding: true,
      mtu,
      ...(address.length === 0 ? {} : { address }),
      ...(neighbor.length === 0 ? {} : { neighbor }),
    },
  };
}

function readRib(
  family: 4 | 6,
  routes: readonly NetworkRoute[],
  names: ReadonlyMap<number, string>,
): Record<string, unknown> {
  const own = routes.filter((route) => route.family === family).slice(0, ROUTES_TOLD_MAX);
  const module = `ietf-ipv${family}-unicast-routing`;
  return {
    name: `ipv${family}-main`,
    "address-family": `${module}:ipv${family}-unicast`,
    routes: {
      route: own.map((route) => ({
        "route-preference": route.metric,
        "next-hop": readNextHop(route, module, names),
        "source-protocol":
          route.protocol === RTPROT_KERNEL ? "ietf-routing:direct" : "ietf-routing:static",
        active: [null],
        [`${module}:destination-prefix`]: `${route.destination ?? (family === 4 ? "0.0.0.0" : "::")}/${route.lengthBits}`,
      })),
    },
  };
}

function readNextHop(
  route: NetworkRoute,
  module: string,
  names: ReadonlyMap<number, string>,
): Record<string, unknown> {
  const special = SPECIAL[route.type];
  if (special !== undefined) return { "special-next-hop": special };
  const hops = route.nextHops.map(({ linkIndex, gateway }) => ({
    name: names.get(linkIndex),
    gateway,
  }));
  const [only, ...others] = hops;
  if (others.length > 0) {
    const list = hops.map(({ name, gateway }) => ({
      ...(name === undefined ? {} : { "outgoing-interface": name }),
      ...(gateway === undefined ? {} : { [`${module}:address`]: gateway }),
    }));
    return { "next-hop-list": { "next-hop": list } };
  }
  return {
    ...(only?.name === undefined ? {} : { "outgoing-interface": only.name }),
    ...(only?.gateway === undefined ? {} : { [`${module}:next-hop-address`]: only.gateway }),
  };
}
