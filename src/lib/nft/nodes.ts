/**
 * What a ruleset is made of, as values: expressions, statements, rules, chains.
 *
 * Pure: types and small factories. `render.ts` alone knows libnftables' words for them.
 */
import type { AddressFamily, IpAddress, IpPrefix } from "../inet/address.ts";
import type { InterfaceName, ObjectName } from "./identifier.ts";

/** Something that a packet, its connection or its interfaces say. */
export type Selector =
  | { readonly kind: "payload"; readonly protocol: PayloadProtocol; readonly field: PayloadField }
  | { readonly kind: "meta"; readonly key: "iifname" | "oifname" | "l4proto" | "nfproto" }
  | { readonly kind: "ct"; readonly key: "state" | "mark" | "packets" | "status" }
  | { readonly kind: "masked"; readonly of: Selector; readonly mask: number }
  | { readonly kind: "round-robin"; readonly modulus: number }
  | {
      readonly kind: "hash";
      readonly of: Selector;
      readonly modulus: number;
      readonly seed: number;
    }
  | { readonly kind: "concat"; readonly parts: readonly Selector[] };

export type PayloadProtocol = "ip" | "ip6" | "tcp" | "udp" | "icmp" | "icmpv6" | "th";
export type PayloadField =
  | "saddr"
  | "daddr"
  | "sport"
  | "dport"
  | "flags"
  | "type"
  | "code"
  | "length"
  | "ttl"
  | "hoplimit"
  | "dscp";

/** The only bare words that reach libnftables as values. */
export type Word =
  | "new"
  | "established"
  | "related"
  | "invalid"
  | "dnat"
  | "ipv4"
  | "ipv6"
  | "fin"
  | "rst";

export type Value =
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "address"; readonly address: IpAddress }
  | { readonly kind: "prefix"; readonly prefix: IpPrefix }
  | { readonly kind: "range"; readonly first: number; readonly last: number }
  | { readonly kind: "interface"; readonly name: InterfaceName }
  | { readonly kind: "word"; readonly word: Word }
  | { readonly kind: "words"; readonly words: readonly Word[] }
  | { readonly kind: "tuple"; readonly parts: readonly Value[] }
  | { readonly kind: "any-of"; readonly values: readonly Value[] };

export type Verdict =
  | { readonly kind: "accept" | "drop" | "return" }
  | { readonly kind: "jump" | "goto"; readonly chain: ObjectName };

/** `in` tests bits of a flag field; `not-in` that none of them is set. */
export type MatchOperator = "==" | "!=" | ">" | "in" | "not-in";

export type Statement =
  | {
      readonly kind: "match";
      readonly left: Selector;
      readonly operator: MatchOperator;
      readonly right: Value;
    }
  | { readonly kind: "verdict"; readonly verdict: Verdict }
  | {
      readonly kind: "verdict-map";
      readonly key: Selector;
      readonly entries: readonly (readonly [Value, Verdict])[];
    }
  | { readonly kind: "count"; readonly counter: ObjectName }
  | {
      readonly kind: "count-map";
      readonly key: Selector;
      readonly entries: readonly (readonly [Value, ObjectName])[];
    }
  | { readonly kind: "reject"; readonly how: "tcp-reset" | "admin-prohibited" }
  | { readonly kind: "mark-or"; readonly bits: number }
  | { readonly kind: "mark-and"; readonly bits: number }
  | {
      readonly kind: "mark-map";
      readonly key: Selector;
      readonly entries: readonly (readonly [Value, number])[];
    }
  | { readonly kind: "report-events"; readonly mask: number }
  | {
      readonly kind: "dnat";
      readonly family: AddressFamily;
      readonly address: IpAddress;
      readonly port?: number;
    }
  | {
      readonly kind: "snat";
      readonly addresses: SnatAddresses;
      readonly ports?: { readonly first: number; readonly last: number };
      readonly persistent: boolean;
    }
  | { readonly kind: "log"; readonly id: ObjectName; readonly perSecondMax: number };

/** Consecutive addresses, or a choice among single ones by a hash of the internal address. */
export type SnatAddresses =
  | { readonly kind: "range"; readonly first: IpAddress; readonly last: IpAddress }
  | { readonly kind: "hashed"; readonly addresses: readonly IpAddress[]; readonly seed: number };

export type Rule = readonly Statement[];

/** A chain without a hook; its name depends on its content (see `chain.ts`). */
export interface Chain {
  readonly name: ObjectName;
  readonly rules: readonly Rule[];
}

export interface BaseChain {
  readonly name: ObjectName;
  readonly type: "filter" | "nat";
  readonly hook: "prerouting" | "input" | "forward" | "output" | "postrouting";
  readonly priority: number;
  readonly policy: "accept" | "drop";
  readonly rules: readonly Rule[];
}

/** The whole table. Chains stand before those that refer to them. */
export interface Ruleset {
  readonly counters: readonly ObjectName[];
  readonly chains: readonly Chain[];
  readonly baseChains: readonly BaseChain[];
}

export const ACCEPT: Statement = { kind: "verdict", verdict: { kind: "accept" } };
export const DROP: Statement = { kind: "verdict", verdict: { kind: "drop" } };
export const RETURN: Statement = { kind: "verdict", verdict: { kind: "return" } };
export const INPUT_INTERFACE: Selector = { kind: "meta", key: "iifname" };
export const OUTPUT_INTERFACE: Selector = { kind: "meta", key: "oifname" };
export const CT_MARK: Selector = { kind: "ct", key: "mark" };

export function jump(chain: ObjectName): Statement {
  return { kind: "verdict", verdict: { kind: "jump", chain } };
}

export function number(value: number): Value {
  return { kind: "number", value };
}

export function payload(protocol: PayloadProtocol, field: PayloadField): Selector {
  return { kind: "payload", protocol, field };
}

export function equals(left: Selector, right: Value): Statement {
  return { kind: "match", left, operator: "==", right };
}

export function differs(left: Selector, right: Value): Statement {
  return { kind: "match", left, operator: "!=", right };
}

/** Matches when the masked ct mark equals `value`. */
export function markIs(mask: number, value: number): Statement {
  return equals({ kind: "masked", of: CT_MARK, mask }, number(value));
}

/** Matches the first packets of connections. */
export const STATE_NEW: Statement = {
  kind: "match",
  left: { kind: "ct", key: "state" },
  operator: "in",
  right: { kind: "word", word: "new" },
};

/** Returns the value for one prefix: a plain address when the prefix is full. */
export function prefixValue(prefix: IpPrefix): Value {
  const full = prefix.address.includes(":") ? 128 : 32;
  return prefix.lengthBits === full
    ? { kind: "address", address: prefix.address }
    : { kind: "prefix", prefix };
}
