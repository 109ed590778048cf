/**
 * One direction of a flow from XML: match, rewrite, egress.
 *
 * Pure. Source: yang/flowlift-offload.yang, grouping `direction`.
 */
import type {
  EgressUpdate,
  FlowDirection,
  FlowEgress,
  FlowMatch,
  FlowRewrite,
} from "./messages.ts";
import { failMissing, failUnknown } from "./xml-failures.ts";
import { nextData, readAddress, readMac, readUint, UINT8_MAX, UINT16_MAX } from "./xml-leaf.ts";
import type { XmlReader } from "./xml-reader.ts";

export const MTU_BYTES_MIN = 576;
export const MTU_BYTES_MAX = 65_535;

/** A type whose members may be assigned while a decoder collects them. */
export type Collecting<T> = { -readonly [K in keyof T]?: T[K] | undefined };

/** Reads a direction; its element is open, and is closed. */
export function decodeDirection(reader: XmlReader): FlowDirection {
  const direction: Collecting<FlowDirection> = {};
  for (let local = nextData(reader); local !== undefined; local = nextData(reader)) {
    if (local === "match") {
      reader.once(direction.match);
      direction.match = decodeMatch(reader);
    } else if (local === "rewrite") {
      reader.once(direction.rewrite);
      direction.rewrite = decodeRewrite(reader);
    } else if (local === "egress") {
      reader.once(direction.egress);
      direction.egress = decodeEgress(reader);
    } else failUnknown(reader, local);
  }
  if (direction.match === undefined) failMissing(reader, "match");
  if (direction.egress === undefined) failMissing(reader, "egress");
  direction.rewrite ??= {};
  return direction as FlowDirection; // Complete, or a failure is kept and nobody looks.
}

function readTupleChild(reader: XmlReader, local: string, tuple: Collecting<FlowRewrite>): boolean {
  switch (local) {
    case "source-address":
      reader.once(tuple.sourceAddress);
      tuple.sourceAddress = readAddress(reader);
      return true;
    case "destination-address":
      reader.once(tuple.destinationAddress);
      tuple.destinationAddress = readAddress(reader);
      return true;
    case "source-port":
      reader.once(tuple.sourcePort);
      tuple.sourcePort = readUint(reader, UINT16_MAX);
      return true;
    case "destination-port":
      reader.once(tuple.destinationPort);
      tuple.destinationPort = readUint(reader, UINT16_MAX);
      return true;
    default:
      return false;
  }
}

function decodeMatch(reader: XmlReader): FlowMatch {
  const match: Collecting<FlowMatch> = {};
  for (let local = nextData(reader); local !== undefined; local = nextData(reader)) {
    if (local === "vnic") {
      reader.once(match.vnic);
      match.vnic = readMac(reader);
    } else if (local === "protocol") {
      reader.once(match.protocol);
      match.protocol = readUint(reader, UINT8_MAX);
    } else if (!readTupleChild(reader, local, match)) failUnknown(reader, local);
  }
  const { vnic, protocol, sourceAddress, destinationAddress, sourcePort, destinationPort } = match;
  if (vnic === undefined) failMissing(reader, "vnic");
  if (protocol === undefined) failMissing(reader, "protocol");
  if (sourceAddress === undefined) failMissing(reader, "source-address");
  if (destinationAddress === undefined) failMissing(reader, "destination-address");
  if (sourcePort === undefined) failMissing(reader, "source-port");
  if (destinationPort === undefined) failMissing(reader, "destination-port");
  return match as FlowMatch; // Complete, or a failure is kept and nobody looks.
}

function decodeRewrite(reader: XmlReader): FlowRewrite {
  const rewrite: Collecting<FlowRewrite> = {};
  for (let local = nextData(reader); local !== undefined; local = nextData(reader)) {
    if (!readTupleChild(reader, local, rewrite)) failUnknown(reader, local);
  }
  return rewrite as FlowRewrite;
}

function decodeEgress(reader: XmlReader): FlowEgress {
  const egress: Collecting<FlowEgress> = {};
  for (let local = nextData(reader); local !== undefined; local = nextData(reader)) {
    if (local === "vnic") {
      reader.once(egress.vnic);
      egress.vnic = readMac(reader);
    } else if (!readEgressChild(reader, local, egress)) failUnknown(reader, local);
  }
  if (egress.vnic === undefined) failMissing(reader, "vnic");
  if (egress.nextHop === undefined) failMissing(reader, "next-hop");
  if (egress.mtuBytes === undefined) failMissing(reader, "mtu");
  return egress as FlowEgress; // As above.
}

/** Reads what `update-offload` may change of an egress; its element is open, and is closed. */
export function decodeEgressUpdate(reader: XmlReader): EgressUpdate {
  const update: Collecting<EgressUpdate> = {};
  for (let local = nextData(reader); local !== undefined; local = nextData(reader)) {
    if (!readEgressChild(reader, local, update)) failUnknown(reader, local);
  }
  return update as EgressUpdate;
}

function readEgressChild(
  reader: XmlReader,
  local: string,
  egress: Collecting<EgressUpdate>,
): boolean {
  if (local === "next-hop") {
    reader.once(egress.nextHop);
    egress.nextHop = readMac(reader);
    return true;
  }
  if (local !== "mtu") return false;
  reader.once(egress.mtuBytes);
  egress.mtuBytes = readUint(reader, MTU_BYTES_MAX, MTU_BYTES_MIN);
  return true;
}
