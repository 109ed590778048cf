/**
 * Flows and counters to CBOR: the groupings `flow`, `direction` and `both-counters`.
 *
 * Pure. Source: yang/flowlift-offload.yang, cbor-sids.ts. Keys are written in the order of their numbers.
 */
import {
  BOTH_COUNTERS,
  COUNTERS,
  DIRECTION,
  EGRESS,
  EGRESS_UPDATE,
  FLOW,
  MATCH,
  REWRITE,
  RULE,
} from "./cbor-sids.ts";
import type { CborWriter } from "./cbor-writer.ts";
import { DIRECTIONS, SERVICES } from "./decode-flow.ts";
import type {
  DirectionCounters,
  EgressUpdate,
  FlowCounters,
  FlowDirection,
  FlowRewrite,
  FlowRule,
  OffloadFlow,
} from "./messages.ts";

/** More than a flow without rules takes, and than counters with what stands around them. */
export const FLOW_BYTES_MAX = 768;
/** More than a rule takes beside its texts. */
const RULE_BYTES_MAX = 32;
/** Of a text in UTF-8, for each UTF-16 unit. */
const UTF8_PER_UNIT_MAX = 3;

/** Returns how many bytes the rules of a flow take at most. */
export function rulesBytesMax(rules: readonly FlowRule[]): number {
  let bytes = 0;
  for (const { attachment, name } of rules) {
    bytes += RULE_BYTES_MAX + UTF8_PER_UNIT_MAX * (attachment.length + name.length);
  }
  return bytes;
}

/** Writes the pairs of a list entry; the map's head, which counts them, was written. */
export function writeFlow(writer: CborWriter, flow: OffloadFlow): void {
  writer.reserve(FLOW_BYTES_MAX + rulesBytesMax(flow.rules));
  writer.keyUint64(FLOW.flowId, flow.flowId);
  writer.keyUint(FLOW.service, SERVICES.indexOf(flow.service));
  if (flow.rules.length > 0) writeRules(writer, flow.rules);
  writer.keyUint(FLOW.policyTag, flow.policyTag);
  writer.keyUint64(FLOW.policyEpoch, flow.policyEpoch);
  writer.keyUint(FLOW.directions, DIRECTIONS.indexOf(flow.directions));
  writer.keyUint(FLOW.idleTimeout, flow.idleTimeoutMs);
  writer.keyUint64(FLOW.version, flow.version);
  writer.key(FLOW.original);
  writeDirection(writer, flow.original);
  if (flow.reply === undefined) return;
  writer.key(FLOW.reply);
  writeDirection(writer, flow.reply);
}

/** Returns how many pairs `writeFlow` writes. */
export function flowPairs(flow: OffloadFlow): number {
  return 8 + (flow.rules.length > 0 ? 1 : 0) + (flow.reply === undefined ? 0 : 1);
}

function writeRules(writer: CborWriter, rules: readonly FlowRule[]): void {
  writer.key(FLOW.rule);
  writer.array(rules.length);
  for (const { attachment, direction, name } of rules) {
    writer.map(3);
    writer.keyText(RULE.attachment, attachment);
    writer.keyUint(RULE.direction, direction === "ingress" ? 0 : 1);
    writer.keyText(RULE.name, name);
  }
}

function writeDirection(writer: CborWriter, { match, rewrite, egress }: FlowDirection): void {
  const changes = countChanges(rewrite);
  writer.map(changes > 0 ? 3 : 2);
  writer.key(DIRECTION.match);
  writer.map(6);
  writer.keyText(MATCH.vnic, match.vnic);
  writer.keyUint(MATCH.protocol, match.protocol);
  writer.keyText(MATCH.sourceAddress, match.sourceAddress);
  writer.keyText(MATCH.destinationAddress, match.destinationAddress);
  writer.keyUint(MATCH.sourcePort, match.sourcePort);
  writer.keyUint(MATCH.destinationPort, match.destinationPort);
  if (changes > 0) {
    writer.key(DIRECTION.rewrite);
    writer.map(changes);
    writeRewrite(writer, rewrite);
  }
  writer.key(DIRECTION.egress);
  writer.map(3);
  writer.keyText(EGRESS.vnic, egress.vnic);
  writer.keyText(EGRESS.nextHop, egress.nextHop);
  writer.keyUint(EGRESS.mtu, egress.mtuBytes);
}

function countChanges(rewrite: FlowRewrite): number {
  return (
    (rewrite.sourceAddress === undefined ? 0 : 1) +
    (rewrite.destinationAddress === undefined ? 0 : 1) +
    (rewrite.sourcePort === undefined ? 0 : 1) +
    (rewrite.destinationPort === undefined ? 0 : 1)
  );
}

function writeRewrite(writer: CborWriter, rewrite: FlowRewrite): void {
  const { sourceAddress, destinationAddress, sourcePort, destinationPort } = rewrite;
  if (sourceAddress !== undefined) writer.keyText(REWRITE.sourceAddress, sourceAddress);
  if (destinationAddress !== undefined) {
    writer.keyText(REWRITE.destinationAddress, destinationAddress);
  }
  if (sourcePort !== undefined) writer.keyUint(REWRITE.sourcePort, sourcePort);
  if (destinationPort !== undefined) writer.keyUint(REWRITE.destinationPort, destinationPort);
}

/** Pairs that `writeCounters` writes. */
export const COUNTERS_PAIRS = 3;

/** Writes the grouping `both-counters`, whose first node has the delta `base`. */
export function writeCounters(writer: CborWriter, base: number, counters: FlowCounters): void {
  writer.key(base + BOTH_COUNTERS.original);
  writeDirectionCounters(writer, counters.original);
  writer.key(base + BOTH_COUNTERS.reply);
  writeDirectionCounters(writer, counters.reply);
  writer.keyUint64(base + BOTH_COUNTERS.lastUsed, counters.lastUsedMsAgo);
}

function writeDirectionCounters(writer: CborWriter, counters: DirectionCounters): void {
  writer.map(4);
  writer.keyUint64(COUNTERS.fastPackets, counters.fastPackets);
  writer.keyUint64(COUNTERS.fastBytes, counters.fastBytes);
  writer.keyUint64(COUNTERS.passedPackets, counters.passedPackets);
  writer.keyUint64(COUNTERS.passedBytes, counters.passedBytes);
}

/** Writes what `update-offload` changes of an egress. */
export function writeEgressUpdate(writer: CborWriter, update: EgressUpdate): void {
  const { nextHop, mtuBytes } = update;
  writer.map((nextHop === undefined ? 0 : 1) + (mtuBytes === undefined ? 0 : 1));
  if (nextHop !== undefined) writer.keyText(EGRESS_UPDATE.nextHop, nextHop);
  if (mtuBytes !== undefined) writer.keyUint(EGRESS_UPDATE.mtu, mtuBytes);
}
