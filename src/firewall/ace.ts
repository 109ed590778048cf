/**
 * One entry of an access control list, as a value.
 *
 * Pure. Source: RFC 8519 §4.1, §4.2 (`ietf-packet-fields`).
 */
import type { AddressFamily, IpPrefix } from "../lib/inet/address.ts";
import { maskAddress, parseIpAddress } from "../lib/inet/address.ts";
import { type InterfaceName, parseInterfaceName } from "../lib/nft/identifier.ts";
import {
  childList,
  childNode,
  type DataNode,
  listStep,
  optionalNode,
  type ProblemCollector,
  readIdentity,
  readNumber,
  readText,
} from "../lib/service/data-reader.ts";

export type FirewallAction = "accept" | "drop" | "reject";

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const PROTOCOL_ICMPV6 = 58;

/** Both ends belong to the range; `negated` means every port outside it. */
export interface PortMatch {
  readonly first: number;
  readonly last: number;
  readonly negated: boolean;
}

/** A field that differs between packets of one flow, so that the fast path cannot decide by it. */
export type PacketField =
  | { readonly field: "dscp" | "ttl" | "length"; readonly value: number }
  | { readonly field: "tcp-flags"; readonly value: number };

/** Absent members match everything. */
export interface AceMatch {
  readonly family?: AddressFamily;
  readonly protocol?: number;
  readonly source?: IpPrefix;
  readonly destination?: IpPrefix;
  readonly sourcePort?: PortMatch;
  readonly destinationPort?: PortMatch;
  readonly icmpType?: number;
  readonly icmpCode?: number;
  readonly ingressInterface?: InterfaceName;
  readonly egressInterface?: InterfaceName;
  readonly packetFields: readonly PacketField[];
}

export interface Ace {
  readonly name: string;
  readonly match: AceMatch;
  readonly action: FirewallAction;
  readonly log: boolean;
}

/** An access control list; the first ACE that matches decides. */
export interface Acl {
  readonly name: string;
  readonly aces: readonly Ace[];
}

/** Returns whether fate depends on more than interface, family, protocol, addresses and ports. */
export function isPerPacket(ace: Ace): boolean {
  return ace.match.packetFields.length > 0 || ace.log;
}

const IP_LEAVES = ["dscp", "ttl", "length", "protocol"];
const TCP_FLAG_BITS: Readonly<Record<string, number>> = {
  fin: 1,
  syn: 2,
  rst: 4,
  psh: 8,
  ack: 16,
  urg: 32,
  ece: 64,
  cwr: 128,
};

/** Reads an `acl` list entry; what it cannot express goes to `problems`. */
export function parseAcl(node: DataNode, parent: string, problems: ProblemCollector): Acl {
  const name = readText(node, "name") ?? "";
  const path = `${parent}/${listStep("acl", "name", name)}`;
  const type = readIdentity(node, "type");
  const family = type === "ipv4-acl-type" ? 4 : type === "ipv6-acl-type" ? 6 : undefined;
  const aces = childList(childNode(node, "aces"), "ace").map((ace): Ace => {
    const aceName = readText(ace, "name") ?? "";
    const acePath = `${path}/aces/${listStep("ace", "name", aceName)}`;
    const actions = childNode(ace, "actions");
    const forwarding = readIdentity(actions, "forwarding");
    return {
      name: aceName,
      match: parseMatch(childNode(ace, "matches"), family, `${acePath}/matches`, problems),
      action: forwarding === "accept" || forwarding === "reject" ? forwarding : "drop",
      log: readIdentity(actions, "logging") === "log-syslog",
    };
  });
  return { name, aces };
}

function parseMatch(
  node: DataNode,
  aclFamily: AddressFamily | undefined,
  path: string,
  problems: ProblemCollector,
): AceMatch {
  problems.refuseUnknown(node, path, [
    ...["ipv4", "ipv6", "tcp", "udp", "icmp"],
    ...["ingress-interface", "egress-interface"],
  ]);
  const ip = optionalNode(node, "ipv4") ?? optionalNode(node, "ipv6") ?? {};
  const named = "ipv4" in node ? 4 : "ipv6" in node ? 6 : undefined;
  if (named !== undefined && aclFamily !== undefined && named !== aclFamily) {
    // The module's `when` looks at the types of all ACLs, so libyang lets this pass (RFC 8519 errata).
    problems.add(`${path}/ipv${named}`, `the ACL is of type ipv${aclFamily}`);
  }
  const family = named ?? aclFamily;
  const ipName = family === 6 ? "ipv6" : "ipv4";
  problems.refuseUnknown(ip, `${path}/${ipName}`, [
    ...IP_LEAVES,
    `source-${ipName}-network`,
    `destination-${ipName}-network`,
  ]);
  const transport = parseTransport(node, family, path, problems);
  const protocol = readNumber(ip, "protocol");
  if (protocol !== undefined && transport.protocol !== undefined) {
    if (protocol !== transport.protocol) {
      problems.add(`${path}/${ipName}/protocol`, "contradicts the matched transport header");
    }
  }
  const source = parsePrefix(readText(ip, `source-${ipName}-network`));
  const destination = parsePrefix(readText(ip, `destination-${ipName}-network`));
  const ingressInterface = parseInterfaceName(readText(node, "ingress-interface") ?? "");
  const egressInterface = parseInterfaceName(readText(node, "egress-interface") ?? "");
  return {
    ...(family === undefined ? {} : { family }),
    ...(protocol === undefined ? {} : { protocol }),
    ...(source === undefined ? {} : { source }),
    ...(destination === undefined ? {} : { destination }),
    ...transport,
    ...(ingressInterface === undefined ? {} : { ingressInterface }),
    ...(egressInterface === undefined ? {} : { egressInterface }),
    packetFields: [...parseIpFields(ip), ...transport.packetFields],
  };
}

