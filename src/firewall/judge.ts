/**
 * Says about one live flow what the firewall would say about its first packet under a configuration.
 *
 * Pure but for a memory: a configuration is prepared once and stays so as long as it lives. Invariant:
 * agrees with the compiled ruleset; test/system/services-evaluator compares them by packets. A per-packet
 * field of the first packet is not known any more: an ACE with one may have matched, so such an ACE can keep
 * a flow alive but never kill it.
 */
import type { ConntrackEntry, ConntrackTuple } from "../lib/conntrack/entry.ts";
import { policyTagOf } from "../lib/service/policy-tag.ts";
import type { AdmittingRule, FlowPlace, ServiceJudgement } from "../lib/service/provider.ts";
import { type FirewallAction, PROTOCOL_TCP, PROTOCOL_UDP } from "./ace.ts";
import { indexOfAcls } from "./ace-index.ts";
import type { Attachment, FirewallConfig, ZonePolicy } from "./config.ts";

interface Step {
  readonly action: FirewallAction;
  readonly eligible: boolean;
  readonly rule?: AdmittingRule;
}

/** By ingress and egress interface. */
type Policies = Map<string, Map<string, PreparedPolicy>>;

/** A configuration, ready to be asked about many flows. */
interface Prepared {
  /** By interface. */
  readonly ingress: ReadonlyMap<string, Attachment>;
  readonly egress: ReadonlyMap<string, Attachment>;
  /** Undefined: the zone firewall is off. */
  readonly policies: Policies | undefined;
}

interface PreparedPolicy {
  readonly policy: ZonePolicy;
  readonly policyTag: number;
}

const PASS: Step = { action: "accept", eligible: true };
const NO_POLICY: Step = { action: "drop", eligible: false };
const NO_ZONES_TAG: number = policyTagOf("firewall", "no-zones");
const prepared = new WeakMap<FirewallConfig, Prepared>();

/** Returns the verdict; "silent" for flows that end in the appliance itself. */
export function judgeFirewall(
  config: FirewallConfig,
  entry: ConntrackEntry,
  place: FlowPlace,
): ServiceJudgement {
  const { ingressInterface, egressInterface } = place;
  if (ingressInterface === undefined && egressInterface === undefined) {
    return { verdict: "silent", eligible: false, rules: [], policyTag: 0 };
  }
  const { egress, ingress, policies } = prepared.get(config) ?? prepare(config);
  const from = ingressInterface ?? "";
  const to = egressInterface ?? "";
  const policy = policies?.get(from)?.get(to);
  const isZoned = policies !== undefined;
  const inside = insideTuple(entry);
  const first = judgeAttachment(ingress.get(from), entry.original, place);
  const second = judgeAttachment(egress.get(to), inside, place);
  const third = isZoned ? judgePolicy(policy?.policy, inside, place) : PASS;
  const accepted =
    first.action === "accept" && second.action === "accept" && third.action === "accept";
  const eligible = first.eligible && second.eligible && third.eligible;
  const rules: AdmittingRule[] = [];
  for (const { rule } of [first, second, third]) if (rule !== undefined) rules.push(rule);
  return {
    verdict: accepted ? "allowed" : "forbidden",
    eligible,
    ...(eligible ? {} : { ineligibleReason: "per-packet-policy" }),
    rules,
    policyTag: policy?.policyTag ?? NO_ZONES_TAG,
  };
}

function prepare(config: FirewallConfig): Prepared {
  const ingress = new Map<string, Attachment>();
  const egress = new Map<string, Attachment>();
  for (const attachment of config.attachments) {
    const side = attachment.direction === "ingress" ? ingress : egress;
    if (!side.has(attachment.interfaceName)) side.set(attachment.interfaceName, attachment);
  }
  const result: Prepared = { ingress, egress, policies: preparePolicies(config) };
  prepared.set(config, result);
  return result;
}

function preparePolicies(config: FirewallConfig): Policies | undefined {
  if (config.zones === undefined) return undefined;
  const interfacesOf = new Map(
    config.zones.zones.map(({ interfaces, name }) => [name, interfaces]),
  );
  const policies: Policies = new Map();
  for (const policy of config.zones.policies) {
    const ready = { policy, policyTag: policyTagOf("firewall", policy.name) };
    for (const ingress of interfacesOf.get(policy.from) ?? []) {
      const byEgress = policies.get(ingress) ?? new Map<string, PreparedPolicy>();
      policies.set(ingress, byEgress);
      for (const egress of interfacesOf.get(policy.to) ?? []) {
        if (!byEgress.has(egress)) byEgress.set(egress, ready);
      }
    }
  }
  return policies;
}

/** The first packet as the forward hook sees it: destination translated, source not yet. */
function insideTuple(entry: ConntrackEntry): ConntrackTuple {
  const { original, reply } = entry;
  const hasPorts = original.protocol === PROTOCOL_TCP || original.protocol === PROTOCOL_UDP;
  return {
    sourceAddress: original.sourceAddress,
    sourcePort: original.sourcePort,
    protocol: original.protocol,
    destinationAddress: reply.sourceAddress,
    destinationPort: hasPorts ? reply.sourcePort : original.destinationPort,
  };
}

function judgeAttachment(
  attachment: Attachment | undefined,
  tuple: ConntrackTuple,
  place: FlowPlace,
): Step {
  if (attachment === undefined) return PASS;
  const { direction, interfaceName } = attachment;
  const { ace, eligible } = indexOfAcls(attachment.acls).decide(tuple, place);
  if (ace === undefined) return { action: "drop", eligible };
  const rule = { attachment: interfaceName, direction, name: ace.name };
  return { action: ace.action, eligible, rule };
}

function judgePolicy(
  policy: ZonePolicy | undefined,
  tuple: ConntrackTuple,
  place: FlowPlace,
): Step {
  if (policy === undefined) return NO_POLICY;
  const { ace, eligible } = indexOfAcls(policy.acls).decide(tuple, place);
  return {
    action: ace?.action ?? policy.action,
    eligible: eligible && policy.offload,
    rule: { attachment: "zone-policy", direction: "egress", name: ace?.name ?? policy.name },
  };
}
