/**
 * Links, addresses, routes and neighbours of the namespace, and their changes as they happen.
 *
 * Effect: rtnetlink requests. Reading needs no privilege; probing a neighbour needs CAP_NET_ADMIN.
 *
 * Use:
 *   const routes = new RouteTable();
 *   const links = await routes.listLinks();
 *   const fdb = await routes.listNeighbours("bridge");       // which bridge port each MAC lives on
 *   const monitor = monitorRoutes({ groups: [RTNLGRP_LINK, RTNLGRP_NEIGH], onEvents(events) { … } });
 * Start the monitor before the first list, so that nothing falls between; FDB entries arrive as neighbour
 * events of family "bridge". On "overrun", list again.
 * Source: rtnetlink(7); linux/rtnetlink.h.
 */
import { familyOf, type IpAddress, ipToBytes } from "../inet/address.ts";
import { forEachMessage, type MessageBuilder, NLM_F_CREATE } from "./attributes.ts";
import { type EventReader, readEvents } from "./event-reader.ts";
import { NetlinkRequester } from "./request.ts";
import {
  AF_BRIDGE,
  AF_INET,
  AF_INET6,
  AF_UNSPEC,
  decodeAddress,
  decodeLink,
  decodeNeighbour,
  decodeRoute,
  decodeRouteEvent,
  IFADDRMSG_BYTES,
  IFINFOMSG_BYTES,
  type Link,
  type LinkAddress,
  NDMSG_BYTES,
  type Neighbour,
  NTF_USE,
  type Route,
  type RouteEvent,
  RTM_GETADDR,
  RTM_GETLINK,
  RTM_GETNEIGH,
  RTM_GETROUTE,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_NEWNEIGH,
  RTM_NEWROUTE,
  RTMSG_BYTES,
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_IPV4_ROUTE,
  RTNLGRP_IPV6_IFADDR,
  RTNLGRP_IPV6_ROUTE,
  RTNLGRP_LINK,
  RTNLGRP_NEIGH,
} from "./route-messages.ts";
import { ENOENT, NETLINK_ROUTE, NetlinkError } from "./socket.ts";

const RTA_DST = 1;
const NDA_DST = 1;
const NLM_F_EMPTY = 0;
const ENETUNREACH = 101;
const EHOSTUNREACH = 113;
const MONITOR_BUFFER_BYTES: number = 4 * 1024 * 1024;

export const ROUTE_GROUPS_ALL: readonly number[] = [
  RTNLGRP_LINK,
  RTNLGRP_NEIGH,
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_IPV6_IFADDR,
  RTNLGRP_IPV4_ROUTE,
  RTNLGRP_IPV6_ROUTE,
];

export class RouteTable {
  readonly #requester: NetlinkRequester = new NetlinkRequester(NETLINK_ROUTE);

