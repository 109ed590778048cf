/**
 * Flows and counters as XML text, built by concatenation: this runs for every flow.
 *
 * Pure. Source: yang/flowlift-offload.yang; list keys come first (RFC 7950 §7.8.5).
 */
import { escapeXml } from "../lib/xml/tree.ts";
import type {
  DirectionCounters,
  EgressUpdate,
  FlowCounters,
  FlowDirection,
  FlowRewrite,
  FlowRule,
  OffloadFlow,
} from "./messages.ts";

/** Returns the children of a list entry of flows. */
export function encodeFlow(flow: OffloadFlow): string {
  const reply = flow.reply === undefined ? "" : `<reply>${encodeDirection(flow.reply)}</reply>`;
  return (
    `<flow-id>${flow.flowId}</flow-id><service>${flow.service}</service>` +
    (flow.rules.length === 0 ? "" : flow.rules.map(encodeRule).join("")) +
    `<policy-tag>${flow.policyTag}</policy-tag><policy-epoch>${flow.policyEpoch}</policy-epoch>` +
    `<directions>${flow.directions}</directions>` +
    `<original>${encodeDirection(flow.original)}</original>${reply}` +
    `<idle-timeout>${flow.idleTimeoutMs}</idle-timeout><version>${flow.version}</version>`
  );
}

function encodeRule(rule: FlowRule): string {
  return (
    `<rule><attachment>${escapeXml(rule.attachment)}</attachment>` +
    `<direction>${rule.direction}</direction><name>${escapeXml(rule.name)}</name></rule>`
  );
}

/** Returns how many bytes the rules of a flow take. */
export function xmlRulesBytes(rules: readonly FlowRule[]): number {
  return rules.reduce((bytes, rule) => bytes + Buffer.byteLength(encodeRule(rule)), 0);
}

function encodeDirection({ match, rewrite, egress }: FlowDirection): string {
  return (
    `<match><vnic>${match.vnic}</vnic><protocol>${match.protocol}</protocol>` +
    `<source-address>${match.sourceAddress}</source-address>` +
    `<destination-address>${match.destinationAddress}</destination-address>` +
    `<source-port>${match.sourcePort}</source-port>` +
    `<destination-port>${match.destinationPort}</destination-port></match>` +
    encodeRewrite(rewrite) +
    `<egress><vnic>${egress.vnic}</vnic><next-hop>${egress.nextHop}</next-hop>` +
    `<mtu>${egress.mtuBytes}</mtu></egress>`
  );
}

function encodeRewrite(rewrite: FlowRewrite): string {
  const { sourceAddress, destinationAddress, sourcePort, destinationPort } = rewrite;
  let text = "";
  if (sourceAddress !== undefined) text += `<source-address>${sourceAddress}</source-address>`;
  if (destinationAddress !== undefined) {
    text += `<destination-address>${destinationAddress}</destination-address>`;
  }
  if (sourcePort !== undefined) text += `<source-port>${sourcePort}</source-port>`;
  if (destinationPort !== undefined) {
    text += `<destination-port>${destinationPort}</destination-port>`;
  }
  return text === "" ? "" : `<rewrite>${text}</rewrite>`;
}

/** Returns the nodes of the grouping `both-counters`. */
export function encodeCounters(counters: FlowCounters): string {
  return (
    `<original-counters>${encodeDirectionCounters(counters.original)}</original-counters>` +
    `<reply-counters>${encodeDirectionCounters(counters.reply)}</reply-counters>` +
    `<last-used-milliseconds-ago>${counters.lastUsedMsAgo}</last-used-milliseconds-ago>`
  );
}

function encodeDirectionCounters(counters: DirectionCounters): string {
  return (
    `<fast-packets>${counters.fastPackets}</fast-packets>` +
    `<fast-bytes>${counters.fastBytes}</fast-bytes>` +
    `<passed-packets>${counters.passedPackets}</passed-packets>` +
    `<passed-bytes>${counters.passedBytes}</passed-bytes>`
  );
}

/** Returns an egress of `update-offload` under its element's name. */
export function encodeEgressUpdate(name: string, update: EgressUpdate | undefined): string {
  if (update === undefined) return "";
  const nextHop = update.nextHop === undefined ? "" : `<next-hop>${update.nextHop}</next-hop>`;
  const mtu = update.mtuBytes === undefined ? "" : `<mtu>${update.mtuBytes}</mtu>`;
  return `<${name}>${nextHop}${mtu}</${name}>`;
}
