/**
 * The journal's frequent lines, a flow and its activation, as arrays in place of objects.
 *
 * Pure: values ⇄ JSON lines. Built by concatenation: this runs for every flow.
 *
 *   ["granted" | "changed", vm, epoch, handle, generation, active, port, port back | null,
 *    flow-id, service, rules, tag, policy epoch, directions, timeout, version, original, reply | null]
 *   direction: [vnic, protocol, source, destination, ports, new source | null, new destination | null,
 *    new ports | null, egress vnic, next hop, mtu]
 *   ["activated", vm, handle, timeout, sequence, epoch, flow-id, directions]
 */
import type { IpAddress, MacAddress } from "../lib/inet/address.ts";
import type {
  Directions,
  Epoch,
  FlowDirection,
  FlowEvent,
  FlowRewrite,
  FlowRule,
  OffloadService,
} from "../offload-protocol/messages.ts";
import type { JournalFlow, JournalRecord } from "./journal-record.ts";

type Service = OffloadService;

/** Returns the line of a flow, without its end. */
export function encodeShortFlow(
  kind: "granted" | "changed",
  { vmKey, epoch, handle, generation, isActive, egressPortIds, flow }: JournalFlow,
): string {
  const reply = flow.reply === undefined ? "null" : encodeDirection(flow.reply);
  return (
    `["${kind}",${JSON.stringify(vmKey)},"${epoch}",${handle},${generation},${isActive},` +
    `${egressPortIds[0]},${egressPortIds[1] ?? null},"${flow.flowId}","${flow.service}",` +
    `${encodeRules(flow.rules)},${flow.policyTag},"${flow.policyEpoch}","${flow.directions}",` +
    `${flow.idleTimeoutMs},"${flow.version}",${encodeDirection(flow.original)},${reply}]`
  );
}

function encodeRules(rules: readonly FlowRule[]): string {
  return rules.length === 0 ? "[]" : JSON.stringify(rules);
}

function encodeDirection({ match, rewrite, egress }: FlowDirection): string {
  return (
    `["${match.vnic}",${match.protocol},"${match.sourceAddress}","${match.destinationAddress}",` +
    `${match.sourcePort},${match.destinationPort},${quote(rewrite.sourceAddress)},` +
    `${quote(rewrite.destinationAddress)},${rewrite.sourcePort ?? null},` +
    `${rewrite.destinationPort ?? null},"${egress.vnic}","${egress.nextHop}",${egress.mtuBytes}]`
  );
}

function quote(address: IpAddress | undefined): string {
  return address === undefined ? "null" : `"${address}"`;
}

/** Returns the line of an activation, without its end. */
export function encodeShortActivated(activated: {
  readonly vmKey: string;
  readonly handle: number;
  readonly idleTimeoutMs: number;
  readonly event: FlowEvent;
  readonly directions: Directions;
}): string {
  const { vmKey, handle, idleTimeoutMs, event, directions } = activated;
  return (
    `["activated",${JSON.stringify(vmKey)},${handle},${idleTimeoutMs},"${event.sequence}",` +
    `"${event.epoch}","${event.flowId}","${directions}"]`
  );
}

type FlowLine = readonly [
  "granted" | "changed",
  string,
  Epoch,
  number,
  number,
  boolean,
  number,
  number | null,
  string,
  Service,
  readonly FlowRule[],
  number,
  string,
  Directions,
  number,
  string,
  DirectionLine,
  DirectionLine | null,
];
type ActivatedLine = readonly [
  "activated",
  string,
  number,
  number,
  string,
  Epoch,
  string,
  Directions,
];
type DirectionLine = readonly [
  MacAddress,
  number,
  IpAddress,
  IpAddress,
  number,
  number,
  IpAddress | null,
  IpAddress | null,
  number | null,
  number | null,
  MacAddress,
  MacAddress,
  number,
];

/** Returns what the parsed line says, or undefined when it is none of ours; may throw on nonsense. */
export function decodeShortLine(line: readonly unknown[]): JournalRecord | undefined {
  if (line[0] === "activated") return decodeActivated(line as ActivatedLine);
  if (line[0] !== "granted" && line[0] !== "changed") return undefined;
  return { kind: line[0], flow: decodeFlowLine(line as unknown as FlowLine) };
}

function decodeActivated(line: ActivatedLine): JournalRecord {
  const [, vmKey, handle, idleTimeoutMs, sequence, epoch, flowId, directions] = line;
  const event: FlowEvent = {
    sequence: BigInt(sequence),
    epoch,
    flowId: BigInt(flowId),
    what: { kind: "activated", directions },
  };
  return { kind: "event", vmKey, handle, idleTimeoutMs, event };
}

function decodeFlowLine(line: FlowLine): JournalFlow {
  const [, vmKey, epoch, handle, generation, isActive, port, portBack, flowId, service] = line;
  const [rules, policyTag, policyEpoch, directions, idleTimeoutMs, version] = line.slice(
    10,
  ) as unknown as readonly [readonly FlowRule[], number, string, Directions, number, string];
  const reply = line[17];
  return {
    vmKey,
    epoch,
    handle,
    generation,
    isActive,
    egressPortIds: [port, portBack ?? undefined],
    flow: {
      flowId: BigInt(flowId),
      service,
      rules,
      policyTag,
      policyEpoch: BigInt(policyEpoch),
      directions,
      idleTimeoutMs,
      version: BigInt(version),
      original: decodeDirectionLine(line[16]),
      ...(reply === null ? {} : { reply: decodeDirectionLine(reply) }),
    },
  };
}

function decodeDirectionLine(line: DirectionLine): FlowDirection {
  const [vnic, protocol, sourceAddress, destinationAddress, sourcePort, destinationPort] = line;
  const rewrite: FlowRewrite = {
    ...(line[6] === null ? {} : { sourceAddress: line[6] }),
    ...(line[7] === null ? {} : { destinationAddress: line[7] }),
    ...(line[8] === null ? {} : { sourcePort: line[8] }),
    ...(line[9] === null ? {} : { destinationPort: line[9] }),
  };
  return {
    match: { vnic, protocol, sourceAddress, destinationAddress, sourcePort, destinationPort },
    rewrite,
    egress: { vnic: line[10], nextHop: line[11], mtuBytes: line[12] },
  };
}
