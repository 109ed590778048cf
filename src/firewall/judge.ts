/**
 * Says about one live flow what the firewall would say about its first packet under a configuration.
 *
 * Pure. Invariant: agrees with the compiled ruleset; test/system/services-evaluator compares them by
 * packets. A per-packet field of the first packet is not known any more: an ACE with one may have matched,
 * so such an ACE can keep a flow alive but never kill it.
 */
import type { ConntrackEntry, ConntrackTuple } from "../lib/conntrack/entry.ts";
import { familyOf, prefixContains } from "../lib/inet/address.ts";
import { policyTagOf } from "../lib/service/policy-tag.ts";
import type { AdmittingRule, FlowPlace, ServiceJudgement } from "../lib/service/provider.ts";
import {
  type Ace,
  type AceMatch,
  type Acl,
  type FirewallAction,
  isPerPacket,
  type PortMatch,
  PROTOCOL_ICMP,
  PROTOCOL_ICMPV6,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
} from "./ace.ts";
import type { FirewallConfig, ZonePolicy } from "./config.ts";

interface Step {
  readonly action: FirewallAction;
  readonly eligible: boolean;
  readonly rule?: AdmittingRule;
  /** Names the object for the policy tag. */
  readonly tag?: string;
}

/** Returns the verdict; "silent" for flows that end in the appliance itself. */
export function judgeFirewall(
  config: FirewallConfig,
  entry: ConntrackEntry,
  place: FlowPlace,
): ServiceJudgement {
  const { ingressInterface, egressInterface } = place;
  const steps: Step[] = [];
  if (ingressInterface === undefined && egressInterface === undefined) {
    return { verdict: "silent", eligible: false, rules: [], policyTag: 0 };
  }
  const outside = entry.original;
  const inside = insideTuple(entry);
  steps.push(judgeAttachment(config, "ingress", outside, place));
  steps.push(judgeAttachment(config, "egress", inside, place));
  steps.push(judgeZones(config, inside, place));
  const refused = steps.find((step) => step.action !== "accept");
  const eligible = steps.every((step) => step.eligible);
  return {
    verdict: refused === undefined ? "allowed" : "forbidden",
    eligible,
    ...(eligible ? {} : { ineligibleReason: "per-packet-policy" }),
    rules: steps.flatMap((step) => step.rule ?? []),
    policyTag: policyTagOf("firewall", steps.at(-1)?.tag ?? "no-zones"),
  };
}

/** The first packet as the forward hook sees it: destination translated, source not yet. */
function insideTuple(entry: ConntrackEntry): ConntrackTuple {
  const { original, reply } = entry;
  const hasPorts = original.protocol === PROTOCOL_TCP || original.protocol === PROTOCOL_UDP;
  return {
    ...original,
    destinationAddress: reply.sourceAddress,
    destinationPort: hasPorts ? reply.sourcePort : original.destinationPort,
  };
}

function judgeAttachment(
  config: FirewallConfig,
  direction: "ingress" | "egress",
  tuple: ConntrackTuple,
  place: FlowPlace,
): Step {
  const name = direction === "ingress" ? place.ingressInterface : place.egressInterface;
  const attachment = config.attachments.find(
    (candidate) => candidate.interfaceName === name && candidate.direction === direction,
  );
  if (attachment === undefined) return { action: "accept", eligible: true };
  const found = judgeAcls(attachment.acls, tuple, place);
  if (found.ace === undefined) return { action: "drop", eligible: found.eligible };
  const rule = { attachment: attachment.interfaceName, direction, name: found.ace.name };
  return { action: found.ace.action, eligible: found.eligible, rule };
}

function judgeZones(config: FirewallConfig, tuple: ConntrackTuple, place: FlowPlace): Step {
  if (config.zones === undefined) return { action: "accept", eligible: true };
  const zoneOf = (name: string | undefined): string | undefined =>
    config.zones?.zones.find((zone) => zone.interfaces.some((item) => item === name))?.name;
  const from = zoneOf(place.ingressInterface);
  const to = zoneOf(place.egressInterface);
  const policy = config.zones.policies.find(
    (candidate) => candidate.from === from && candidate.to === to,
  );
  if (policy === undefined) return { action: "drop", eligible: false };
  return judgePolicy(policy, tuple, place);
}

function judgePolicy(policy: ZonePolicy, tuple: ConntrackTuple, place: FlowPlace): Step {
  const found = judgeAcls(policy.acls, tuple, place);
  const name = found.ace?.name ?? policy.name;
  return {
    action: found.ace?.action ?? policy.action,
    eligible: found.eligible && policy.offload,
    rule: { attachment: "zone-policy", direction: "egress", name },
    tag: policy.name,
  };
}

/** Returns the ACE that decides; undefined when none matches. */
function judgeAcls(
  acls: readonly Acl[],
  tuple: ConntrackTuple,
  place: FlowPlace,
): { readonly ace: Ace | undefined; readonly eligible: boolean } {
  let eligible = true;
  let possible: Ace | undefined;
  for (const ace of acls.flatMap((acl) => acl.aces)) {
    if (isPerPacket(ace)) eligible = false;
    if (!matches(ace.match, tuple, place)) continue;
    if (ace.match.packetFields.length === 0) {
      const kept = ace.action === "accept" ? ace : (possible ?? ace);
      return { ace: kept, eligible };
    }
    if (ace.action === "accept") possible ??= ace;
  }
  return { ace: possible, eligible };
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
  if (tuple.protocol === PROTOCOL_ICMP || tuple.protocol === PROTOCOL_ICMPV6) {
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
