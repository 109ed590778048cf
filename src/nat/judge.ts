/**
 * Says whether a live flow's translation is still the configured one.
 *
 * Pure but for a memory: a configuration's mappings are sorted by address once. Invariant: agrees with the
 * compiled ruleset about whether a flow is translated, and to which set of addresses; which port of the set
 * the kernel chose is the kernel's business.
 */
import type { ConntrackEntry } from "../lib/conntrack/entry.ts";
import { MARK_SERVICE_MASK, MARK_SERVICE_NAT } from "../lib/conntrack/mark-bits.ts";
import { familyOf, type IpAddress } from "../lib/inet/address.ts";
import { prefixContains } from "../lib/inet/prefix-match.ts";
import { policyTagOf } from "../lib/service/policy-tag.ts";
import type { AdmittingRule, FlowPlace, ServiceJudgement } from "../lib/service/provider.ts";
import type { NatConfig, NatInstance, NatPolicy } from "./config.ts";
import { internalPortOf, type StaticMapping } from "./mapping.ts";
import { poolContains } from "./pool.ts";

/** What one direction's translation hangs on; "none": rightly untranslated. */
type Translation =
  | { readonly kind: "none" }
  | { readonly kind: "forbidden" }
  | { readonly kind: "by"; readonly name: string };

interface OwnMapping {
  readonly instance: NatInstance;
  readonly mapping: StaticMapping;
}

/** Mappings by address, each list in the configuration's order. */
interface PreparedMappings {
  readonly byExternal: ReadonlyMap<IpAddress, readonly OwnMapping[]>;
  readonly byInternal: ReadonlyMap<IpAddress, readonly OwnMapping[]>;
}

const NO_MAPPINGS: readonly OwnMapping[] = [];
const mappings = new WeakMap<NatConfig, PreparedMappings>();

function prepareMappings(config: NatConfig): PreparedMappings {
  const byExternal = new Map<IpAddress, OwnMapping[]>();
  const byInternal = new Map<IpAddress, OwnMapping[]>();
  for (const instance of config.instances) {
    for (const mapping of instance.mappings) {
      append(byExternal, mapping.externalAddress, { instance, mapping });
      append(byInternal, mapping.internalAddress, { instance, mapping });
    }
  }
  const prepared: PreparedMappings = { byExternal, byInternal };
  mappings.set(config, prepared);
  return prepared;
}

function append(lists: Map<IpAddress, OwnMapping[]>, key: IpAddress, own: OwnMapping): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [own]);
  else list.push(own);
}

const NONE: Translation = { kind: "none" };
const FORBIDDEN: Translation = { kind: "forbidden" };

/** Returns the verdict; "silent" for flows that the NAT neither translates nor filters. */
export function judgeNat(
  config: NatConfig,
  entry: ConntrackEntry,
  place: FlowPlace,
): ServiceJudgement {
  const silent: ServiceJudgement = { verdict: "silent", eligible: true, rules: [], policyTag: 0 };
  if (place.ingressInterface === undefined && place.egressInterface === undefined) return silent;
  if (familyOf(entry.original.sourceAddress) !== 4) return silent;
  const destination = judgeDestination(config, entry);
  const source = judgeSource(config, entry, place);
  const filtered = destination.kind === "none" && isUnsolicited(config, entry, place);
  if (destination.kind === "forbidden" || source.kind === "forbidden" || filtered) {
    return { ...silent, verdict: "forbidden", eligible: false };
  }
  const rules: AdmittingRule[] = [];
  if (destination.kind === "by") {
    rules.push({ attachment: "nat", direction: "ingress", name: destination.name });
  }
  if (source.kind === "by") {
    rules.push({ attachment: "nat", direction: "egress", name: source.name });
  }
  const name = rules[0]?.name;
  if (name === undefined) return silent;
  return { verdict: "allowed", eligible: true, rules, policyTag: policyTagOf("nat", name) };
}

function judgeDestination(config: NatConfig, entry: ConntrackEntry): Translation {
  const { original, reply } = entry;
  const translated =
    original.destinationAddress !== reply.sourceAddress ||
    (hasPorts(original.protocol) && original.destinationPort !== reply.sourcePort);
  const isOurs = (entry.mark & MARK_SERVICE_MASK) === MARK_SERVICE_NAT;
  const { byExternal } = mappings.get(config) ?? prepareMappings(config);
  for (const { instance, mapping } of byExternal.get(original.destinationAddress) ?? NO_MAPPINGS) {
    if (mapping.protocol !== undefined && mapping.protocol !== original.protocol) continue;
    const port = internalPortOf(mapping, original.destinationPort);
    if (port === undefined) continue;
    const right =
      mapping.internalAddress === reply.sourceAddress &&
      (!hasPorts(original.protocol) || port === reply.sourcePort);
    if (right) return { kind: "by", name: mappingName(instance, mapping) };
    // The load balancer stands before us: its translation is its own affair.
    return isOurs || !translated ? FORBIDDEN : NONE;
  }
  return translated && isOurs ? FORBIDDEN : NONE;
}

