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

/** Where an interface or a zone is followed by another, as the key of a map. */
type Pair = `${string} ${string}`;

/** A configuration, ready to be asked about many flows. */
interface Prepared {
  readonly attachments: ReadonlyMap<Pair, Attachment>;
  /** By ingress and egress interface; undefined: the zone firewall is off. */
  readonly policies: ReadonlyMap<Pair, PreparedPolicy> | undefined;
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
  const { attachments, policies } = prepared.get(config) ?? prepare(config);
  const outside = entry.original;
  const inside = insideTuple(entry);
  const zones = policies?.get(`${ingressInterface ?? ""} ${egressInterface ?? ""}`);
  const steps = [
    judgeAttachment(attachments.get(`ingress ${ingressInterface ?? ""}`), outside, place),
    judgeAttachment(attachments.get(`egress ${egressInterface ?? ""}`), inside, place),
    zones === undefined
      ? policies === undefined
        ? PASS
        : NO_POLICY
      : judgePolicy(zones.policy, inside, place),
  ];
  const refused = steps.some((step) => step.action !== "accept");
  const eligible = steps.every((step) => step.eligible);
  return {
    verdict: refused ? "forbidden" : "allowed",
    eligible,
    ...(eligible ? {} : { ineligibleReason: "per-packet-policy" }),
    rules: steps.flatMap((step) => step.rule ?? []),
    policyTag: zones?.policyTag ?? NO_ZONES_TAG,
  };
}

/** Names of interfaces have no blanks. */
function prepare(config: FirewallConfig): Prepared {
  const attachments = new Map<Pair, Attachment>();
  for (const attachment of config.attachments) {
    const key: Pair = `${attachment.direction} ${attachment.interfaceName}`;
    if (!attachments.has(key)) attachments.set(key, attachment);
  }
  const result: Prepared = { attachments, policies: preparePolicies(config) };
  prepared.set(config, result);
  return result;
}

function preparePolicies(config: FirewallConfig): ReadonlyMap<Pair, PreparedPolicy> | undefined {
  if (config.zones === undefined) return undefined;
  const interfacesOf = new Map(
    config.zones.zones.map(({ interfaces, name }) => [name, interfaces]),
  );
  const policies = new Map<Pair, PreparedPolicy>();
  for (const policy of config.zones.policies) {
    const ready = { policy, policyTag: policyTagOf("firewall", policy.name) };
    for (const ingress of interfacesOf.get(policy.from) ?? []) {
      for (const egress of interfacesOf.get(policy.to) ?? []) {
        const key: Pair = `${ingress} ${egress}`;
        if (!policies.has(key)) policies.set(key, ready);
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
    ...original,
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

function judgePolicy(policy: ZonePolicy, tuple: ConntrackTuple, place: FlowPlace): Step {
  const { ace, eligible } = indexOfAcls(policy.acls).decide(tuple, place);
  return {
    action: ace?.action ?? policy.action,
    eligible: eligible && policy.offload,
    rule: { attachment: "zone-policy", direction: "egress", name: ace?.name ?? policy.name },
  };
}
