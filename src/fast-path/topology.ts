/**
 * What `configure` may say: ports and vNICs within a driver's bounds, each once.
 *
 * Pure. Port ids run from 0 to portsMax, so that both ways of counting fit.
 */
import { FlowliftError } from "../lib/base/errors.ts";
import type { MacAddress } from "../lib/inet/address.ts";
import type { FastPathDriver } from "./driver.ts";
import type { DriverLimits } from "./flow-registry.ts";

export type Topology = Parameters<FastPathDriver["configure"]>[0];
export type Vnic = Topology["vnics"][number];

export const EMPTY_TOPOLOGY: Topology = { ports: [], vnics: [] };
/** IFNAMSIZ without the final zero. */
const INTERFACE_NAME_BYTES_MAX = 15;

/** Throws when the topology breaks a bound or names something twice; nothing is changed then. */
export function checkTopology(topology: Topology, limits: DriverLimits): void {
  const { ports, vnics } = topology;
  const segments = new Set([...ports, ...vnics].map(({ segmentId }) => segmentId));
  requireAtMost("ports", ports.length, limits.portsMax);
  requireAtMost("segments", segments.size, limits.segmentsMax);
  requireAtMost("vNICs", vnics.length, limits.vnicsMax);
  for (const segmentId of segments) {
    requireThat(isIndex(segmentId, 0xffff_ffff), `segment ${segmentId} is no 32-bit number`);
  }
  for (const port of ports) {
    requireThat(isIndex(port.portId, limits.portsMax), `port ${port.portId} is out of range`);
    const bytes = Buffer.byteLength(port.interfaceName);
    requireThat(
      bytes > 0 && bytes <= INTERFACE_NAME_BYTES_MAX,
      `"${port.interfaceName}" is no interface name`,
    );
  }
  for (const { vmSlot } of vnics) requireSlot(vmSlot, limits);
  requireDistinct(ports, ({ portId }) => `port ${portId}`);
  requireDistinct(ports, ({ interfaceName }) => `interface "${interfaceName}"`);
  requireDistinct(vnics, ({ segmentId, mac }) => `vNIC ${mac} on segment ${segmentId}`);
}

/** Throws when the slot is not one of 1 … slotsMax - 1. */
export function requireSlot(vmSlot: number, limits: DriverLimits): void {
  requireThat(vmSlot >= 1 && isIndex(vmSlot, limits.slotsMax - 1), `slot ${vmSlot} does not exist`);
}

/** Returns the text under which a MAC address of a segment is kept. */
export function placeKeyOf(segmentId: number, mac: MacAddress): string {
  return `${segmentId} ${mac}`;
}

function isIndex(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}

function requireAtMost(what: string, count: number, max: number): void {
  requireThat(count <= max, `${count} ${what} are more than ${max}`);
}

function requireDistinct<T>(items: readonly T[], nameOf: (item: T) => string): void {
  const seen = new Set<string>();
  for (const item of items) {
    const name = nameOf(item);
    requireThat(!seen.has(name), `${name} occurs twice`);
    seen.add(name);
  }
}

function requireThat(holds: boolean, problem: string): void {
  if (!holds) throw new FlowliftError("BPF_OPERATION_FAILED", `Cannot configure: ${problem}`);
}
