/**
 * rtnetlink messages: links, addresses, routes and neighbours (bridge forwarding entries among them).
 *
 * Pure. Source: linux/rtnetlink.h, if_link.h, if_addr.h, neighbour.h.
 * Invariant: decoding never throws; what lacks its mandatory parts decodes to undefined.
 */
import { formatIpBytes, formatMacBytes, type IpAddress, type MacAddress } from "../inet/address.ts";
import { AttributeCursor, type MessageSpan } from "./attributes.ts";

export const AF_UNSPEC = 0;
export const AF_INET = 2;
export const AF_BRIDGE = 7;
export const AF_INET6 = 10;

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;
export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;
export const RTM_NEWNEIGH = 28;
export const RTM_DELNEIGH = 29;
export const RTM_GETNEIGH = 30;

export const RTNLGRP_LINK = 1;
export const RTNLGRP_NEIGH = 3;
export const RTNLGRP_IPV4_IFADDR = 5;
export const RTNLGRP_IPV4_ROUTE = 7;
export const RTNLGRP_IPV6_IFADDR = 9;
export const RTNLGRP_IPV6_ROUTE = 11;

export const IFINFOMSG_BYTES = 16;
export const IFADDRMSG_BYTES = 8;
export const RTMSG_BYTES = 12;
export const NDMSG_BYTES = 12;

const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINK = 5;
const IFLA_MASTER = 10;
const IFLA_LINKINFO = 18;
const IFLA_LINK_NETNSID = 37;
const IFLA_INFO_KIND = 1;
const IFF_UP = 0x1;
const IFF_LOWER_UP = 0x1_0000;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_METRICS = 8;
const RTA_VIA = 18;
const RTAX_MTU = 2;
const NDA_DST = 1;
const NDA_LLADDR = 2;
const NDA_VLAN = 5;
const NDA_MASTER = 9;

export const RTN_UNICAST = 1;

export const NUD_REACHABLE = 0x02;
export const NUD_STALE = 0x04;
export const NUD_DELAY = 0x08;
export const NUD_PROBE = 0x10;
export const NUD_FAILED = 0x20;
export const NUD_NOARP = 0x40;
export const NUD_PERMANENT = 0x80;
/** States in which the link address may be used. */
export const NUD_VALID: number =
  NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_NOARP | NUD_PERMANENT;
export const NTF_USE = 0x01;

export interface Link {
  readonly index: number;
  readonly name: string;
  /** Absent for links without a 6-byte address. */
  readonly mac?: MacAddress;
  readonly mtuBytes: number;
  /** Administratively up, and the carrier too. */
  readonly up: boolean;
  /** Index of the bridge or bond above. */
  readonly master?: number;
  /** Index of the veth peer or lower device, perhaps in another namespace. */
  readonly lower?: number;
  /** Present exactly when `lower` is in another namespace; the kernel's own number for that one. */
  readonly lowerNamespace?: number;
  /** "veth", "bridge", "tun" …; absent for plain devices. */
  readonly kind?: string;
}

export interface LinkAddress {
  readonly linkIndex: number;
  readonly address: IpAddress;
  readonly lengthBits: number;
}

export interface Route {
  readonly family: 4 | 6;
  /** RTN_*; only RTN_UNICAST is forwarded. */
  readonly type: number;
  readonly table: number;
  readonly destination?: IpAddress;
  readonly lengthBits: number;
  readonly outLinkIndex?: number;
  readonly gateway?: IpAddress;
  /** The route's own MTU, when it has one. */
  readonly mtuBytes?: number;
}

export interface Neighbour {
  readonly family: "ipv4" | "ipv6" | "bridge";
  readonly linkIndex: number;
  /** NUD_* bits. */
  readonly state: number;
  /** NTF_* bits. */
  readonly flags: number;
  /** Absent for bridge entries. */
  readonly address?: IpAddress;
  /** Absent while unresolved. */
  readonly mac?: MacAddress;
  readonly vlan?: number;
  /** Bridge entries: index of the bridge. */
  readonly master?: number;
}

export type RouteEvent =
  | { readonly kind: "link"; readonly change: "new" | "deleted"; readonly link: Link }
  | { readonly kind: "address"; readonly change: "new" | "deleted"; readonly address: LinkAddress }
  | { readonly kind: "route"; readonly change: "new" | "deleted"; readonly route: Route }
  | {
      readonly kind: "neighbour";
      readonly change: "new" | "deleted";
      readonly neighbour: Neighbour;
    }
  /** Events are missing: list again. */
  | { readonly kind: "overrun" };

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Returns what an event message says, or undefined when it is of no interest. */
export function decodeRouteEvent(view: DataView, message: MessageSpan): RouteEvent | undefined {
  switch (message.type) {
    case RTM_NEWLINK:
    case RTM_DELLINK: {
      const link = decodeLink(view, message);
      const change = message.type === RTM_NEWLINK ? "new" : "deleted";
      return link && { kind: "link", change, link };
    }
    case RTM_NEWADDR:
    case RTM_DELADDR: {
      const address = decodeAddress(view, message);
      const change = message.type === RTM_NEWADDR ? "new" : "deleted";
      return address && { kind: "address", change, address };
    }
    case RTM_NEWROUTE:
    case RTM_DELROUTE: {
      const route = decodeRoute(view, message);
      const change = message.type === RTM_NEWROUTE ? "new" : "deleted";
      return route && { kind: "route", change, route };
    }
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH: {
      const neighbour = decodeNeighbour(view, message);
      const change = message.type === RTM_NEWNEIGH ? "new" : "deleted";
      return neighbour && { kind: "neighbour", change, neighbour };
    }
    default:
      return undefined;
  }
}

