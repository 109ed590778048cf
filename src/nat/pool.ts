/**
 * External address pools: prefixes joined to ranges of addresses.
 *
 * Pure. Every address of a prefix belongs to the pool, its first and last too (RFC 8512 does not except
 * them; a pool is no subnet).
 */
import { formatIpBytes, type IpAddress, type IpPrefix } from "../lib/inet/address.ts";
import { ipv4Bits } from "../lib/inet/prefix-match.ts";

/** Both ends belong to the range. IPv4 only. */
export interface AddressRange {
  readonly first: number;
  readonly last: number;
}

/** Addresses that a pool of several separate ranges may have: each is one map entry. */
export const POOL_ADDRESSES_MAX = 1024;

/** Returns an IPv4 address as a number. */
export function addressNumber(address: IpAddress): number {
  return ipv4Bits(address) >>> 0;
}

/** Returns the IPv4 address of a number. */
export function numberAddress(value: number): IpAddress {
  return formatIpBytes(
    Uint8Array.of((value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255),
  );
}

/** Returns the ranges that the prefixes cover, sorted, joined where they touch or overlap. */
export function joinPrefixes(prefixes: readonly IpPrefix[]): readonly AddressRange[] {
  const ranges = prefixes
    .map((prefix) => {
      const first = addressNumber(prefix.address);
      return { first, last: first + 2 ** (32 - prefix.lengthBits) - 1 };
    })
    .sort((a, b) => a.first - b.first);
  const joined: AddressRange[] = [];
  for (const range of ranges) {
    const previous = joined.at(-1);
    if (previous !== undefined && range.first <= previous.last + 1) {
      joined.pop();
      joined.push({ first: previous.first, last: Math.max(previous.last, range.last) });
    } else joined.push(range);
  }
  return joined;
}

/** Returns how many addresses the ranges hold. */
export function countAddresses(ranges: readonly AddressRange[]): number {
  return ranges.reduce((sum, range) => sum + range.last - range.first + 1, 0);
}

/** Returns every address of the ranges, in order. */
export function listAddresses(ranges: readonly AddressRange[]): IpAddress[] {
  return ranges.flatMap(({ first, last }) =>
    Array.from({ length: last - first + 1 }, (_, index) => numberAddress(first + index)),
  );
}

/** Returns whether one of the ranges holds the address; IPv6 never. */
export function poolContains(ranges: readonly AddressRange[], address: IpAddress): boolean {
  if (address.includes(":")) return false;
  const value = addressNumber(address);
  return ranges.some((range) => value >= range.first && value <= range.last);
}
