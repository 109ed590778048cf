/**
 * The flows that the isolation claim asks for: one shape from inside to outside, one back.
 *
 * Pure.
 *   out  (source, server) => (newSource, server)                  from the inner segment to the outer
 *   in   (stranger, destination) => (stranger, newDestination)    from the outer segment to the inner
 */
import type { AddressFamily, IpAddress, MacAddress } from "../../lib/inet/address.ts";
import type { FlowDirection, OffloadFlow } from "../../offload-protocol/messages.ts";
import { PROBE_ADDRESSES, PROBE_MACS } from "./isolation-lab.ts";

export const UDP = 17;
/** The service on the server that clients ask. */
const SERVER_PORT = 7;
const MTU_BYTES = 1500;
const IDLE_TIMEOUT_MS = 60_000;

/** What a case may change. `inner` and `outer` are the ends of the translation that is made. */
export interface FlowValues {
  readonly vnic: MacAddress;
  readonly egressVnic: MacAddress;
  readonly nextHop: MacAddress;
  readonly replyVnic: MacAddress;
  readonly replyEgressVnic: MacAddress;
  readonly replyNextHop: MacAddress;
  /** The tenant's end: source of `out`, new destination of `in`. */
  readonly innerAddress: IpAddress;
  readonly innerPort: number;
  /** What the outside sees: new source of `out`, destination of `in`. */
  readonly outerAddress: IpAddress;
  readonly outerPort: number;
  /** Whom the tenant talks to: the server of `out`, the stranger of `in`. */
  readonly peerAddress: IpAddress;
  readonly peerPort: number;
}

export type FlowShape = "out" | "in";

/** Returns the values that both tenants are entitled to; `index` keeps the ports of flows apart. */
export function plainValues(
  shape: FlowShape,
  index: number,
  family: AddressFamily = 4,
): FlowValues {
  const addresses = PROBE_ADDRESSES[family];
  const { vnicInside, vnicOutside, client, server } = PROBE_MACS;
  const there = { vnic: vnicInside, egressVnic: vnicOutside, nextHop: server };
  const back = { vnic: vnicOutside, egressVnic: vnicInside, nextHop: client };
  const [first, second] = shape === "out" ? [there, back] : [back, there];
  return {
    ...first,
    replyVnic: second.vnic,
    replyEgressVnic: second.egressVnic,
    replyNextHop: second.nextHop,
    innerAddress: addresses.client,
    innerPort: 20_000 + index,
    outerAddress: addresses.pool,
    outerPort: 30_000 + index,
    peerAddress: shape === "out" ? addresses.server : addresses.stranger,
    peerPort: shape === "out" ? SERVER_PORT : 50_000 + index,
  };
}

/** Returns the flow; `hasReply` asks for both directions. */
export function makeFlow(
  flowId: bigint,
  shape: FlowShape,
  values: FlowValues,
  options: { readonly hasReply: boolean; readonly policyTag?: number },
): OffloadFlow {
  const original = shape === "out" ? originalOut(values) : originalIn(values);
  const reply = invert(original, values);
  return {
    flowId,
    service: "nat",
    rules: [],
    policyTag: options.policyTag ?? 1,
    policyEpoch: 1n,
    directions: options.hasReply ? "both" : "original-only",
    original,
    ...(options.hasReply ? { reply } : {}),
    idleTimeoutMs: IDLE_TIMEOUT_MS,
    version: 1n,
  };
}

function originalOut(values: FlowValues): FlowDirection {
  return {
    match: {
      vnic: values.vnic,
      protocol: UDP,
      sourceAddress: values.innerAddress,
      destinationAddress: values.peerAddress,
      sourcePort: values.innerPort,
      destinationPort: values.peerPort,
    },
    rewrite: { sourceAddress: values.outerAddress, sourcePort: values.outerPort },
    egress: { vnic: values.egressVnic, nextHop: values.nextHop, mtuBytes: MTU_BYTES },
  };
}

function originalIn(values: FlowValues): FlowDirection {
  return {
    match: {
      vnic: values.vnic,
      protocol: UDP,
      sourceAddress: values.peerAddress,
      destinationAddress: values.outerAddress,
      sourcePort: values.peerPort,
      destinationPort: values.outerPort,
    },
    rewrite: { destinationAddress: values.innerAddress, destinationPort: values.innerPort },
    egress: { vnic: values.egressVnic, nextHop: values.nextHop, mtuBytes: MTU_BYTES },
  };
}

/** Returns what undoes a direction. */
function invert({ match, rewrite }: FlowDirection, values: FlowValues): FlowDirection {
  const changesSource = rewrite.sourceAddress !== undefined;
  return {
    match: {
      vnic: values.replyVnic,
      protocol: UDP,
      sourceAddress: rewrite.destinationAddress ?? match.destinationAddress,
      destinationAddress: rewrite.sourceAddress ?? match.sourceAddress,
      sourcePort: rewrite.destinationPort ?? match.destinationPort,
      destinationPort: rewrite.sourcePort ?? match.sourcePort,
    },
    rewrite: changesSource
      ? { destinationAddress: match.sourceAddress, destinationPort: match.sourcePort }
      : { sourceAddress: match.destinationAddress, sourcePort: match.destinationPort },
    egress: {
      vnic: values.replyEgressVnic,
      nextHop: values.replyNextHop,
      mtuBytes: MTU_BYTES,
    },
  };
}

/** Returns the directions that a flow asks for. */
export function listDirections(flow: OffloadFlow): readonly FlowDirection[] {
  return flow.reply === undefined ? [flow.original] : [flow.original, flow.reply];
}
