/**
 * The one place that decides which words may reach libnftables as names.
 *
 * Pure. libnftables reads JSON strings as symbols: a leading `@` names a set, a trailing `*` is a wildcard,
 * an unknown word in an address is looked up by DNS. So nothing that a user typed becomes a name; chains
 * and counters are named by a digest, and interface names are checked against the kernel's own rule.
 * Source: linux/net/core/dev.c dev_valid_name(); nftables(8), "Lexical conventions".
 */
import { createHash } from "node:crypto";
import { assert } from "../base/assert.ts";

/** A chain or counter: letters, digits, `-` and `_`, at most OBJECT_NAME_CHARACTERS_MAX. */
export type ObjectName = string & { readonly brand: "NftObjectName" };
/** An interface name without any character that nftables reads as more than itself. */
export type InterfaceName = string & { readonly brand: "NftInterfaceName" };

export const OBJECT_NAME_CHARACTERS_MAX = 63;
/** IFNAMSIZ - 1. */
export const INTERFACE_NAME_CHARACTERS_MAX = 15;
/** 80 bits: two of a million names meet with probability below 1e-12. */
const DIGEST_HEX_CHARACTERS = 20;

/** Returns the name, or undefined when the text could mean anything but one interface. */
export function parseInterfaceName(text: string): InterfaceName | undefined {
  if (text.length > INTERFACE_NAME_CHARACTERS_MAX) return undefined;
  return /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(text) ? (text as InterfaceName) : undefined;
}

/** Returns the fixed name of an object that is known when this program is written. */
export function objectName(text: string): ObjectName {
  assert(/^[a-z][a-z0-9_-]*$/.test(text), "an object name is made of harmless characters");
  assert(text.length <= OBJECT_NAME_CHARACTERS_MAX, "an object name is short");
  return text as ObjectName;
}

/** Returns a name that stands for `parts`, whatever characters they hold. */
export function digestName(role: string, parts: readonly string[]): ObjectName {
  return objectName(`${role}-${digestOf(parts)}`);
}

/** Returns a short digest; parts are length-prefixed, so no two lists of parts share one text. */
export function digestOf(parts: readonly string[]): string {
  const text = parts.map((part) => `${Buffer.byteLength(part)}:${part}`).join("");
  return createHash("sha256").update(text).digest("hex").slice(0, DIGEST_HEX_CHARACTERS);
}
