/**
 * Flows from CBOR: the groupings `flow` and `direction`.
 *
 * Pure but for a memory of earlier texts. Source: yang/flowlift-offload.yang, cbor-sids.ts. Keys may come in
 * any order, each once. What the module does not allow is thrown as CBOR_REFUSED.
 */
import type { IpAddress, MacAddress } from "../lib/inet/address.ts";
import { once, readAddress, readMac, readMtu } from "./cbor-leaf.ts";
import type { CborReader } from "./cbor-reader.ts";
import { DIRECTION, EGRESS, FLOW, MATCH, REWRITE, RULE } from "./cbor-sids.ts";
import { DIRECTIONS, RULE_TEXT_MAX, SERVICES } from "./decode-flow.ts";
import {
  type Directions,
  type FlowDirection,
  type FlowEgress,
  type FlowMatch,
  type FlowRewrite,
  type FlowRule,
  type OffloadFlow,
  type OffloadService,
  RULES_PER_FLOW_MAX,
} from "./messages.ts";
import { UINT8_MAX, UINT16_MAX, UINT32_MAX } from "./xml-leaf.ts";

const NO_RULES: readonly FlowRule[] = [];
const NO_REWRITE: FlowRewrite = {};
const VERSION_DEFAULT = 1n;
const NO_ADDRESS = "" as IpAddress;
const NO_MAC = "" as MacAddress;
/** Rules that came last, and their bytes: flows of one policy have the same ones. */
const lastRules: { bytes: Buffer; rules: readonly FlowRule[] } = {
  bytes: Buffer.alloc(0),
  rules: NO_RULES,
};

/** What else a list of flows carries in each entry. */
export interface FlowPairs {
  /** Reads the value of a key; returns false when it is none of the extras. */
  read(key: number): boolean;
}

const FLOW_NEEDED: number =
  (1 << FLOW.flowId) |
  (1 << FLOW.service) |
  (1 << FLOW.policyTag) |
  (1 << FLOW.policyEpoch) |
  (1 << FLOW.directions) |
  (1 << FLOW.idleTimeout) |
  (1 << FLOW.original);

/** Reads an entry of a list of flows. */
export function readFlow(reader: CborReader, extras?: FlowPairs): OffloadFlow {
  let seen = 0;
  let flowId = 0n;
  let service: OffloadService = "unspecified";
  let rules = NO_RULES;
  let policyTag = 0;
  let policyEpoch = 0n;
  let directions: Directions = "unspecified";
  let original: FlowDirection | undefined;
  let reply: FlowDirection | undefined;
  let idleTimeoutMs = 0;
  let version = VERSION_DEFAULT;
  for (let pairs = reader.map(); pairs > 0; pairs--) {
    const key = reader.key();
    seen = once(reader, seen, key);
    switch (key) {
      case FLOW.flowId:
        flowId = reader.uint64();
        break;
      case FLOW.service:
        service = reader.enumeration(SERVICES);
        break;
      case FLOW.rule:
        rules = readRules(reader);
        break;
      case FLOW.policyTag:
        policyTag = reader.uint(UINT32_MAX);
        break;
      case FLOW.policyEpoch:
        policyEpoch = reader.uint64();
        break;
      case FLOW.directions:
        directions = reader.enumeration(DIRECTIONS);
        break;
      case FLOW.idleTimeout:
        idleTimeoutMs = reader.uint(UINT32_MAX);
        break;
      case FLOW.version:
        version = reader.uint64();
        break;
      case FLOW.original:
        original = readDirection(reader);
        break;
      case FLOW.reply:
        reply = readDirection(reader);
        break;
      default:
        if (extras?.read(key) !== true) reader.refuse();
    }
  }
  if ((seen & FLOW_NEEDED) !== FLOW_NEEDED || original === undefined) return reader.refuse();
  if (directions !== "unspecified" && (directions === "both") !== (reply !== undefined)) {
    reader.refuse();
  }
  const head = { flowId, service, rules, policyTag, policyEpoch, directions };
  return reply === undefined
    ? { ...head, original, idleTimeoutMs, version }
    : { ...head, original, idleTimeoutMs, version, reply };
}

function readRules(reader: CborReader): readonly FlowRule[] {
  const { bytes } = lastRules;
  const start = reader.at;
  if (bytes.length > 0 && isAt(reader.bytes, start, bytes)) {
    reader.at = start + bytes.length;
    return lastRules.rules;
  }
  const count = reader.array();
  if (count > RULES_PER_FLOW_MAX) reader.refuse();
  const rules: FlowRule[] = [];
  for (let index = 0; index < count; index++) rules.push(readRule(reader));
  if (
    count > 1 &&
    new Set(rules.map((rule) => `${rule.direction} ${rule.attachment}`)).size < count
  ) {
    reader.refuse();
  }
  lastRules.bytes = Buffer.from(reader.bytes.subarray(start, reader.at));
  lastRules.rules = rules;
  return rules;
}