  async listLinks(): Promise<Link[]> {
    const links: Link[] = [];
    const body = (builder: MessageBuilder): void =>
      builder.payload(new Uint8Array(IFINFOMSG_BYTES));
    await this.#requester.dump("list links", RTM_GETLINK, body, (view, message) => {
      const link = message.type === RTM_NEWLINK ? decodeLink(view, message) : undefined;
      if (link !== undefined) links.push(link);
    });
    return links;
  }

  async listAddresses(): Promise<LinkAddress[]> {
    const addresses: LinkAddress[] = [];
    const body = (builder: MessageBuilder): void =>
      builder.payload(new Uint8Array(IFADDRMSG_BYTES));
    await this.#requester.dump("list addresses", RTM_GETADDR, body, (view, message) => {
      const address = message.type === RTM_NEWADDR ? decodeAddress(view, message) : undefined;
      if (address !== undefined) addresses.push(address);
    });
    return addresses;
  }

  /** Lists ARP and neighbour discovery entries ("ip"), or bridge forwarding entries. */
  async listNeighbours(what: "ip" | "bridge"): Promise<Neighbour[]> {
    const neighbours: Neighbour[] = [];
    const body = (builder: MessageBuilder): void =>
      writeNdmsg(builder, what === "ip" ? AF_UNSPEC : AF_BRIDGE, 0, 0);
    await this.#requester.dump("list neighbours", RTM_GETNEIGH, body, (view, message) => {
      const found = message.type === RTM_NEWNEIGH ? decodeNeighbour(view, message) : undefined;
      if (found !== undefined) neighbours.push(found);
    });
    return neighbours;
  }

  /** Returns the route that a packet to `destination` would take, or undefined when there is none. */
  lookupRoute(destination: IpAddress): Route | undefined {
    const isV4 = familyOf(destination) === 4;
    let route: Route | undefined;
    const header = new Uint8Array(RTMSG_BYTES);
    header[0] = isV4 ? AF_INET : AF_INET6;
    header[1] = isV4 ? 32 : 128;
    try {
      this.#requester.request(
        `look up the route to ${destination}`,
        RTM_GETROUTE,
        NLM_F_EMPTY,
        (builder) => {
          builder.payload(header);
          builder.attribute(RTA_DST, ipToBytes(destination));
        },
        (view, message) => {
          if (message.type === RTM_NEWROUTE) route = decodeRoute(view, message);
        },
      );
    } catch (error) {
      if (isErrno(error, ENETUNREACH) || isErrno(error, EHOSTUNREACH)) return undefined;
      throw error;
    }
    return route;
  }

  /** Returns the neighbour entry, resolved or not; undefined when the kernel has none. */
  getNeighbour(linkIndex: number, address: IpAddress): Neighbour | undefined {
    let neighbour: Neighbour | undefined;
    try {
      this.#requester.request(
        `read neighbour ${address}`,
        RTM_GETNEIGH,
        NLM_F_EMPTY,
        (builder) => writeNeighbour(builder, linkIndex, address, 0),
        (view, message) => {
          if (message.type === RTM_NEWNEIGH) neighbour = decodeNeighbour(view, message);
        },
      );
    } catch (error) {
      if (isErrno(error, ENOENT)) return undefined;
      throw error;
    }
    return neighbour;
  }

  /** Makes the kernel resolve the neighbour now; the answer arrives as a neighbour event. */
  probeNeighbour(linkIndex: number, address: IpAddress): void {
    this.#requester.request(
      `probe neighbour ${address}`,
      RTM_NEWNEIGH,
      NLM_F_CREATE,
      (builder) => writeNeighbour(builder, linkIndex, address, NTF_USE),
      () => {},
    );
  }

  close(): void {
    this.#requester.close();
  }
}

export interface RouteMonitorOptions {
  /** RTNLGRP_*; all that this file knows by default. */
  readonly groups?: readonly number[];
  readonly receiveBytes?: number;
  onEvents(events: readonly RouteEvent[]): void;
}

/** Listens from when it returns, in the calling thread. */
export function monitorRoutes(options: RouteMonitorOptions): EventReader {
  const source = {
    protocol: NETLINK_ROUTE,
    groups: options.groups ?? ROUTE_GROUPS_ALL,
    receiveBytes: options.receiveBytes ?? MONITOR_BUFFER_BYTES,
  };
  return readEvents(source, ({ bytes, overrun }) => {
    const events: RouteEvent[] = overrun ? [{ kind: "overrun" }] : [];
    const view = new DataView(bytes);
    forEachMessage(view, (message) => {
      const event = decodeRouteEvent(view, message);
      if (event !== undefined) events.push(event);
    });
    if (events.length > 0) options.onEvents(events);
  });
}

function isErrno(error: unknown, errno: number): boolean {
  return error instanceof NetlinkError && error.errno === errno;
}

function writeNdmsg(builder: MessageBuilder, family: number, index: number, flags: number): void {
  const header = new Uint8Array(NDMSG_BYTES);
  const view = new DataView(header.buffer);
  view.setUint8(0, family);
  view.setInt32(4, index, true);
  view.setUint8(10, flags);
  builder.payload(header);
}

function writeNeighbour(
  builder: MessageBuilder,
  linkIndex: number,
  address: IpAddress,
  flags: number,
): void {
  writeNdmsg(builder, familyOf(address) === 4 ? AF_INET : AF_INET6, linkIndex, flags);
  builder.attribute(NDA_DST, ipToBytes(address));
}
