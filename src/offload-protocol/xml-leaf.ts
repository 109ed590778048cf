/**
 * Leaves by YANG type: each function reads and closes the open element.
 *
 * Pure. Source: RFC 7950 §9 (lexical representations), RFC 6991 (addresses).
 * Invariant: after a failure the value returned is a placeholder that nobody sees.
 */
import {
  type IpAddress,
  type MacAddress,
  parseIpAddress,
  parseMacAddress,
} from "../lib/inet/address.ts";
import { attributeError, protocolError } from "../lib/netconf/rpc-error.ts";
import { OFFLOAD_NAMESPACE } from "./hello.ts";
import type { Epoch } from "./messages.ts";
import type { XmlReader } from "./xml-reader.ts";

export const UINT8_MAX = 255;
export const UINT16_MAX = 65_535;
export const UINT32_MAX = 4_294_967_295;
export const UINT64_MAX: bigint = (1n << 64n) - 1n;

/** Decimal; RFC 7950 §9.2.1 allows a sign (so "-0" too) and leading zeros, libyang spaces around it. */
const UNSIGNED = /^[ \t\r\n]*(?:\+?0*|-0*(?=0[ \t\r\n]*$))(\d{1,20})[ \t\r\n]*$/;
/** Longest decimal text whose value a double holds exactly. */
const EXACT_DIGITS_MAX = 15;

/** Opens the next child, which has to be of our module and without attributes; see `nextChild`. */
export function nextData(reader: XmlReader): string | undefined {
  const local = reader.nextChild();
  if (local === undefined) return undefined;
  if (reader.namespace !== OFFLOAD_NAMESPACE) {
    reader.fail(protocolError("unknown-namespace", `"${local}" is of another namespace`));
    return undefined;
  }
  const [attribute] = reader.attributes;
  if (attribute === undefined) return local;
  reader.fail(
    attributeError("unknown-attribute", attribute[0], local, `"${attribute[0]}" is not known here`),
  );
  return undefined;
}

/** Reads an unsigned integer from `min` to `max`, both inclusive. */
export function readUint(reader: XmlReader, max: number, min = 0): number {
  const text = reader.leafText();
  const value = UNSIGNED.test(text) && text.length <= 64 ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  reader.failValue(`"${clip(text)}" is not a number from ${min} to ${max}`);
  return 0;
}

/** Reads a 64-bit unsigned integer. */
export function readUint64(reader: XmlReader): bigint {
  const text = reader.leafText();
  const digits = text.length <= 64 ? UNSIGNED.exec(text)?.[1] : undefined;
  if (digits !== undefined) {
    const value = digits.length <= EXACT_DIGITS_MAX ? BigInt(Number(digits)) : BigInt(digits);
    if (value <= UINT64_MAX) return value;
  }
  reader.failValue(`"${clip(text)}" is not a number from 0 to ${UINT64_MAX}`);
  return 0n;
}

/** Reads one of the names. */
export function readEnum<T extends string>(reader: XmlReader, names: readonly [T, ...T[]]): T {
  const text = reader.leafText();
  for (const name of names) if (name === text) return name;
  reader.failValue(`"${clip(text)}" is none of ${names.join(", ")}`);
  return names[0];
}

export function readBoolean(reader: XmlReader): boolean {
  return readEnum(reader, ["true", "false"]) === "true";
}

/** Reads text of `min` to `max` characters (code points). */
export function readString(reader: XmlReader, min: number, max: number): string {
  const text = reader.leafText();
  if (text.length >= min && text.length <= max) return text;
  const count = text.length <= 2 * max ? Array.from(text).length : text.length;
  if (count < min || count > max) {
    reader.failValue(`"${clip(text)}" does not have ${min} to ${max} characters`);
  }
  return text;
}

export function readEpoch(reader: XmlReader): Epoch {
  const text = reader.leafText();
  if (!/^[0-9a-f]{16}$/.test(text)) {
    reader.failValue(`"${clip(text)}" is not 16 lower-case hexadecimal digits`);
  }
  return text as Epoch;
}

/** Reads an address without zone; the value is canonical. */
export function readAddress(reader: XmlReader): IpAddress {
  const text = reader.leafText();
  const address = parseIpAddress(text);
  if (address === undefined) reader.failValue(`"${clip(text)}" is not an IP address`);
  return address ?? ("0.0.0.0" as IpAddress);
}

/** Reads a MAC address; the value is lower case. */
export function readMac(reader: XmlReader): MacAddress {
  const text = reader.leafText();
  const mac = parseMacAddress(text);
  if (mac === undefined) reader.failValue(`"${clip(text)}" is not a MAC address`);
  return mac ?? ("00:00:00:00:00:00" as MacAddress);
}

/** Reads a leaf of type `empty`. */
export function readEmpty(reader: XmlReader): true {
  const text = reader.leafText();
  if (text !== "") reader.failValue(`"${clip(text)}" where nothing may be`);
  return true;
}

/** A peer's text in a message of ours stays short. */
function clip(text: string): string {
  return text.length <= 64 ? text : `${text.slice(0, 64)}…`;
}
