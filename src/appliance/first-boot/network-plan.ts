/**
 * The network of a VM as its first-boot documents describe it, whatever their dialect.
 *
 * Pure: types, bounds, and what is true of every dialect.
 */
import {
  familyOf,
  type IpAddress,
  ipToBytes,
  parseIpAddress,
  parseIpPrefix,
} from "../../lib/inet/address.ts";
import type { DocumentReader, Value } from "./document.ts";

/** RULESET_INTERFACES_MAX: more cannot be told apart in the ct mark. */
export const INTERFACES_MAX = 32;
export const ADDRESSES_MAX = 64;
export const ROUTES_MAX = 256;
export const NAMESERVERS_MAX = 8;
export const MTU_MIN = 576;
export const MTU_MAX = 65_535;
/** linux/if_vlan.h: VLAN_N_VID. */
export const VLAN_ID_MAX = 4094;
export const METRIC_MAX = 4_294_967_295;

export interface PlannedRoute {
  /** With prefix length. */
  readonly to: string;
  /** Absent: on the link itself. */
  readonly via: IpAddress | undefined;
  readonly metric: number | undefined;
}

export interface PlannedInterface {
  /** What it is called in the end. */
  readonly name: string;
  /** By what it is found; a vlan is made instead. */
  readonly match: { readonly mac?: string; readonly name?: string };
  readonly vlan?: { readonly link: string; readonly id: number };
  readonly mtu: number | undefined;
  /** With prefix length. */
  readonly addresses: readonly string[];
  readonly routes: readonly PlannedRoute[];
  readonly dhcp4: boolean;
  /** Addresses and routes of router advertisements. */
  readonly acceptsAdvertisements: boolean;
  /** For messages. */
  readonly line: number;
}

export interface NetworkPlan {
  readonly interfaces: readonly PlannedInterface[];
  readonly nameservers: readonly string[];
}

/** linux/if.h IFNAMSIZ; the rest is what nftables, YANG and shells take alike. */
export function isInterfaceName(name: string): boolean {
  return /^[A-Za-z][A-Za-z0-9_.-]{0,14}$/.test(name) && name !== "lo" && name !== "all";
}

/** Returns `10.0.0.1/24`, tells otherwise. */
export function readAddress(
  reader: DocumentReader,
  at: Value,
  text: string,
  mask?: string,
): string | undefined {
  const whole = text.includes("/") || mask === undefined ? text : `${text}/${maskLength(mask)}`;
  const [address = "", length = ""] = whole.split("/");
  const parsed = parseIpAddress(address);
  const bitsMax = parsed !== undefined && familyOf(parsed) === 6 ? 128 : 32;
  if (parsed === undefined || !/^\d{1,3}$/.test(length) || Number(length) > bitsMax) {
    return reader.fail(at, `"${text}" is no address with prefix length, such as 192.0.2.1/24`);
  }
  return `${parsed}/${Number(length)}`;
}

/** Returns the route's destination with its length. */
export function readDestination(
  reader: DocumentReader,
  at: Value,
  text: string,
  mask: string | undefined,
  via: IpAddress | undefined,
): string | undefined {
  if (text === "default") return via !== undefined && familyOf(via) === 6 ? "::/0" : "0.0.0.0/0";
  const plain = text.includes("/")
    ? text
    : mask === undefined
      ? undefined
      : `${text}/${maskLength(mask)}`;
  const host = parseIpAddress(text);
  const whole = plain ?? (host === undefined ? text : `${text}/${familyOf(host) === 6 ? 128 : 32}`);
  const prefix = parseIpPrefix(whole);
  if (prefix === undefined) {
    return reader.fail(at, `"${text}" is no network, such as 192.0.2.0/24 or "default"`);
  }
  return `${prefix.address}/${prefix.lengthBits}`;
}

export function readIp(reader: DocumentReader, at: Value | undefined): IpAddress | undefined {
  const text = reader.text(at);
  if (text === undefined || at === undefined) return undefined;
  return parseIpAddress(text) ?? reader.fail(at, `"${text}" is no IP address`);
}

/** "24", "255.255.255.0" or "ffff:ffff::" as a length; "?" when it is none. */
export function maskLength(mask: string): string {
  if (/^\d{1,3}$/.test(mask)) return mask;
  const address = parseIpAddress(mask);
  if (address === undefined) return "?";
  const bits = [...ipToBytes(address)].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return /^1*0*$/.test(bits) ? String(bits.replaceAll("0", "").length) : "?";
}

/** Tells what no dialect can mean: two interfaces of one name or one address, too many of anything. */
export function checkPlan(reader: DocumentReader, root: Value, plan: NetworkPlan): void {
  const { interfaces } = plan;
  if (interfaces.length > INTERFACES_MAX) {
    reader.fail(root, `more than ${INTERFACES_MAX} interfaces`);
  }
  if (plan.nameservers.length > NAMESERVERS_MAX) {
    reader.fail(root, `more than ${NAMESERVERS_MAX} name servers`);
  }
  const names = new Set<string>();
  const macs = new Set<string>();
  for (const item of interfaces) {
    const at = { ...root, line: item.line, path: item.name };
    if (!isInterfaceName(item.name)) {
      reader.fail(
        at,
        `"${item.name}" cannot be an interface's name (1 to 15 letters, digits, . _ -)`,
      );
    }
    if (names.has(item.name)) reader.fail(at, `two interfaces are called "${item.name}"`);
    names.add(item.name);
    if (item.vlan === undefined && item.match.mac !== undefined) {
      if (macs.has(item.match.mac)) reader.fail(at, `two interfaces have MAC ${item.match.mac}`);
      macs.add(item.match.mac);
    }
    if (item.addresses.length > ADDRESSES_MAX)
      reader.fail(at, `more than ${ADDRESSES_MAX} addresses`);
    if (item.routes.length > ROUTES_MAX) reader.fail(at, `more than ${ROUTES_MAX} routes`);
  }
  for (const { vlan, name, line } of interfaces) {
    if (vlan !== undefined && !names.has(vlan.link)) {
      reader.fail({ ...root, line, path: name }, `the vlan's link "${vlan.link}" is not described`);
    }
  }
}
