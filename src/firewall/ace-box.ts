/**
 * What an ACE matches as a box: one interval for each field that it names.
 *
 * Pure. Both ends belong to an interval. IPv4 addresses and ports are numbers, IPv6 addresses bigints; one
 * field never mixes the two, because its ACEs have one family.
 */
import { assert } from "../lib/base/assert.ts";
import { familyOf, type IpPrefix, ipToBytes } from "../lib/inet/address.ts";
import { number, prefixValue, type Value } from "../lib/nft/nodes.ts";
import type { AceMatch } from "./ace.ts";

export type Field = "protocol" | "source" | "destination" | "sourcePort" | "destinationPort";
export const FIELDS: readonly Field[] = [
  "protocol",
  "source",
  "destination",
  "sourcePort",
  "destinationPort",
];

export interface Side {
  readonly first: number | bigint;
  readonly last: number | bigint;
}

/** Sides in the order of FIELDS, absent fields left out. */
export type Box = readonly Side[];

/** Returns the box of a match's present fields. */
export function boxOf(match: AceMatch): Box {
  return FIELDS.flatMap((field): Side[] => {
    const value = match[field];
    if (value === undefined) return [];
    if (typeof value === "number") return [{ first: value, last: value }];
    return ["address" in value ? prefixSide(value) : { first: value.first, last: value.last }];
  });
}

/** Returns whether some packet lies in both; boxes have the same sides. */
export function boxesOverlap(left: Box, right: Box): boolean {
  for (let index = 0; index < left.length; index++) {
    const a = left[index];
    const b = right[index];
    if (a === undefined || b === undefined) return true;
    if (a.first > b.last || b.first > a.last) return false;
  }
  return true;
}

/** Returns a text that equal boxes share. */
export function boxText(box: Box): string {
  return box.map((side) => `${side.first}-${side.last}`).join(" ");
}

/** Returns a field as the map's key part. */
export function fieldValue(match: AceMatch, field: Field): Value {
  const value = match[field];
  assert(value !== undefined, "a field of the shape is present");
  if (typeof value === "number") return number(value);
  if ("address" in value) return prefixValue(value);
  return value.first === value.last
    ? number(value.first)
    : { kind: "range", first: value.first, last: value.last };
}

function prefixSide(prefix: IpPrefix): Side {
  const bytes = ipToBytes(prefix.address);
  if (familyOf(prefix.address) === 4) {
    const first = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
    return { first, last: first + 2 ** (32 - prefix.lengthBits) - 1 };
  }
  const first = bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
  return { first, last: first + 2n ** BigInt(128 - prefix.lengthBits) - 1n };
}
