/**
 * Nodes of groupings in the schema tree, and the words that make them.
 *
 * Pure: constants made from cbor-sids.ts.
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
import { DIRECTIONS, SERVICES } from "./decode-flow.ts";

/** A node below its parent. */
export interface SchemaNode {
  readonly name: string;
  /** By delta to this node; absent for a leaf. */
  readonly children?: SchemaChildren;
  /** Names of an enumeration's values 0, 1, 2, … */
  readonly names?: readonly string[];
  /** Where an RPC's node belongs. */
  readonly part?: "output";
}

export type SchemaChildren = ReadonlyMap<number, SchemaNode>;

export function nodes(...pairs: readonly (readonly [number, SchemaNode])[]): SchemaChildren {
  return new Map(pairs);
}

export function leaf(name: string, names?: readonly string[]): SchemaNode {
  return names === undefined ? { name } : { name, names };
}

export function output(node: SchemaNode): SchemaNode {
  return { ...node, part: "output" };
}

const counters = nodes(
  [COUNTERS.fastPackets, leaf("fast-packets")],
  [COUNTERS.fastBytes, leaf("fast-bytes")],
  [COUNTERS.passedPackets, leaf("passed-packets")],
  [COUNTERS.passedBytes, leaf("passed-bytes")],
);

export function bothCounters(base: number): readonly (readonly [number, SchemaNode])[] {
  return [
    [base + BOTH_COUNTERS.original, { name: "original-counters", children: counters }],
    [base + BOTH_COUNTERS.reply, { name: "reply-counters", children: counters }],
    [base + BOTH_COUNTERS.lastUsed, leaf("last-used-milliseconds-ago")],
  ];
}

const direction = nodes(
  [
    DIRECTION.match,
    {
      name: "match",
      children: nodes(
        [MATCH.vnic, leaf("vnic")],
        [MATCH.protocol, leaf("protocol")],
        [MATCH.sourceAddress, leaf("source-address")],
        [MATCH.destinationAddress, leaf("destination-address")],
        [MATCH.sourcePort, leaf("source-port")],
        [MATCH.destinationPort, leaf("destination-port")],
      ),
    },
  ],
  [
    DIRECTION.rewrite,
    {
      name: "rewrite",
      children: nodes(
        [REWRITE.sourceAddress, leaf("source-address")],
        [REWRITE.destinationAddress, leaf("destination-address")],
        [REWRITE.sourcePort, leaf("source-port")],
        [REWRITE.destinationPort, leaf("destination-port")],
      ),
    },
  ],
  [
    DIRECTION.egress,
    {
      name: "egress",
      children: nodes(
        [EGRESS.vnic, leaf("vnic")],
        [EGRESS.nextHop, leaf("next-hop")],
        [EGRESS.mtu, leaf("mtu")],
      ),
    },
  ],
);

export const flow: readonly (readonly [number, SchemaNode])[] = [
  [FLOW.flowId, leaf("flow-id")],
  [FLOW.service, leaf("service", SERVICES)],
  [
    FLOW.rule,
    {
      name: "rule",
      children: nodes(
        [RULE.attachment, leaf("attachment")],
        [RULE.direction, leaf("direction", ["ingress", "egress"])],
        [RULE.name, leaf("name")],
      ),
    },
  ],
  [FLOW.policyTag, leaf("policy-tag")],
  [FLOW.policyEpoch, leaf("policy-epoch")],
  [FLOW.directions, leaf("directions", DIRECTIONS)],
  [FLOW.idleTimeout, leaf("idle-timeout")],
  [FLOW.version, leaf("version")],
  [FLOW.original, { name: "original", children: direction }],
  [FLOW.reply, { name: "reply", children: direction }],
];

export const egressUpdate: SchemaChildren = nodes(
  [EGRESS_UPDATE.nextHop, leaf("next-hop")],
  [EGRESS_UPDATE.mtu, leaf("mtu")],
);
