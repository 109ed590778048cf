/**
 * From a conntrack entry to the two directions that a fast path can carry.
 *
 * Pure but for `locate`, which is an argument.
 * `(original) => (inverted reply)` and `(reply) => (inverted original)`: what conntrack would make of a packet
 * is the difference between one tuple and the other one turned round.
 */
import type { ConntrackEntry, ConntrackTuple } from "../lib/conntrack/entry.ts";
import {
  MARK_EGRESS_MASK,
  MARK_EGRESS_SHIFT,
  MARK_INGRESS_MASK,
  MARK_INGRESS_SHIFT,
} from "../lib/conntrack/mark-bits.ts";
import type { ApplianceInterface, FlowPlace } from "../lib/service/provider.ts";
import type { FlowDirection, FlowRewrite } from "../offload-protocol/messages.ts";
import type { EngineOptions } from "./engine-types.ts";

export type FlowPath =
  | { readonly kind: "path"; readonly original: FlowDirection; readonly reply: FlowDirection }
  | { readonly kind: "unresolved" }
  | { readonly kind: "not-forwarded" };

/** Finds interfaces by name and by their number in the ct mark. */
export class InterfaceIndex {
  readonly #byName = new Map<string, ApplianceInterface>();
  readonly #byMark = new Map<number, ApplianceInterface>();

  constructor(interfaces: readonly ApplianceInterface[]) {
    for (const each of interfaces) {
      this.#byName.set(each.name, each);
      this.#byMark.set(each.markIndex, each);
    }
  }

  byName(name: string): ApplianceInterface | undefined {
    return this.#byName.get(name);
  }

  /** Returns where the original direction came in and went out, as far as the mark tells. */
  placeOf(mark: number): FlowPlace {
    return {
      ingressInterface: this.#byMark.get((mark & MARK_INGRESS_MASK) >>> MARK_INGRESS_SHIFT)?.name,
      egressInterface: this.#byMark.get((mark & MARK_EGRESS_MASK) >>> MARK_EGRESS_SHIFT)?.name,
    };
  }
}

/** Returns how both directions run, or why that cannot be said. */
export function findPath(
  entry: ConntrackEntry,
  interfaces: InterfaceIndex,
  locate: EngineOptions["locate"],
): FlowPath {
  const onward = locate(entry.reply.sourceAddress);
  const back = locate(entry.original.sourceAddress);
  if (onward.kind === "not-forwarded" || back.kind === "not-forwarded") {
    return { kind: "not-forwarded" };
  }
  if (onward.kind === "unresolved" || back.kind === "unresolved") return { kind: "unresolved" };
  const place = interfaces.placeOf(entry.mark);
  const far = interfaces.byName(onward.interfaceName);
  const near = interfaces.byName(back.interfaceName);
  const farArrival = interfaces.byName(place.egressInterface ?? onward.interfaceName);
  const nearArrival = interfaces.byName(place.ingressInterface ?? back.interfaceName);
  if (!(far && near && farArrival && nearArrival)) return { kind: "not-forwarded" };
  const direction = (
    arrival: ApplianceInterface,
    arriving: ConntrackTuple,
    opposite: ConntrackTuple,
    leaving: ApplianceInterface,
    hop: typeof onward,
  ): FlowDirection => ({
    match: {
      vnic: arrival.mac,
      protocol: arriving.protocol,
      sourceAddress: arriving.sourceAddress,
      destinationAddress: arriving.destinationAddress,
      sourcePort: arriving.sourcePort,
      destinationPort: arriving.destinationPort,
    },
    rewrite: rewriteOf(arriving, opposite),
    egress: {
      vnic: leaving.mac,
      nextHop: hop.nextHop,
      mtuBytes: Math.min(leaving.mtuBytes, hop.mtuBytes),
    },
  });
  return {
    kind: "path",
    original: direction(nearArrival, entry.original, entry.reply, far, onward),
    reply: direction(farArrival, entry.reply, entry.original, near, back),
  };
}

/** Returns what changes: `arriving` against `opposite` turned round. */
export function rewriteOf(arriving: ConntrackTuple, opposite: ConntrackTuple): FlowRewrite {
  return {
    ...(opposite.destinationAddress !== arriving.sourceAddress && {
      sourceAddress: opposite.destinationAddress,
    }),
    ...(opposite.sourceAddress !== arriving.destinationAddress && {
      destinationAddress: opposite.sourceAddress,
    }),
    ...(opposite.destinationPort !== arriving.sourcePort && {
      sourcePort: opposite.destinationPort,
    }),
    ...(opposite.sourcePort !== arriving.destinationPort && {
      destinationPort: opposite.sourcePort,
    }),
  };
}
