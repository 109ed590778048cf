/**
 * Decides whether a virtual machine may have a flow, and resolves the flow for the fast path.
 *
 * Pure. Default deny: a flow passes only if every field of both directions is the tenant's, or was the
 * packet's own on a transit segment. Quotas and duplicates are the flow table's to judge.
 * Source: docs/offload-binding.md, "What the controller checks, for every item".
 */
import type { DriverCapabilities, FastPathDirection } from "../fast-path/driver.ts";
import { err, ok, type Result } from "../lib/base/result.ts";
import { familyOf, type MacAddress } from "../lib/inet/address.ts";
import type { FlowDirection, OffloadFlow, RefusalReason } from "../offload-protocol/messages.ts";
import { authoriseAddresses, type ResolvedDirection } from "./authorise-addresses.ts";
import type { Quota, VirtualMachine, Vnic } from "./model.ts";
import { matchSame } from "./tuple-key.ts";

/** Why a flow is refused; `detail` explains it in the audit trail and is never sent to the VM. */
export interface Refusal {
  readonly reason: RefusalReason;
  readonly detail: string;
}

/** Returns the port that reaches a MAC address on a segment of the VM's host. */
export type LocatePort = (segmentId: number, mac: MacAddress) => number | undefined;

export interface AuthorisedFlow {
  /** Segments where the original and the reply leave. */
  readonly egressSegmentIds: readonly [number, number | undefined];
  readonly original: FastPathDirection;
  readonly reply?: FastPathDirection;
}

/** TCP and UDP. */
const PROTOCOLS: readonly number[] = [6, 17];

/** Returns the resolved flow, or why it is refused. */
export function authoriseFlow(
  flow: OffloadFlow,
  vm: VirtualMachine,
  locate: LocatePort,
  driver: DriverCapabilities,
): Result<AuthorisedFlow, Refusal> {
  const shape = checkShape(flow, vm.quota);
  if (shape !== undefined) return err(shape);
  const original = resolveVnics(flow.original, vm);
  if (!original.ok) return original;
  const reply = flow.reply === undefined ? undefined : resolveVnics(flow.reply, vm);
  if (reply !== undefined && !reply.ok) return reply;
  const problem =
    checkProtocol(flow, driver) ?? authoriseAddresses(vm.pools, original.value, reply?.value);
  if (problem !== undefined) return err(problem);
  const originalPort = locateNextHop(original.value, vm, locate);
  if (!originalPort.ok) return originalPort;
  const resolved = toFastPath(original.value, originalPort.value);
  const there = original.value.egress.segment.id;
  if (reply === undefined) return ok({ egressSegmentIds: [there, undefined], original: resolved });
  const replyPort = locateNextHop(reply.value, vm, locate);
  if (!replyPort.ok) return replyPort;
  const back = toFastPath(reply.value, replyPort.value);
  if (matchSame(back, resolved)) {
    return err(refuse("malformed", "both directions match the same packets"));
  }
  const egressSegmentIds = [there, reply.value.egress.segment.id] as const;
  return ok({ egressSegmentIds, original: resolved, reply: back });
}

/** Returns why an idle timeout is refused, if it is. Nothing is clamped. */
export function checkIdleTimeout(idleTimeoutMs: number, quota: Quota): Refusal | undefined {
  const isInRange =
    idleTimeoutMs > 0 &&
    idleTimeoutMs >= quota.idleTimeoutMinMs &&
    idleTimeoutMs <= quota.idleTimeoutMaxMs;
  if (isInRange) return undefined;
  const range = `${quota.idleTimeoutMinMs} to ${quota.idleTimeoutMaxMs} ms`;
  return refuse("idle-timeout-out-of-range", `idle timeout ${idleTimeoutMs} ms is not in ${range}`);
}

function checkShape(flow: OffloadFlow, quota: Quota): Refusal | undefined {
  if (flow.service === "unspecified") return refuse("malformed", "the service is unspecified");
  if (flow.directions === "unspecified") {
    return refuse("directions-not-allowed", "the directions are unspecified");
  }
  if ((flow.directions === "both") !== (flow.reply !== undefined)) {
    return refuse("malformed", `directions "${flow.directions}" contradict the reply`);
  }
  if (flow.directions === "original-only" && !quota.isOneWayAllowed) {
    return refuse("directions-not-allowed", "flows of one direction alone are not allowed");
  }
  return checkIdleTimeout(flow.idleTimeoutMs, quota);
}