/** Bridges send link messages of family AF_BRIDGE about their ports; those are not links of their own. */
export function decodeLink(view: DataView, message: MessageSpan): Link | undefined {
  if (message.end - message.start < IFINFOMSG_BYTES) return undefined;
  if (view.getUint8(message.start) === AF_BRIDGE) return undefined;
  const flags = view.getUint32(message.start + 8, true);
  const link: Writable<Link> = {
    index: view.getInt32(message.start + 4, true),
    name: "",
    mtuBytes: 0,
    up: (flags & IFF_UP) !== 0 && (flags & IFF_LOWER_UP) !== 0,
  };
  const cursor = new AttributeCursor(view, message.start + IFINFOMSG_BYTES, message.end);
  while (cursor.next()) {
    if (cursor.type === IFLA_IFNAME) link.name = cursor.text();
    else if (cursor.type === IFLA_MTU) link.mtuBytes = cursor.u32le();
    else if (cursor.type === IFLA_MASTER) link.master = cursor.u32le();
    else if (cursor.type === IFLA_LINK) link.lower = cursor.u32le();
    else if (cursor.type === IFLA_LINK_NETNSID) link.lowerNamespace = cursor.u32le();
    else if (cursor.type === IFLA_ADDRESS && cursor.length === 6) {
      link.mac = formatMacBytes(cursor.bytes());
    } else if (cursor.type === IFLA_LINKINFO) {
      for (const info = cursor.nested(); info.next(); ) {
        if (info.type === IFLA_INFO_KIND) link.kind = info.text();
      }
    }
  }
  return link.name === "" ? undefined : link;
}

export function decodeAddress(view: DataView, message: MessageSpan): LinkAddress | undefined {
  if (message.end - message.start < IFADDRMSG_BYTES) return undefined;
  const lengthBits = view.getUint8(message.start + 1);
  const linkIndex = view.getUint32(message.start + 4, true);
  let address: IpAddress | undefined;
  let local: IpAddress | undefined;
  const cursor = new AttributeCursor(view, message.start + IFADDRMSG_BYTES, message.end);
  while (cursor.next()) {
    if (cursor.type === IFA_ADDRESS) address = addressOf(cursor);
    else if (cursor.type === IFA_LOCAL) local = addressOf(cursor);
  }
  const own = local ?? address; // On point-to-point links IFA_ADDRESS is the peer's.
  return own && { linkIndex, address: own, lengthBits };
}

export function decodeRoute(view: DataView, message: MessageSpan): Route | undefined {
  if (message.end - message.start < RTMSG_BYTES) return undefined;
  const family = view.getUint8(message.start);
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  const route: Writable<Route> = {
    family: family === AF_INET ? 4 : 6,
    lengthBits: view.getUint8(message.start + 1),
    table: view.getUint8(message.start + 4),
    type: view.getUint8(message.start + 7),
  };
  const cursor = new AttributeCursor(view, message.start + RTMSG_BYTES, message.end);
  while (cursor.next()) decodeRouteAttribute(cursor, route);
  return route;
}

function decodeRouteAttribute(cursor: AttributeCursor, route: Writable<Route>): void {
  if (cursor.type === RTA_OIF) route.outLinkIndex = cursor.u32le();
  else if (cursor.type === RTA_DST) {
    const destination = addressOf(cursor);
    if (destination !== undefined) route.destination = destination;
  } else if (cursor.type === RTA_GATEWAY) {
    const gateway = addressOf(cursor);
    if (gateway !== undefined) route.gateway = gateway;
  } else if (cursor.type === RTA_VIA && cursor.length > 2) {
    const bytes = cursor.bytes().subarray(2); // struct rtvia: family, then the address.
    if (bytes.length === 4 || bytes.length === 16) route.gateway = formatIpBytes(bytes);
  } else if (cursor.type === RTA_METRICS) {
    for (const metric = cursor.nested(); metric.next(); ) {
      if (metric.type === RTAX_MTU) route.mtuBytes = metric.u32le();
    }
  }
}

export function decodeNeighbour(view: DataView, message: MessageSpan): Neighbour | undefined {
  if (message.end - message.start < NDMSG_BYTES) return undefined;
  const family = view.getUint8(message.start);
  if (family !== AF_INET && family !== AF_INET6 && family !== AF_BRIDGE) return undefined;
  const neighbour: Writable<Neighbour> = {
    family: family === AF_INET ? "ipv4" : family === AF_INET6 ? "ipv6" : "bridge",
    linkIndex: view.getInt32(message.start + 4, true),
    state: view.getUint16(message.start + 8, true),
    flags: view.getUint8(message.start + 10),
  };
  const cursor = new AttributeCursor(view, message.start + NDMSG_BYTES, message.end);
  while (cursor.next()) {
    if (cursor.type === NDA_DST) {
      const address = addressOf(cursor);
      if (address !== undefined) neighbour.address = address;
    } else if (cursor.type === NDA_LLADDR && cursor.length === 6) {
      neighbour.mac = formatMacBytes(cursor.bytes());
    } else if (cursor.type === NDA_VLAN && cursor.length >= 2) {
      neighbour.vlan = view.getUint16(cursor.offset, true);
    } else if (cursor.type === NDA_MASTER) neighbour.master = cursor.u32le();
  }
  return neighbour;
}

function addressOf(cursor: AttributeCursor): IpAddress | undefined {
  if (cursor.length !== 4 && cursor.length !== 16) return undefined;
  return formatIpBytes(cursor.bytes());
}
