/**
 * Changes of the namespace's network: links, addresses, routes and fixed neighbours.
 *
 * Effect: rtnetlink requests; CAP_NET_ADMIN. Each change is carried out by itself and throws NetlinkError with
 * the kernel's reason; whoever needs several to hold together undoes those before.
 * Source: rtnetlink(7); linux/rtnetlink.h, if_link.h (IFLA_VLAN_ID, IFLA_VXLAN_*).
 */
import {
  familyOf,
  type IpAddress,
  ipToBytes,
  type MacAddress,
  macToBytes,
} from "../inet/address.ts";
import { type MessageBuilder, NLM_F_CREATE } from "./attributes.ts";
import { NetlinkRequester } from "./request.ts";
import {
  AF_INET,
  AF_INET6,
  IFADDRMSG_BYTES,
  IFINFOMSG_BYTES,
  NDMSG_BYTES,
  NUD_PERMANENT,
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_DELROUTE,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_NEWNEIGH,
  RTM_NEWROUTE,
  RTMSG_BYTES,
} from "./route-messages.ts";
import { NETLINK_ROUTE } from "./socket.ts";

const RTM_DELNEIGH = 29;
const NLM_F_REPLACE = 0x100;
const NLM_F_EXCL = 0x200;
const NLM_F_NONE = 0;
const IFF_UP = 0x1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINK = 5;
const IFLA_LINKINFO = 18;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_VLAN_ID = 1;
const IFLA_VXLAN_ID = 1;
const IFLA_VXLAN_GROUP = 2;
const IFLA_VXLAN_LINK = 3;
const IFLA_VXLAN_LOCAL = 4;
const IFLA_VXLAN_PORT = 15;
const IFLA_VXLAN_GROUP6 = 16;
const IFLA_VXLAN_LOCAL6 = 17;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_MULTIPATH = 9;
const RTNEXTHOP_BYTES = 8;
const NDA_DST = 1;
const NDA_LLADDR = 2;
const RT_TABLE_MAIN = 254;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
/** A point-to-point or host prefix has no broadcast address. */
const BROADCAST_LENGTH_MAX = 30;

/** RTN_*. */
export const ROUTE_TYPES = { unicast: 1, blackhole: 6, unreachable: 7, prohibit: 8 } as const;

export type VirtualLink =
  | { readonly kind: "vlan"; readonly id: number; readonly parentIndex: number }
  | {
      readonly kind: "vxlan";
      readonly id: number;
      readonly port: number;
      readonly local?: IpAddress;
      readonly remote?: IpAddress;
      readonly parentIndex?: number;
    };

export interface AddressChange {
  readonly linkIndex: number;
  readonly address: IpAddress;
  readonly lengthBits: number;
}

export interface RouteChange {
  readonly destination: IpAddress;
  readonly lengthBits: number;
  readonly type: keyof typeof ROUTE_TYPES;
  readonly protocol: number;
  readonly metric: number;
  /** `linkIndex` 0: the kernel finds the interface that reaches the gateway. */
  readonly nextHops: readonly { readonly linkIndex: number; readonly gateway?: IpAddress }[];
}

export interface NeighbourChange {
  readonly linkIndex: number;
  readonly address: IpAddress;
  readonly mac: MacAddress;
}

export class NetworkChanger {
  readonly #requester: NetlinkRequester = new NetlinkRequester(NETLINK_ROUTE);

  addLink(name: string, link: VirtualLink, mtuBytes?: number): void {
    this.#do(`create interface "${name}"`, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, (builder) => {
      builder.payload(new Uint8Array(IFINFOMSG_BYTES));
      builder.attribute(IFLA_IFNAME, cText(name));
      if (mtuBytes !== undefined) builder.u32le(IFLA_MTU, mtuBytes);
      if (link.kind === "vlan") builder.u32le(IFLA_LINK, link.parentIndex);
      builder.nested(IFLA_LINKINFO, () => {
        builder.attribute(IFLA_INFO_KIND, cText(link.kind));
        builder.nested(IFLA_INFO_DATA, () => writeLinkData(builder, link));
      });
    });
  }

  deleteLink(name: string, linkIndex: number): void {
    this.#do(`delete interface "${name}"`, RTM_DELLINK, NLM_F_NONE, (builder) =>
      builder.payload(interfaceHeader(linkIndex, 0, 0)),
    );
  }

  setEnabled(name: string, linkIndex: number, enabled: boolean): void {
    const action = `set interface "${name}" ${enabled ? "up" : "down"}`;
    this.#do(action, RTM_NEWLINK, NLM_F_NONE, (builder) =>
      builder.payload(interfaceHeader(linkIndex, enabled ? IFF_UP : 0, IFF_UP)),
    );
  }

  setMtu(name: string, linkIndex: number, mtuBytes: number): void {
    this.#do(
      `set the MTU of interface "${name}" to ${mtuBytes}`,
      RTM_NEWLINK,
      NLM_F_NONE,
      (builder) => {
        builder.payload(interfaceHeader(linkIndex, 0, 0));
        builder.u32le(IFLA_MTU, mtuBytes);
      },
    );
  }

  addAddress(change: AddressChange): void {
    const action = `add address ${change.address}/${change.lengthBits}`;
    this.#do(action, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, (builder) =>
      writeAddress(builder, change),
    );
  }

  deleteAddress(change: AddressChange): void {
    const action = `delete address ${change.address}/${change.lengthBits}`;
    this.#do(action, RTM_DELADDR, NLM_F_NONE, (builder) => writeAddress(builder, change));
  }

  addRoute(change: RouteChange): void {
    const action = `add the route to ${change.destination}/${change.lengthBits}`;
    this.#do(action, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, (builder) =>
      writeRoute(builder, change),
    );
  }

  deleteRoute(change: RouteChange): void {
    const action = `delete the route to ${change.destination}/${change.lengthBits}`;
    this.#do(action, RTM_DELROUTE, NLM_F_NONE, (builder) => writeRoute(builder, change));
  }

  setNeighbour(change: NeighbourChange): void {
    const action = `fix neighbour ${change.address}`;
    this.#do(action, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, (builder) =>
      writeNeighbour(builder, change),
    );
  }

  deleteNeighbour(change: NeighbourChange): void {
    const action = `delete neighbour ${change.address}`;
    this.#do(action, RTM_DELNEIGH, NLM_F_NONE, (builder) => writeNeighbour(builder, change));
  }

  close(): void {
    this.#requester.close();
  }

  #do(action: string, type: number, flags: number, body: (builder: MessageBuilder) => void): void {
    this.#requester.request(action, type, flags, body, () => {});
  }
}

