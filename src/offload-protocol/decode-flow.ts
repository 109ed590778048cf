/**
 * Flows and counters from XML: the groupings `flow`, `direction` and `both-counters`.
 *
 * Pure. Source: yang/flowlift-offload.yang. Order of elements does not matter (RFC 7950 §7.5.7).
 */
import { type Collecting, decodeDirection } from "./decode-direction.ts";
import {
  type Directions,
  type FlowRule,
  type OffloadFlow,
  type OffloadService,
  RULES_PER_FLOW_MAX,
} from "./messages.ts";
import {
  failDuplicateKey,
  failMissing,
  failMust,
  failTooMany,
  failUnknown,
} from "./xml-failures.ts";
import { nextData, readEnum, readString, readUint, readUint64, UINT32_MAX } from "./xml-leaf.ts";
import type { XmlReader } from "./xml-reader.ts";

export const SERVICES: readonly [OffloadService, ...OffloadService[]] = [
  "unspecified",
  "nat",
  "lb",
  "firewall",
];
export const DIRECTIONS: readonly [Directions, ...Directions[]] = [
  "unspecified",
  "both",
  "original-only",
];
export const RULE_TEXT_MAX = 64;
const VERSION_DEFAULT = 1n;

/** What else a list of flows carries in each entry. */
export interface FlowExtras {
  /** Reads the element opened last; returns false when it is none of the extras. */
  read(local: string): boolean;
}

/** Reads one flow; the element of the list entry is open, and is closed. */
export function decodeFlow(reader: XmlReader, extras?: FlowExtras): OffloadFlow {
  const flow: Collecting<OffloadFlow> = {};
  const rules: FlowRule[] = [];
  for (let local = nextData(reader); local !== undefined; local = nextData(reader)) {
    if (local === "rule") {
      rules.push(decodeRule(reader));
      if (rules.length > RULES_PER_FLOW_MAX) failTooMany(reader, "rule", RULES_PER_FLOW_MAX);
    } else if (!readFlowChild(reader, local, flow) && extras?.read(local) !== true) {
      failUnknown(reader, local);
    }
  }
  checkRuleKeys(reader, rules);
  return finishFlow(reader, flow, rules);
}

function readFlowChild(reader: XmlReader, local: string, flow: Collecting<OffloadFlow>): boolean {
  switch (local) {
    case "flow-id":
      reader.once(flow.flowId);
      flow.flowId = readUint64(reader);
      reader.setKey(`[flow-id='${flow.flowId}']`);
      return true;
    case "service":
      reader.once(flow.service);
      flow.service = readEnum(reader, SERVICES);
      return true;
    case "policy-tag":
      reader.once(flow.policyTag);
      flow.policyTag = readUint(reader, UINT32_MAX);
      return true;
    case "policy-epoch":
      reader.once(flow.policyEpoch);
      flow.policyEpoch = readUint64(reader);
      return true;
    case "directions":
      reader.once(flow.directions);
      flow.directions = readEnum(reader, DIRECTIONS);
      return true;
    case "original":
      reader.once(flow.original);
      flow.original = decodeDirection(reader);
      return true;
    case "reply":
      reader.once(flow.reply);
      flow.reply = decodeDirection(reader);
      return true;
    case "idle-timeout":
      reader.once(flow.idleTimeoutMs);
      flow.idleTimeoutMs = readUint(reader, UINT32_MAX);
      return true;
    case "version":
      reader.once(flow.version);
      flow.version = readUint64(reader);
      return true;
    default:
      return false;
  }
}

function finishFlow(
  reader: XmlReader,
  flow: Collecting<OffloadFlow>,
  rules: readonly FlowRule[],
): OffloadFlow {
  const { directions, reply } = flow;
  if (flow.flowId === undefined) failMissing(reader, "flow-id");
  if (flow.service === undefined) failMissing(reader, "service");
  if (flow.policyTag === undefined) failMissing(reader, "policy-tag");
  if (flow.policyEpoch === undefined) failMissing(reader, "policy-epoch");
  if (directions === undefined) failMissing(reader, "directions");
  if (flow.original === undefined) failMissing(reader, "original");
  if (flow.idleTimeoutMs === undefined) failMissing(reader, "idle-timeout");
  if (directions === "both" && reply === undefined) {
    failMust(reader, "'reply' is missing though 'directions' is 'both'");
  }
  if (directions === "original-only" && reply !== undefined) {
    failMust(reader, "'reply' is present though 'directions' is 'original-only'");
  }
  flow.rules = rules;
  flow.version ??= VERSION_DEFAULT;
  return flow as OffloadFlow; // Complete, or a failure is kept and nobody looks.
}

function decodeRule(reader: XmlReader): FlowRule {
  const rule: Collecting<FlowRule> = {};
  for (let local = nextData(reader); local !== undefined; local = nextData(reader)) {
    if (local === "attachment") {
      reader.once(rule.attachment);
      rule.attachment = readString(reader, 1, RULE_TEXT_MAX);
    } else if (local === "direction") {
      reader.once(rule.direction);
      rule.direction = readEnum<"ingress" | "egress">(reader, ["ingress", "egress"]);
    } else if (local === "name") {
      reader.once(rule.name);
      rule.name = readString(reader, 1, RULE_TEXT_MAX);
    } else failUnknown(reader, local);
  }
  if (rule.attachment === undefined) failMissing(reader, "attachment");
  if (rule.direction === undefined) failMissing(reader, "direction");
  if (rule.name === undefined) failMissing(reader, "name");
  return rule as FlowRule; // As above.
}

function checkRuleKeys(reader: XmlReader, rules: readonly FlowRule[]): void {
  if (rules.length < 2) return;
  const keys = new Set(rules.map((rule) => `${rule.direction} ${rule.attachment}`));
  if (keys.size < rules.length) failDuplicateKey(reader, "rule");
}
