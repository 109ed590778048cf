/**
 * Whether an ACE matches a flow.
 *
 * Pure. What differs between packets of one flow is left out: the caller knows which ACEs ask for it.
 */
import type { ConntrackTuple } from "../lib/conntrack/entry.ts";
import { familyOf } from "../lib/inet/address.ts";
import { prefixContains } from "../lib/inet/prefix-match.ts";
import type { FlowPlace } from "../lib/service/provider.ts";
import { type AceMatch, type PortMatch, PROTOCOL_ICMP, PROTOCOL_ICMPV6 } from "./ace.ts";

/** Returns whether a protocol has types in place of ports. */
export function isIcmp(protocol: number): boolean {
  return protocol === PROTOCOL_ICMP || protocol === PROTOCOL_ICMPV6;
}

/** Judges everything but per-packet fields. */
export function matches(match: AceMatch, tuple: ConntrackTuple, place: FlowPlace): boolean {
  if (match.family !== undefined && familyOf(tuple.sourceAddress) !== match.family) return false;
  if (match.protocol !== undefined && tuple.protocol !== match.protocol) return false;
  if (match.ingressInterface !== undefined && place.ingressInterface !== match.ingressInterface) {
    return false;
  }
  if (match.egressInterface !== undefined && place.egressInterface !== match.egressInterface) {
    return false;
  }
  if (match.source && !prefixContains(match.source, tuple.sourceAddress)) return false;
  if (match.destination && !prefixContains(match.destination, tuple.destinationAddress)) {
    return false;
  }
  return matchesTransport(match, tuple);
}

function matchesTransport(match: AceMatch, tuple: ConntrackTuple): boolean {
  if (isIcmp(tuple.protocol)) {
    const type = tuple.destinationPort >> 8;
    const code = tuple.destinationPort & 0xff;
    if (match.icmpType !== undefined && match.icmpType !== type) return false;
    return match.icmpCode === undefined || match.icmpCode === code;
  }
  return (
    matchesPort(match.sourcePort, tuple.sourcePort) &&
    matchesPort(match.destinationPort, tuple.destinationPort)
  );
}

function matchesPort(match: PortMatch | undefined, port: number): boolean {
  if (match === undefined) return true;
  const inside = port >= match.first && port <= match.last;
  return inside !== match.negated;
}