function resolveVnics(
  direction: FlowDirection,
  vm: VirtualMachine,
): Result<ResolvedDirection, Refusal> {
  const ingress = vm.vnics.get(direction.match.vnic);
  if (ingress === undefined) return err(notYours(direction.match.vnic, vm));
  const egress = vm.vnics.get(direction.egress.vnic);
  if (egress === undefined) return err(notYours(direction.egress.vnic, vm));
  const { match, rewrite } = direction;
  return ok({
    direction,
    ingress,
    egress,
    newSourceAddress: rewrite.sourceAddress ?? match.sourceAddress,
    newDestinationAddress: rewrite.destinationAddress ?? match.destinationAddress,
    newSourcePort: rewrite.sourcePort ?? match.sourcePort,
    newDestinationPort: rewrite.destinationPort ?? match.destinationPort,
  });
}

function notYours(mac: MacAddress, vm: VirtualMachine): Refusal {
  return refuse("vnic-not-yours", `vNIC ${mac} is not attached for ${vm.key}`);
}

function checkProtocol(flow: OffloadFlow, driver: DriverCapabilities): Refusal | undefined {
  const { protocol } = flow.original.match;
  if (!PROTOCOLS.includes(protocol)) {
    return refuse("protocol-not-allowed", `protocol ${protocol} is neither TCP nor UDP`);
  }
  if (flow.reply !== undefined && flow.reply.match.protocol !== protocol) {
    return refuse("malformed", "the two directions have different protocols");
  }
  if (!driver.protocols.includes(protocol)) {
    return refuse("unsupported-by-driver", `${driver.name} cannot do protocol ${protocol}`);
  }
  const family = familyOf(flow.original.match.sourceAddress);
  if (!driver.families.includes(family)) {
    return refuse("unsupported-by-driver", `${driver.name} cannot do IPv${family}`);
  }
  const isRewritten = [flow.original, flow.reply].some(
    (direction) => direction !== undefined && Object.keys(direction.rewrite).length > 0,
  );
  if (isRewritten && !driver.rewrite) {
    return refuse("unsupported-by-driver", `${driver.name} cannot rewrite`);
  }
  return undefined;
}

/** Returns the port behind which the next hop is. */
export function locateNextHop(
  resolved: { readonly egress: Vnic; readonly direction: Pick<FlowDirection, "egress"> },
  vm: VirtualMachine,
  locate: LocatePort,
): Result<number, Refusal> {
  const { nextHop } = resolved.direction.egress;
  const { segment } = resolved.egress;
  const isGroup = (Number.parseInt(nextHop.slice(0, 2), 16) & 1) === 1;
  if (isGroup || nextHop === "00:00:00:00:00:00") {
    return err(refuse("next-hop-not-on-segment", `${nextHop} is no station's address`));
  }
  if (vm.vnics.has(nextHop)) {
    return err(refuse("next-hop-not-on-segment", `${nextHop} is the virtual machine itself`));
  }
  const portId = locate(segment.id, nextHop);
  if (portId !== undefined) return ok(portId);
  // Whether it exists on a segment of somebody else must not show in the answer.
  const isElsewhere = [...vm.vnics.values()].some(
    (vnic) => vnic.segment.id !== segment.id && locate(vnic.segment.id, nextHop) !== undefined,
  );
  const where = `segment "${segment.tenant}/${segment.name}"`;
  return err(
    isElsewhere
      ? refuse("next-hop-not-on-segment", `${nextHop} is on another segment than ${where}`)
      : refuse("location-unknown", `no port of ${where} is known to reach ${nextHop}`),
  );
}

function toFastPath(resolved: ResolvedDirection, egressPortId: number): FastPathDirection {
  const { match, egress } = resolved.direction;
  return {
    segmentId: resolved.ingress.segment.id,
    destinationMac: resolved.ingress.mac,
    protocol: match.protocol,
    sourceAddress: match.sourceAddress,
    destinationAddress: match.destinationAddress,
    sourcePort: match.sourcePort,
    destinationPort: match.destinationPort,
    newSourceAddress: resolved.newSourceAddress,
    newDestinationAddress: resolved.newDestinationAddress,
    newSourcePort: resolved.newSourcePort,
    newDestinationPort: resolved.newDestinationPort,
    newSourceMac: resolved.egress.mac,
    newDestinationMac: egress.nextHop,
    egressPortId,
    mtuBytes: egress.mtuBytes,
  };
}

function refuse(reason: RefusalReason, detail: string): Refusal {
  return { reason, detail };
}
