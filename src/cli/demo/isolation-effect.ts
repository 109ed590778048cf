/**
 * What a request would do to the fast path: entries in the maps, and packets that they would forward.
 *
 * Pure. Compares what was asked for with dumps of the maps and with packets that were seen.
 */

import { STATE_ACTIVE } from "../../fast-path/bpf/layout.ts";
import type { FlowDirection, OffloadFlow } from "../../offload-protocol/messages.ts";
import type { Datagram } from "./hostile-frame.ts";
import { listDirections } from "./isolation-flows.ts";
import { PROBE_MACS, type ProbeHost } from "./isolation-lab.ts";
import type { Packet, Side } from "./isolation-site.ts";
import type { DumpedEntry, FastPathDump } from "./read-fast-path-maps.ts";

/** Returns the entries that a direction's packets would meet, on whatever segment. */
export function findEntries(dump: FastPathDump, { match }: FlowDirection): DumpedEntry[] {
  return dump.entries.filter(
    ({ direction }) =>
      direction.sourceAddress === match.sourceAddress &&
      direction.destinationAddress === match.destinationAddress &&
      direction.sourcePort === match.sourcePort &&
      direction.destinationPort === match.destinationPort,
  );
}

/** Returns whether anything of the flow is in the maps, on any segment, in any state. */
export function isInMaps(dump: FastPathDump, flow: OffloadFlow): boolean {
  return listDirections(flow).some((direction) => findEntries(dump, direction).length > 0);
}

/** Returns whether the maps hold exactly what the flow asks for, active, under the VM's slot. */
export function isProgrammed(dump: FastPathDump, flow: OffloadFlow, vmSlot: number): boolean {
  return listDirections(flow).every((asked) =>
    findEntries(dump, asked).some(
      (entry) =>
        entry.vmSlot === vmSlot &&
        entry.state === STATE_ACTIVE &&
        entry.isConsistent &&
        isAsAsked(entry, asked),
    ),
  );
}

function isAsAsked({ direction }: DumpedEntry, asked: FlowDirection): boolean {
  const { match, rewrite, egress } = asked;
  return (
    direction.destinationMac === match.vnic &&
    direction.protocol === match.protocol &&
    direction.newSourceAddress === (rewrite.sourceAddress ?? match.sourceAddress) &&
    direction.newDestinationAddress === (rewrite.destinationAddress ?? match.destinationAddress) &&
    direction.newSourcePort === (rewrite.sourcePort ?? match.sourcePort) &&
    direction.newDestinationPort === (rewrite.destinationPort ?? match.destinationPort) &&
    direction.newSourceMac === egress.vnic &&
    direction.newDestinationMac === egress.nextHop &&
    direction.mtuBytes === egress.mtuBytes
  );
}

const INSIDE_VNICS: readonly string[] = [PROBE_MACS.vnicInside, PROBE_MACS.victimVnicInside];

/** Returns the packet that a direction asks for, as a host beside the vNIC sends it. */
export function packetFor(side: Side, { match }: FlowDirection, tag: string): Packet {
  const host: ProbeHost = INSIDE_VNICS.includes(match.vnic) ? "client" : "server";
  return {
    side,
    host,
    datagram: {
      sourceMac: PROBE_MACS[host],
      destinationMac: match.vnic,
      sourceAddress: match.sourceAddress,
      destinationAddress: match.destinationAddress,
      sourcePort: match.sourcePort,
      destinationPort: match.destinationPort,
      tag,
    },
  };
}

/** Returns what the fast path makes of the packet. */
export function forwardedAs(direction: FlowDirection, tag: string): Datagram {
  const { match, rewrite, egress } = direction;
  return {
    sourceMac: egress.vnic,
    destinationMac: egress.nextHop,
    sourceAddress: rewrite.sourceAddress ?? match.sourceAddress,
    destinationAddress: rewrite.destinationAddress ?? match.destinationAddress,
    sourcePort: rewrite.sourcePort ?? match.sourcePort,
    destinationPort: rewrite.destinationPort ?? match.destinationPort,
    tag,
  };
}

/** Returns whether a packet was seen as something else than it was sent: somebody forwarded it. */
export function wasForwarded(sent: Packet, seen: readonly Packet[]): boolean {
  return seen.some(
    ({ side, datagram }) =>
      datagram.tag === sent.datagram.tag &&
      (side !== sent.side || !isSameDatagram(datagram, sent.datagram)),
  );
}

/** Returns whether the datagram arrived, exactly so, at the host that has its MAC address. */
export function hasArrived(side: Side, expected: Datagram, seen: readonly Packet[]): boolean {
  return seen.some(
    (packet) =>
      packet.side === side &&
      PROBE_MACS[packet.host] === expected.destinationMac &&
      isSameDatagram(packet.datagram, expected),
  );
}

function isSameDatagram(a: Datagram, b: Datagram): boolean {
  const names = Object.keys(a) as (keyof Datagram)[];
  return names.every((name) => a[name] === b[name]);
}
