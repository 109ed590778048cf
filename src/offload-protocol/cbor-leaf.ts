/**
 * Leaves from CBOR that are text in YANG, and what every map is read by.
 *
 * Pure but for a memory of earlier texts. Source: yang/flowlift-offload.yang; RFC 6991 (addresses).
 */
import {
  type IpAddress,
  type MacAddress,
  parseIpAddress,
  parseMacAddress,
} from "../lib/inet/address.ts";
import type { CborReader } from "./cbor-reader.ts";
import { MTU_BYTES_MAX, MTU_BYTES_MIN } from "./decode-direction.ts";
import type { Epoch } from "./messages.ts";
import { TextMemory } from "./text-memory.ts";

const addresses = new TextMemory<IpAddress>(parseIpAddress);
const macs = new TextMemory<MacAddress>(parseMacAddress);
const epochs = new TextMemory<Epoch>((text) =>
  /^[0-9a-f]{16}$/.test(text) ? (text as Epoch) : undefined,
);

function readKnown<T extends string>(reader: CborReader, memory: TextMemory<T>): T {
  const length = reader.textLength();
  const from = reader.at;
  const value = memory.find(reader.bytes, from, from + length);
  if (value === undefined) reader.refuse();
  reader.at = from + length;
  return value as T;
}

export function readAddress(reader: CborReader): IpAddress {
  return readKnown(reader, addresses);
}

export function readMac(reader: CborReader): MacAddress {
  return readKnown(reader, macs);
}

export function readEpoch(reader: CborReader): Epoch {
  return readKnown(reader, epochs);
}

/** Marks a key as seen; refuses it the second time. */
export function once(reader: CborReader, seen: number, key: number): number {
  const bit = 1 << key;
  if (key > 30 || (seen & bit) !== 0) reader.refuse();
  return seen | bit;
}

export function readMtu(reader: CborReader): number {
  const mtu = reader.uint(MTU_BYTES_MAX);
  if (mtu < MTU_BYTES_MIN) reader.refuse();
  return mtu;
}
