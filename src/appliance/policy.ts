/**
 * Combines what nat, lb and firewall say about a live flow.
 *
 * Pure. One "forbidden" is enough to cut a flow; one "not eligible" keeps it on the slow path.
 */

import { isDeepStrictEqual } from "node:util";
import { FIREWALL } from "../firewall/provider.ts";
import { LOAD_BALANCER } from "../lb/provider.ts";
import {
  MARK_EGRESS_MASK,
  MARK_EGRESS_SHIFT,
  MARK_INGRESS_MASK,
  MARK_INGRESS_SHIFT,
  MARK_SERVICE_LB,
  MARK_SERVICE_MASK,
  MARK_SERVICE_NAT,
} from "../lib/conntrack/mark-bits.ts";
import type {
  AdmittingRule,
  ApplianceInterface,
  FlowJudgement,
  FlowPlace,
  JudgeFlow,
  ServiceJudgement,
  ServiceName,
} from "../lib/service/provider.ts";
import { NAT } from "../nat/provider.ts";
import type { ApplianceConfig } from "./data-config.ts";

/** Rules that one flow may carry (the same number as in flowlift-offload). */
export const ADMITTING_RULES_MAX = 8;

/** Returns the judge of one configuration. */
export function createJudge(config: ApplianceConfig): JudgeFlow {
  return (entry, place): FlowJudgement => {
    const lb = LOAD_BALANCER.judge(config.lb, entry, place);
    const nat = NAT.judge(config.nat, entry, place);
    const firewall = FIREWALL.judge(config.firewall, entry, place);
    const service = serviceOf(entry.mark);
    const own = { lb, nat, firewall }[service];
    const reason = firstReason(lb) ?? firstReason(nat) ?? firstReason(firewall);
    return {
      allowed: !isForbidden(lb) && !isForbidden(nat) && !isForbidden(firewall),
      service,
      eligible: config.offload.enabled && lb.eligible && nat.eligible && firewall.eligible,
      ...(reason === undefined ? {} : { ineligibleReason: reason }),
      rules: uniqueRules([...lb.rules, ...nat.rules, ...firewall.rules]),
      policyTag: own.policyTag || firewall.policyTag,
    };
  };
}

/** Returns whether two configurations say the same about every flow: all that createJudge looks at. */
export function judgesAlike(left: ApplianceConfig, right: ApplianceConfig): boolean {
  return (
    left.offload.enabled === right.offload.enabled &&
    isDeepStrictEqual(left.lb, right.lb) &&
    isDeepStrictEqual(left.nat, right.nat) &&
    isDeepStrictEqual(left.firewall, right.firewall)
  );
}

function isForbidden(judgement: ServiceJudgement): boolean {
  return judgement.verdict === "forbidden";
}

function firstReason(judgement: ServiceJudgement): string | undefined {
  return judgement.eligible ? undefined : judgement.ineligibleReason;
}

/** Returns the interfaces that a mark names. */
export function placeOfMark(mark: number, interfaces: readonly ApplianceInterface[]): FlowPlace {
  const nameOf = (index: number): string | undefined =>
    interfaces.find((item) => item.markIndex === index)?.name;
  return {
    ingressInterface: nameOf((mark & MARK_INGRESS_MASK) >>> MARK_INGRESS_SHIFT),
    egressInterface: nameOf((mark & MARK_EGRESS_MASK) >>> MARK_EGRESS_SHIFT),
  };
}

function serviceOf(mark: number): ServiceName {
  const bits = mark & MARK_SERVICE_MASK;
  if (bits === MARK_SERVICE_LB) return "lb";
  return bits === MARK_SERVICE_NAT ? "nat" : "firewall";
}

/** Attachment and direction are the key of a flow's rules in flowlift-offload. */
function uniqueRules(rules: readonly AdmittingRule[]): AdmittingRule[] {
  const unique: AdmittingRule[] = [];
  for (const rule of rules) {
    const isKnown = unique.some(
      ({ attachment, direction }) => attachment === rule.attachment && direction === rule.direction,
    );
    if (!isKnown && unique.length < ADMITTING_RULES_MAX) unique.push(rule);
  }
  return unique;
}
