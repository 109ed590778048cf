/**
 * Combines what nat, lb and firewall say about a live flow.
 *
 * Pure. One "forbidden" is enough to cut a flow; one "not eligible" keeps it on the slow path.
 */

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
    const judgements: Readonly<Record<ServiceName, ServiceJudgement>> = {
      lb: LOAD_BALANCER.judge(config.lb, entry, place),
      nat: NAT.judge(config.nat, entry, place),
      firewall: FIREWALL.judge(config.firewall, entry, place),
    };
    const service = serviceOf(entry.mark);
    const all = Object.values(judgements);
    const reason = all.find((judgement) => !judgement.eligible)?.ineligibleReason;
    const own = judgements[service];
    return {
      allowed: all.every((judgement) => judgement.verdict !== "forbidden"),
      service,
      eligible: config.offload.enabled && all.every((judgement) => judgement.eligible),
      ...(reason === undefined ? {} : { ineligibleReason: reason }),
      rules: uniqueRules(all.flatMap((judgement) => judgement.rules)),
      policyTag: own.policyTag || judgements.firewall.policyTag,
    };
  };
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
  const byKey = new Map<string, AdmittingRule>();
  for (const rule of rules) {
    const key = `${rule.direction} ${rule.attachment}`;
    if (!byKey.has(key)) byKey.set(key, rule);
  }
  return [...byKey.values()].slice(0, ADMITTING_RULES_MAX);
}
