/**
 * The namespace's network as the kernel has it: links, addresses, routes and fixed neighbours.
 *
 * Effect: rtnetlink dumps; no privilege needed.
 * Source: linux/rtnetlink.h, if_link.h (struct rtnl_link_stats64), if_addr.h, neighbour.h.
 */
import { formatIpBytes, type IpAddress, type MacAddress } from "../inet/address.ts";
import { AttributeCursor, type MessageBuilder, type MessageSpan } from "./attributes.ts";
import { NetlinkRequester } from "./request.ts";
import {
  AF_BRIDGE,
  AF_UNSPEC,
  decodeAddress,
  decodeLink,
  decodeNeighbour,
  decodeRoute,
  IFADDRMSG_BYTES,
  IFINFOMSG_BYTES,
  type Link,
  type LinkAddress,
  NDMSG_BYTES,
  NUD_PERMANENT,
  type Route,
  RTM_GETADDR,
  RTM_GETLINK,
  RTM_GETNEIGH,
  RTM_GETROUTE,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_NEWNEIGH,
  RTM_NEWROUTE,
  RTMSG_BYTES,
} from "./route-messages.ts";
import { NETLINK_ROUTE } from "./socket.ts";

const IFF_UP = 0x1;
const IFLA_LINKINFO = 18;
const IFLA_STATS64 = 23;
const IFLA_INFO_DATA = 2;
/** IFLA_VLAN_ID and IFLA_VXLAN_ID. */
const INFO_DATA_ID = 1;
const IFA_FLAGS = 8;
const IFA_F_PERMANENT = 0x80;
const RTA_PRIORITY = 6;
const RTA_MULTIPATH = 9;
const RTA_GATEWAY = 5;
const RTNEXTHOP_BYTES = 8;
/** Of struct rtnl_link_stats64, in its order. */
const STATISTICS = [
  "rxPackets",
  "txPackets",
  "rxBytes",
  "txBytes",
  "rxErrors",
  "txErrors",
  "rxDropped",
  "txDropped",
  "rxMulticast",
] as const;

export const RT_SCOPE_UNIVERSE = 0;
export const RT_TABLE_MAIN = 254;

export type LinkStatistics = Readonly<Record<(typeof STATISTICS)[number], bigint>>;

export interface NetworkLink extends Link {
  /** Administratively up, whatever the carrier does. */
  readonly enabled: boolean;
  /** The VLAN's id or the VXLAN's network identifier. */
  readonly virtualId?: number;
  readonly statistics?: LinkStatistics;
}

export interface NetworkAddress extends LinkAddress {
  /** RT_SCOPE_*. */
  readonly scope: number;
  /** False for addresses with a lifetime (DHCP, router advertisements). */
  readonly permanent: boolean;
}

export interface NetworkNextHop {
  readonly linkIndex: number;
  readonly gateway?: IpAddress;
}

export interface NetworkRoute extends Route {
  /** RTPROT_*: who made it. */
  readonly protocol: number;
  readonly metric: number;
  /** Several for a multipath route; empty for one that rejects. */
  readonly nextHops: readonly NetworkNextHop[];
}

export interface FixedNeighbour {
  readonly linkIndex: number;
  readonly address: IpAddress;
  readonly mac: MacAddress;
}

export interface NetworkSnapshot {
  readonly links: readonly NetworkLink[];
  readonly addresses: readonly NetworkAddress[];
  /** Of the main table. */
  readonly routes: readonly NetworkRoute[];
  /** Neighbours that somebody fixed (NUD_PERMANENT). */
  readonly neighbours: readonly FixedNeighbour[];
}

/** Reads everything. Throws NetlinkError. */
export async function readNetwork(): Promise<NetworkSnapshot> {
  const requester = new NetlinkRequester(NETLINK_ROUTE);
  try {
    const links = await dump(
      requester,
      RTM_GETLINK,
      RTM_NEWLINK,
      IFINFOMSG_BYTES,
      decodeNetworkLink,
    );
    const addresses = await dump(
      requester,
      RTM_GETADDR,
      RTM_NEWADDR,
      IFADDRMSG_BYTES,
      decodeNetworkAddress,
    );
    const routes = await dump(
      requester,
      RTM_GETROUTE,
      RTM_NEWROUTE,
      RTMSG_BYTES,
      decodeNetworkRoute,
    );
    const neighbours = await dump(requester, RTM_GETNEIGH, RTM_NEWNEIGH, NDMSG_BYTES, decodeFixed);
    return {
      links,
      addresses,
      routes: routes.filter((route) => route.table === RT_TABLE_MAIN),
      neighbours,
    };
  } finally {
    requester.close();
  }
}