function cText(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}

function interfaceHeader(index: number, flags: number, change: number): Uint8Array {
  const header = new Uint8Array(IFINFOMSG_BYTES);
  const view = new DataView(header.buffer);
  view.setInt32(4, index, true);
  view.setUint32(8, flags, true);
  view.setUint32(12, change, true);
  return header;
}

function writeLinkData(builder: MessageBuilder, link: VirtualLink): void {
  if (link.kind === "vlan") {
    builder.attribute(IFLA_VLAN_ID, Uint8Array.of(link.id & 0xff, link.id >> 8));
    return;
  }
  builder.u32le(IFLA_VXLAN_ID, link.id);
  builder.u16be(IFLA_VXLAN_PORT, link.port);
  if (link.parentIndex !== undefined) builder.u32le(IFLA_VXLAN_LINK, link.parentIndex);
  if (link.remote !== undefined) {
    const type = familyOf(link.remote) === 4 ? IFLA_VXLAN_GROUP : IFLA_VXLAN_GROUP6;
    builder.attribute(type, ipToBytes(link.remote));
  }
  if (link.local !== undefined) {
    const type = familyOf(link.local) === 4 ? IFLA_VXLAN_LOCAL : IFLA_VXLAN_LOCAL6;
    builder.attribute(type, ipToBytes(link.local));
  }
}

function writeAddress(builder: MessageBuilder, change: AddressChange): void {
  const header = new Uint8Array(IFADDRMSG_BYTES);
  const isV4 = familyOf(change.address) === 4;
  header[0] = isV4 ? AF_INET : AF_INET6;
  header[1] = change.lengthBits;
  new DataView(header.buffer).setUint32(4, change.linkIndex, true);
  builder.payload(header);
  const bytes = ipToBytes(change.address);
  builder.attribute(IFA_LOCAL, bytes);
  builder.attribute(IFA_ADDRESS, bytes);
  if (isV4 && change.lengthBits <= BROADCAST_LENGTH_MAX) {
    const hostBits = 2 ** (32 - change.lengthBits) - 1;
    const value = new DataView(bytes.slice().buffer).getUint32(0, false);
    builder.u32be(IFA_BROADCAST, value | hostBits);
  }
}

function writeRoute(builder: MessageBuilder, change: RouteChange): void {
  const isV4 = familyOf(change.destination) === 4;
  const onLink = change.nextHops.length > 0 && change.nextHops.every((hop) => !hop.gateway);
  const header = new Uint8Array(RTMSG_BYTES);
  header[0] = isV4 ? AF_INET : AF_INET6;
  header[1] = change.lengthBits;
  header[4] = RT_TABLE_MAIN;
  header[5] = change.protocol;
  header[6] = isV4 && onLink ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  header[7] = ROUTE_TYPES[change.type];
  builder.payload(header);
  if (change.lengthBits > 0) builder.attribute(RTA_DST, ipToBytes(change.destination));
  builder.u32le(RTA_PRIORITY, change.metric);
  const [only, ...others] = change.nextHops;
  if (only !== undefined && others.length === 0) {
    if (only.gateway !== undefined) builder.attribute(RTA_GATEWAY, ipToBytes(only.gateway));
    if (only.linkIndex !== 0) builder.u32le(RTA_OIF, only.linkIndex);
  } else if (only !== undefined) {
    builder.attribute(RTA_MULTIPATH, packNextHops(change.nextHops));
  }
}

/** struct rtnexthop: length u16, flags u8, hops u8 (weight - 1), interface i32, then attributes. */
function packNextHops(hops: RouteChange["nextHops"]): Uint8Array {
  const parts = hops.map((hop) => {
    const gateway = hop.gateway === undefined ? undefined : ipToBytes(hop.gateway);
    const attributeBytes = gateway === undefined ? 0 : 4 + gateway.length;
    const bytes = new Uint8Array(RTNEXTHOP_BYTES + attributeBytes);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, bytes.length, true);
    view.setInt32(4, hop.linkIndex, true);
    if (gateway !== undefined) {
      view.setUint16(RTNEXTHOP_BYTES, attributeBytes, true);
      view.setUint16(RTNEXTHOP_BYTES + 2, RTA_GATEWAY, true);
      bytes.set(gateway, RTNEXTHOP_BYTES + 4);
    }
    return bytes;
  });
  return Buffer.concat(parts);
}

function writeNeighbour(builder: MessageBuilder, change: NeighbourChange): void {
  const header = new Uint8Array(NDMSG_BYTES);
  const view = new DataView(header.buffer);
  view.setUint8(0, familyOf(change.address) === 4 ? AF_INET : AF_INET6);
  view.setInt32(4, change.linkIndex, true);
  view.setUint16(8, NUD_PERMANENT, true);
  builder.payload(header);
  builder.attribute(NDA_DST, ipToBytes(change.address));
  builder.attribute(NDA_LLADDR, macToBytes(change.mac));
}