function parseIpFields(ip: DataNode): PacketField[] {
  return (["dscp", "ttl", "length"] as const).flatMap((field) => {
    const value = readNumber(ip, field);
    return value === undefined ? [] : [{ field, value }];
  });
}

type TransportMatch = Pick<
  AceMatch,
  "protocol" | "sourcePort" | "destinationPort" | "icmpType" | "icmpCode" | "packetFields"
>;

function parseTransport(
  node: DataNode,
  family: AddressFamily | undefined,
  path: string,
  problems: ProblemCollector,
): TransportMatch {
  const icmp = optionalNode(node, "icmp");
  if (icmp !== undefined) return parseIcmp(icmp, family, `${path}/icmp`, problems);
  const name = "tcp" in node ? "tcp" : "udp" in node ? "udp" : undefined;
  if (name === undefined) return { packetFields: [] };
  const transport = childNode(node, name);
  const known = ["source-port", "destination-port", ...(name === "tcp" ? ["flags"] : [])];
  problems.refuseUnknown(transport, `${path}/${name}`, known);
  const sourcePort = parsePort(optionalNode(transport, "source-port"));
  const destinationPort = parsePort(optionalNode(transport, "destination-port"));
  const flags = (readText(transport, "flags") ?? "")
    .split(" ")
    .reduce((bits, flag) => bits | (TCP_FLAG_BITS[flag] ?? 0), 0);
  return {
    protocol: name === "tcp" ? PROTOCOL_TCP : PROTOCOL_UDP,
    ...(sourcePort === undefined ? {} : { sourcePort }),
    ...(destinationPort === undefined ? {} : { destinationPort }),
    packetFields: flags === 0 ? [] : [{ field: "tcp-flags", value: flags }],
  };
}

function parseIcmp(
  icmp: DataNode,
  family: AddressFamily | undefined,
  path: string,
  problems: ProblemCollector,
): TransportMatch {
  problems.refuseUnknown(icmp, path, ["type", "code"]);
  if (family === undefined) {
    problems.add(path, "ICMP types differ between IPv4 and IPv6; give the ACL a type");
  }
  const icmpType = readNumber(icmp, "type");
  const icmpCode = readNumber(icmp, "code");
  return {
    protocol: family === 6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP,
    ...(icmpType === undefined ? {} : { icmpType }),
    ...(icmpCode === undefined ? {} : { icmpCode }),
    packetFields: [],
  };
}

/** Operators become ranges: `lte 80` is 0-80, `neq 80` is everything outside 80-80. */
function parsePort(node: DataNode | undefined): PortMatch | undefined {
  if (node === undefined) return undefined;
  const lower = readNumber(node, "lower-port");
  const upper = readNumber(node, "upper-port");
  if (lower !== undefined) return { first: lower, last: upper ?? lower, negated: false };
  const port = readNumber(node, "port");
  if (port === undefined) return undefined;
  switch (readText(node, "operator") ?? "eq") {
    case "lte":
      return { first: 0, last: port, negated: false };
    case "gte":
      return { first: port, last: 65_535, negated: false };
    case "neq":
      return { first: port, last: port, negated: true };
    default:
      return { first: port, last: port, negated: false };
  }
}

/** `inet:ip-prefix` may carry bits below its length (RFC 6991 §4); they do not count. */
function parsePrefix(text: string | undefined): IpPrefix | undefined {
  const [addressText = "", lengthText = ""] = (text ?? "").split("/");
  const address = parseIpAddress(addressText);
  if (address === undefined) return undefined;
  const lengthBits = Number(lengthText);
  return { address: maskAddress(address, lengthBits), lengthBits };
}
