/**
 * Addresses, prefixes and MAC addresses, parsed once and carried as branded text or bytes.
 *
 * Pure. Source: RFC 4291 §2.2, RFC 5952 §4 (canonical text); node:net decides what is an address.
 * `prefix-match.ts` tells whether an address lies in a prefix.
 */
import { isIPv4, isIPv6 } from "node:net";
import { assert } from "../base/assert.ts";

/** 4 or 6. */
export type AddressFamily = 4 | 6;
/** Canonical text of an IPv4 or IPv6 address (RFC 5952 for IPv6, no zone). */
export type IpAddress = string & { readonly brand: "IpAddress" };
/** Six lower-case hexadecimal pairs separated by colons. */
export type MacAddress = string & { readonly brand: "MacAddress" };

/** An address block; `address` has no bits below `lengthBits`. */
export interface IpPrefix {
  readonly address: IpAddress;
  readonly lengthBits: number;
}

/** Returns the canonical form, or undefined when `text` is no address (zones are refused). */
export function parseIpAddress(text: string): IpAddress | undefined {
  if (isIPv4(text)) return text as IpAddress;
  if (!isIPv6(text) || text.includes("%")) return undefined;
  return formatIpBytes(parseIpv6Groups(text));
}

/** Returns the family of a parsed address. */
export function familyOf(address: IpAddress): AddressFamily {
  return address.includes(":") ? 6 : 4;
}

/** Returns 4 or 16 bytes in network order. */
export function ipToBytes(address: IpAddress): Uint8Array {
  if (familyOf(address) === 6) return parseIpv6Groups(address);
  return Uint8Array.from(address.split("."), Number);
}

/** Returns the canonical text of 4 or 16 bytes in network order. */
export function formatIpBytes(bytes: Uint8Array): IpAddress {
  assert(bytes.length === 4 || bytes.length === 16, "an address has 4 or 16 bytes");
  if (bytes.length === 4) return bytes.join(".") as IpAddress;
  const groups = Array.from(
    { length: 8 },
    (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0),
  );
  const run = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  if (run.count < 2) return hex.join(":") as IpAddress;
  const head = hex.slice(0, run.index).join(":");
  const tail = hex.slice(run.index + run.count).join(":");
  return `${head}::${tail}` as IpAddress;
}

function longestZeroRun(groups: readonly number[]): { index: number; count: number } {
  let best = { index: 0, count: 0 };
  for (let index = 0; index < groups.length; index++) {
    let count = 0;
    while (groups[index + count] === 0) count++;
    if (count > best.count) best = { index, count };
  }
  return best;
}

function parseIpv6Groups(text: string): Uint8Array {
  const bytes = new Uint8Array(16);
  const [head = "", tail] = text.split("::");
  const left = groupBytes(head);
  const right = tail === undefined ? [] : groupBytes(tail);
  bytes.set(left, 0);
  bytes.set(right, 16 - right.length);
  return bytes;
}

function groupBytes(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (group.includes(".")) return group.split(".").map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

/** Returns the prefix, or undefined when the text is wrong or has bits below its length. */
export function parseIpPrefix(text: string): IpPrefix | undefined {
  const [addressText = "", lengthText] = text.split("/");
  const address = parseIpAddress(addressText);
  if (address === undefined) return undefined;
  const bitsMax = familyOf(address) === 4 ? 32 : 128;
  const lengthBits = lengthText === undefined ? bitsMax : Number(lengthText);
  if (lengthText !== undefined && !/^\d{1,3}$/.test(lengthText)) return undefined;
  if (lengthBits > bitsMax) return undefined;
  if (maskAddress(address, lengthBits) !== address) return undefined;
  return { address, lengthBits };
}

/** Returns `address` with every bit after the first `lengthBits` cleared. */
export function maskAddress(address: IpAddress, lengthBits: number): IpAddress {
  const bytes = ipToBytes(address).slice();
  for (let index = 0; index < bytes.length; index++) {
    const keep = Math.min(8, Math.max(0, lengthBits - 8 * index));
    bytes[index] = (bytes[index] ?? 0) & (0xff00 >> keep) & 0xff;
  }
  return formatIpBytes(bytes);
}

/** Returns the canonical MAC address, or undefined when the text is none. */
export function parseMacAddress(text: string): MacAddress | undefined {
  return /^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(text)
    ? (text.toLowerCase() as MacAddress)
    : undefined;
}

/** Returns the six bytes. */
export function macToBytes(mac: MacAddress): Uint8Array {
  return Uint8Array.from(mac.split(":"), (pair) => Number.parseInt(pair, 16));
}

/** Returns the text of six bytes. */
export function formatMacBytes(bytes: Uint8Array): MacAddress {
  assert(bytes.length === 6, "a MAC address has 6 bytes");
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(":") as MacAddress;
}