function judgeSource(config: NatConfig, entry: ConntrackEntry, place: FlowPlace): Translation {
  const { original, reply } = entry;
  const translated =
    original.sourceAddress !== reply.destinationAddress ||
    (hasPorts(original.protocol) && original.sourcePort !== reply.destinationPort);
  for (const instance of config.instances) {
    for (const policy of instance.policies) {
      const found = judgePolicySource(config, { instance, policy }, entry, place);
      if (found !== undefined) return found;
    }
  }
  return translated ? FORBIDDEN : NONE;
}

/** Undefined: this policy does not translate the flow's source. */
function judgePolicySource(
  config: NatConfig,
  { instance, policy }: { readonly instance: NatInstance; readonly policy: NatPolicy },
  entry: ConntrackEntry,
  place: FlowPlace,
): Translation | undefined {
  const { original, reply } = entry;
  const leaves = place.egressInterface === policy.externalInterface;
  if (leaves) {
    if (isExempt(instance, entry)) return exemptResult(entry);
    const { byInternal } = mappings.get(config) ?? prepareMappings(config);
    const mapping = byInternal
      .get(original.sourceAddress)
      ?.find((own) => own.instance === instance && ownsSource(own.mapping, entry))?.mapping;
    if (mapping !== undefined) {
      const right =
        reply.destinationAddress === mapping.externalAddress &&
        (!hasPorts(original.protocol) ||
          internalPortOf(mapping, reply.destinationPort) === original.sourcePort);
      return right ? { kind: "by", name: mappingName(instance, mapping) } : FORBIDDEN;
    }
    if (!isSubscriber(policy, original.sourceAddress)) return undefined;
  } else {
    const hairpin =
      place.ingressInterface !== policy.externalInterface &&
      (entry.mark & MARK_SERVICE_MASK) === MARK_SERVICE_NAT &&
      original.destinationAddress !== reply.sourceAddress;
    if (!hairpin) return undefined;
  }
  if (!poolContains(policy.pool, reply.destinationAddress)) return FORBIDDEN;
  if (!portAllowed(policy, entry)) return FORBIDDEN;
  return { kind: "by", name: `instance-${instance.id}/policy-${policy.id}` };
}

function portAllowed(policy: NatPolicy, entry: ConntrackEntry): boolean {
  const { ports } = policy;
  if (ports === undefined || !hasPorts(entry.original.protocol)) return true;
  const port = entry.reply.destinationPort;
  return port >= ports.startPort && port <= ports.endPort;
}

function exemptResult(entry: ConntrackEntry): Translation {
  return entry.original.sourceAddress === entry.reply.destinationAddress ? NONE : FORBIDDEN;
}

/** The rules see the destination after its translation. */
function isExempt(instance: NatInstance, entry: ConntrackEntry): boolean {
  return instance.passThrough.some(
    ({ prefix, port }) =>
      prefixContains(prefix, entry.reply.sourceAddress) &&
      (port === undefined ||
        (hasPorts(entry.original.protocol) && port === entry.reply.sourcePort)),
  );
}

function ownsSource(mapping: StaticMapping, entry: ConntrackEntry): boolean {
  const { original } = entry;
  if (mapping.internalAddress !== original.sourceAddress) return false;
  if (mapping.protocol !== undefined && mapping.protocol !== original.protocol) return false;
  const { ports } = mapping;
  if (ports === undefined) return true;
  const last = ports.internalStart + ports.externalEnd - ports.externalStart;
  return original.sourcePort >= ports.internalStart && original.sourcePort <= last;
}

function isUnsolicited(config: NatConfig, entry: ConntrackEntry, place: FlowPlace): boolean {
  const { original, reply } = entry;
  const translated =
    original.destinationAddress !== reply.sourceAddress ||
    (hasPorts(original.protocol) && original.destinationPort !== reply.sourcePort);
  if (translated) return false;
  return config.instances.some((instance) =>
    instance.policies.some(
      (policy) =>
        place.ingressInterface === policy.externalInterface &&
        (place.egressInterface === policy.externalInterface ||
          isSubscriber(policy, original.destinationAddress)),
    ),
  );
}

function isSubscriber(policy: NatPolicy, address: ConntrackEntry["original"]["sourceAddress"]) {
  if (policy.subscribers.length === 0) return true;
  return policy.subscribers.some((prefix) => prefixContains(prefix, address));
}

function mappingName(instance: NatInstance, mapping: StaticMapping): string {
  return `instance-${instance.id}/mapping-${mapping.index}`;
}

function hasPorts(protocol: number): boolean {
  return protocol === 6 || protocol === 17;
}