async function dump<T>(
  requester: NetlinkRequester,
  request: number,
  answer: number,
  headerBytes: number,
  decode: (view: DataView, message: MessageSpan) => T | undefined,
): Promise<T[]> {
  const found: T[] = [];
  const header = new Uint8Array(headerBytes);
  header[0] = AF_UNSPEC;
  const body = (builder: MessageBuilder): void => builder.payload(header);
  await requester.dump("read the network", request, body, (view, message) => {
    const item = message.type === answer ? decode(view, message) : undefined;
    if (item !== undefined) found.push(item);
  });
  return found;
}

export function decodeNetworkLink(view: DataView, message: MessageSpan): NetworkLink | undefined {
  const link = decodeLink(view, message);
  if (link === undefined || view.getUint8(message.start) === AF_BRIDGE) return undefined;
  const enabled = (view.getUint32(message.start + 8, true) & IFF_UP) !== 0;
  let virtualId: number | undefined;
  let statistics: LinkStatistics | undefined;
  const cursor = new AttributeCursor(view, message.start + IFINFOMSG_BYTES, message.end);
  while (cursor.next()) {
    if (cursor.type === IFLA_STATS64) statistics = readStatistics(cursor);
    else if (cursor.type === IFLA_LINKINFO) virtualId = readVirtualId(cursor.nested());
  }
  return {
    ...link,
    enabled,
    ...(virtualId === undefined ? {} : { virtualId }),
    ...(statistics === undefined ? {} : { statistics }),
  };
}

function readVirtualId(info: AttributeCursor): number | undefined {
  while (info.next()) {
    if (info.type !== IFLA_INFO_DATA) continue;
    for (const data = info.nested(); data.next(); ) {
      if (data.type !== INFO_DATA_ID) continue;
      if (data.length === 2) return data.view.getUint16(data.offset, true);
      return data.u32le();
    }
  }
  return undefined;
}

function readStatistics(cursor: AttributeCursor): LinkStatistics | undefined {
  if (cursor.length < 8 * STATISTICS.length) return undefined;
  const entries = STATISTICS.map((name, index) => [
    name,
    cursor.view.getBigUint64(cursor.offset + 8 * index, true),
  ]);
  return Object.fromEntries(entries) as LinkStatistics;
}

export function decodeNetworkAddress(
  view: DataView,
  message: MessageSpan,
): NetworkAddress | undefined {
  const address = decodeAddress(view, message);
  if (address === undefined) return undefined;
  let flags = view.getUint8(message.start + 2);
  const cursor = new AttributeCursor(view, message.start + IFADDRMSG_BYTES, message.end);
  while (cursor.next()) if (cursor.type === IFA_FLAGS) flags = cursor.u32le();
  const scope = view.getUint8(message.start + 3);
  return { ...address, scope, permanent: (flags & IFA_F_PERMANENT) !== 0 };
}

export function decodeNetworkRoute(view: DataView, message: MessageSpan): NetworkRoute | undefined {
  const route = decodeRoute(view, message);
  if (route === undefined) return undefined;
  let metric = 0;
  const nextHops: NetworkNextHop[] = [];
  const cursor = new AttributeCursor(view, message.start + RTMSG_BYTES, message.end);
  while (cursor.next()) {
    if (cursor.type === RTA_PRIORITY) metric = cursor.u32le();
    else if (cursor.type === RTA_MULTIPATH) nextHops.push(...readMultipath(cursor));
  }
  if (nextHops.length === 0 && route.outLinkIndex !== undefined) {
    nextHops.push({
      linkIndex: route.outLinkIndex,
      ...(route.gateway === undefined ? {} : { gateway: route.gateway }),
    });
  }
  return { ...route, protocol: view.getUint8(message.start + 5), metric, nextHops };
}

function readMultipath(cursor: AttributeCursor): NetworkNextHop[] {
  const hops: NetworkNextHop[] = [];
  const end = cursor.offset + cursor.length;
  for (let at = cursor.offset; at + RTNEXTHOP_BYTES <= end; ) {
    const length = cursor.view.getUint16(at, true);
    if (length < RTNEXTHOP_BYTES || at + length > end) break;
    const linkIndex = cursor.view.getInt32(at + 4, true);
    let gateway: IpAddress | undefined;
    const inner = new AttributeCursor(cursor.view, at + RTNEXTHOP_BYTES, at + length);
    while (inner.next()) {
      if (inner.type === RTA_GATEWAY) gateway = formatIpBytes(inner.bytes());
    }
    hops.push({ linkIndex, ...(gateway === undefined ? {} : { gateway }) });
    at += (length + 3) & ~3;
  }
  return hops;
}

function decodeFixed(view: DataView, message: MessageSpan): FixedNeighbour | undefined {
  const neighbour = decodeNeighbour(view, message);
  if (neighbour === undefined || neighbour.family === "bridge") return undefined;
  const { address, mac, linkIndex, state } = neighbour;
  if ((state & NUD_PERMANENT) === 0 || address === undefined || mac === undefined) return undefined;
  return { linkIndex, address, mac };
}