function isAt(bytes: Buffer, start: number, expected: Buffer): boolean {
  const { length } = expected;
  if (start + length > bytes.length) return false;
  for (let index = 0; index < length; index++) {
    if (bytes[start + index] !== expected[index]) return false;
  }
  return true;
}

function readRule(reader: CborReader): FlowRule {
  let seen = 0;
  let attachment = "";
  let direction: FlowRule["direction"] = "ingress";
  let name = "";
  for (let pairs = reader.map(); pairs > 0; pairs--) {
    const key = reader.key();
    seen = once(reader, seen, key);
    if (key === RULE.attachment) attachment = readRuleText(reader);
    else if (key === RULE.direction) direction = reader.enumeration(["ingress", "egress"] as const);
    else if (key === RULE.name) name = readRuleText(reader);
    else reader.refuse();
  }
  if (attachment === "" || name === "" || (seen & (1 << RULE.direction)) === 0) reader.refuse();
  return { attachment, direction, name };
}

function readRuleText(reader: CborReader): string {
  const text = reader.text();
  const count = text.length <= RULE_TEXT_MAX ? text.length : Array.from(text).length;
  if (count < 1 || count > RULE_TEXT_MAX) reader.refuse();
  return text;
}

function readDirection(reader: CborReader): FlowDirection {
  let seen = 0;
  let match: FlowMatch | undefined;
  let rewrite = NO_REWRITE;
  let egress: FlowEgress | undefined;
  for (let pairs = reader.map(); pairs > 0; pairs--) {
    const key = reader.key();
    seen = once(reader, seen, key);
    if (key === DIRECTION.match) match = readMatch(reader);
    else if (key === DIRECTION.rewrite) rewrite = readRewrite(reader);
    else if (key === DIRECTION.egress) egress = readEgress(reader);
    else reader.refuse();
  }
  if (match === undefined || egress === undefined) return reader.refuse();
  return { match, rewrite, egress };
}

function readMatch(reader: CborReader): FlowMatch {
  let seen = 0;
  let vnic = NO_MAC;
  let protocol = 0;
  let sourceAddress = NO_ADDRESS;
  let destinationAddress = NO_ADDRESS;
  let sourcePort = 0;
  let destinationPort = 0;
  // All six are mandatory, and none may come twice.
  if (reader.map() !== 6) reader.refuse();
  for (let pairs = 6; pairs > 0; pairs--) {
    const key = reader.key();
    seen = once(reader, seen, key);
    if (key === MATCH.vnic) vnic = readMac(reader);
    else if (key === MATCH.protocol) protocol = reader.uint(UINT8_MAX);
    else if (key === MATCH.sourceAddress) sourceAddress = readAddress(reader);
    else if (key === MATCH.destinationAddress) destinationAddress = readAddress(reader);
    else if (key === MATCH.sourcePort) sourcePort = reader.uint(UINT16_MAX);
    else if (key === MATCH.destinationPort) destinationPort = reader.uint(UINT16_MAX);
    else reader.refuse();
  }
  return { vnic, protocol, sourceAddress, destinationAddress, sourcePort, destinationPort };
}

function readRewrite(reader: CborReader): FlowRewrite {
  const rewrite: { -readonly [K in keyof FlowRewrite]: FlowRewrite[K] } = {};
  let seen = 0;
  for (let pairs = reader.map(); pairs > 0; pairs--) {
    const key = reader.key();
    seen = once(reader, seen, key);
    if (key === REWRITE.sourceAddress) rewrite.sourceAddress = readAddress(reader);
    else if (key === REWRITE.destinationAddress) rewrite.destinationAddress = readAddress(reader);
    else if (key === REWRITE.sourcePort) rewrite.sourcePort = reader.uint(UINT16_MAX);
    else if (key === REWRITE.destinationPort) rewrite.destinationPort = reader.uint(UINT16_MAX);
    else reader.refuse();
  }
  return rewrite;
}

function readEgress(reader: CborReader): FlowEgress {
  let seen = 0;
  let vnic = NO_MAC;
  let nextHop = NO_MAC;
  let mtuBytes = 0;
  if (reader.map() !== 3) reader.refuse();
  for (let pairs = 3; pairs > 0; pairs--) {
    const key = reader.key();
    seen = once(reader, seen, key);
    if (key === EGRESS.vnic) vnic = readMac(reader);
    else if (key === EGRESS.nextHop) nextHop = readMac(reader);
    else if (key === EGRESS.mtu) mtuBytes = readMtu(reader);
    else reader.refuse();
  }
  return { vnic, nextHop, mtuBytes };
}
