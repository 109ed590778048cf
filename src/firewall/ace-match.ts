/**
 * Compiles what an ACE matches to conditions of a rule.
 *
 * Pure. Source: RFC 8519 §4.2; the fields' names are those of nftables(8).
 */
import type { AddressFamily } from "../lib/inet/address.ts";
import type { ObjectName } from "../lib/nft/identifier.ts";
import {
  differs,
  equals,
  INPUT_INTERFACE,
  number,
  OUTPUT_INTERFACE,
  payload,
  prefixValue,
  type Selector,
  type Statement,
} from "../lib/nft/nodes.ts";
import {
  type Ace,
  type AceMatch,
  type PacketField,
  type PortMatch,
  PROTOCOL_ICMP,
  PROTOCOL_ICMPV6,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
} from "./ace.ts";

const PORT_MAX = 65_535;

/** An ACE and the counter of its place. */
export interface CountedAce {
  readonly ace: Ace;
  readonly counter: ObjectName;
}

/** Returns the condition that selects a family; none for both. */
export function compileFamily(family: AddressFamily | undefined): Statement[] {
  if (family === undefined) return [];
  const word = family === 4 ? "ipv4" : "ipv6";
  return [equals({ kind: "meta", key: "nfproto" }, { kind: "word", word })];
}

/** Returns every condition of an ACE. */
export function compileMatch(match: AceMatch): Statement[] {
  const ip = match.family === 6 ? "ip6" : "ip";
  const statements = compileFamily(match.family);
  if (match.protocol !== undefined) {
    statements.push(equals({ kind: "meta", key: "l4proto" }, number(match.protocol)));
  }
  if (match.ingressInterface !== undefined) {
    statements.push(equals(INPUT_INTERFACE, { kind: "interface", name: match.ingressInterface }));
  }
  if (match.egressInterface !== undefined) {
    statements.push(equals(OUTPUT_INTERFACE, { kind: "interface", name: match.egressInterface }));
  }
  if (match.source !== undefined && match.source.lengthBits > 0) {
    statements.push(equals(payload(ip, "saddr"), prefixValue(match.source)));
  }
  if (match.destination !== undefined && match.destination.lengthBits > 0) {
    statements.push(equals(payload(ip, "daddr"), prefixValue(match.destination)));
  }
  statements.push(...compilePort(match, "sport", match.sourcePort));
  statements.push(...compilePort(match, "dport", match.destinationPort));
  const icmp = match.protocol === PROTOCOL_ICMPV6 ? "icmpv6" : "icmp";
  if (match.protocol === PROTOCOL_ICMP || match.protocol === PROTOCOL_ICMPV6) {
    if (match.icmpType !== undefined) {
      statements.push(equals(payload(icmp, "type"), number(match.icmpType)));
    }
    if (match.icmpCode !== undefined) {
      statements.push(equals(payload(icmp, "code"), number(match.icmpCode)));
    }
  }
  statements.push(...match.packetFields.map((field) => compileField(field, ip)));
  return statements;
}

/** Returns the selector of a port; only TCP and UDP reach here. */
function portSelector(match: AceMatch, field: "sport" | "dport"): Selector {
  return payload(match.protocol === PROTOCOL_UDP ? "udp" : "tcp", field);
}

function compilePort(
  match: AceMatch,
  field: "sport" | "dport",
  port: PortMatch | undefined,
): Statement[] {
  if (port === undefined) return [];
  if (match.protocol !== PROTOCOL_TCP && match.protocol !== PROTOCOL_UDP) return [];
  const all = port.first === 0 && port.last === PORT_MAX;
  if (all && !port.negated) return [];
  const selector = portSelector(match, field);
  const value =
    port.first === port.last
      ? number(port.first)
      : ({ kind: "range", first: port.first, last: port.last } as const);
  return [port.negated ? differs(selector, value) : equals(selector, value)];
}

function compileField(field: PacketField, ip: "ip" | "ip6"): Statement {
  switch (field.field) {
    case "tcp-flags": {
      const of = payload("tcp", "flags");
      return equals({ kind: "masked", of, mask: field.value }, number(field.value));
    }
    case "ttl":
      return equals(payload(ip, ip === "ip6" ? "hoplimit" : "ttl"), number(field.value));
    case "dscp":
    case "length":
      return equals(payload(ip, field.field), number(field.value));
  }
}
