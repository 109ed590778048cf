/**
 * Compiles the firewall's configuration to its part of the ruleset.
 *
 * Pure. Order for a connection's first packet: ACLs of the ingress interface (untranslated addresses), then
 * ACLs of the egress interface, then the policy between the two zones (both: destination translated,
 * source not yet). See README.md.
 */

import { contentChain } from "../lib/nft/chain.ts";
import { EMPTY_FRAGMENT, type RulesetFragment } from "../lib/nft/fragment.ts";
import { type ObjectName, objectName } from "../lib/nft/identifier.ts";
import {
  ACCEPT,
  type Chain,
  DROP,
  equals,
  INPUT_INTERFACE,
  number,
  OUTPUT_INTERFACE,
  type Rule,
  type Selector,
  STATE_NEW,
  type Statement,
  type Value,
  type Verdict,
} from "../lib/nft/nodes.ts";
import type { ServiceContext } from "../lib/service/provider.ts";
import type { FirewallAction } from "./ace.ts";
import type { CountedAce } from "./ace-match.ts";
import { type AcePlace, compileAces, ineligible } from "./ace-rules.ts";
import type { Attachment, FirewallConfig, Zone, ZonePolicy } from "./config.ts";
import { aceCounter, policyAceCounter, policyCounter } from "./counters.ts";
import { compileHostServices } from "./host-services.ts";

/** Counts first packets between zones without a policy. */
export const NO_POLICY_COUNTER: ObjectName = objectName("zone-no-policy");

/** What an ACL attached to an interface does with packets that no ACE matches. */
const UNMATCHED: Statement = DROP;

/** Returns the fragment. */
export function compileFirewall(config: FirewallConfig, context: ServiceContext): RulesetFragment {
  const reject = rejectChain();
  const counters = new Set<ObjectName>();
  const chains: Chain[] = rejects(config) ? [reject] : [];
  const add = (chain: Chain, used: readonly CountedAce[]): Chain => {
    if (!chains.some((known) => known.name === chain.name)) chains.push(chain);
    for (const { counter } of used) counters.add(counter);
    return chain;
  };
  const dispatch = (direction: "ingress" | "egress"): (readonly [Value, Verdict])[] =>
    config.attachments
      .filter((attachment) => attachment.direction === direction)
      .map((attachment) => {
        const aces = attachmentAces(attachment);
        const rules = [...compileAces(aces, direction, reject.name), [UNMATCHED]];
        const chain = add(contentChain(`acl-${direction}`, rules), aces);
        const value: Value = { kind: "interface", name: attachment.interfaceName };
        return [value, { kind: "jump", chain: chain.name }];
      });
  const ingress = verdictMap(INPUT_INTERFACE, dispatch("ingress"));
  const egress = verdictMap(OUTPUT_INTERFACE, dispatch("egress"));
  const zones = compileZones(config, reject.name, add, counters);
  return {
    ...EMPTY_FRAGMENT,
    ingress,
    input: compileHostServices(config, context),
    forward: [...egress, ...zones],
    output: egress.map((rule) => [STATE_NEW, ...rule]),
    chains,
    counters: [...counters],
  };
}

function rejects(config: FirewallConfig): boolean {
  const policies = config.zones?.policies ?? [];
  const acls = [...config.attachments, ...policies].flatMap((holder) => holder.acls);
  return (
    policies.some((policy) => policy.action === "reject") ||
    acls.some((acl) => acl.aces.some((ace) => ace.action === "reject"))
  );
}

function attachmentAces(attachment: Attachment): CountedAce[] {
  return attachment.acls.flatMap((acl) =>
    acl.aces.map((ace) => ({ ace, counter: aceCounter(attachment, acl.name, ace.name) })),
  );
}

function verdictMap(key: Selector, entries: readonly (readonly [Value, Verdict])[]): Rule[] {
  return entries.length === 0 ? [] : [[{ kind: "verdict-map", key, entries }]];
}

/** TCP learns by a reset, everything else by an ICMP error (RFC 8519: "send an ICMP error"). */
function rejectChain(): Chain {
  return contentChain("reject", [
    [equals({ kind: "meta", key: "l4proto" }, number(6)), { kind: "reject", how: "tcp-reset" }],
    [{ kind: "reject", how: "admin-prohibited" }],
  ]);
}

function compileZones(
  config: FirewallConfig,
  reject: ObjectName,
  add: (chain: Chain, used: readonly CountedAce[]) => Chain,
  counters: Set<ObjectName>,
): Rule[] {
  if (config.zones === undefined) return [[ACCEPT]];
  const { zones, policies } = config.zones;
  const byName = new Map(zones.map((zone) => [zone.name, zone]));
  const entries = policies.flatMap((policy): (readonly [Value, Verdict])[] => {
    const aces = policyAces(policy);
    const chain = add(policyChain(policy, aces, reject), aces);
    counters.add(policyCounter(policy));
    return interfacePairs(byName.get(policy.from), byName.get(policy.to)).map((pair) => [
      pair,
      { kind: "goto", chain: chain.name },
    ]);
  });
  counters.add(NO_POLICY_COUNTER);
  const key: Selector = { kind: "concat", parts: [INPUT_INTERFACE, OUTPUT_INTERFACE] };
  return [...verdictMap(key, entries), [{ kind: "count", counter: NO_POLICY_COUNTER }, DROP]];
}

function policyAces(policy: ZonePolicy): CountedAce[] {
  return policy.acls.flatMap((acl) =>
    acl.aces.map((ace) => ({ ace, counter: policyAceCounter(policy, acl.name, ace.name) })),
  );
}

function policyChain(policy: ZonePolicy, aces: readonly CountedAce[], reject: ObjectName): Chain {
  const place: AcePlace = "zone";
  return contentChain("policy", [
    ...(policy.offload ? [] : [[ineligible(place)]]),
    ...compileAces(aces, place, reject),
    [{ kind: "count", counter: policyCounter(policy) }, actionStatement(policy.action, reject)],
  ]);
}

function actionStatement(action: FirewallAction, reject: ObjectName): Statement {
  if (action === "accept") return ACCEPT;
  if (action === "drop") return DROP;
  return { kind: "verdict", verdict: { kind: "goto", chain: reject } };
}

function interfacePairs(from: Zone | undefined, to: Zone | undefined): Value[] {
  return (from?.interfaces ?? []).flatMap((ingress) =>
    (to?.interfaces ?? []).map(
      (egress): Value => ({
        kind: "tuple",
        parts: [
          { kind: "interface", name: ingress },
          { kind: "interface", name: egress },
        ],
      }),
    ),
  );
}
