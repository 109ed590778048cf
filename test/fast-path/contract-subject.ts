/** What the contract suite works on: limits, ports, flows and packets that are the same for every driver. */
import { afterEach, beforeEach } from "vitest";
import type {
  FastPathDirection,
  FastPathDriver,
  FastPathFlow,
  FastPathPort,
} from "../../src/fast-path/driver.ts";
import type { DriverLimits } from "../../src/fast-path/flow-registry.ts";
import type { PlayedFrame } from "../../src/fast-path/memory/memory-driver.ts";
import { buildFrame, type FrameShape, ip, mac } from "./frames.ts";

/** What became of a frame. Not every driver can say through which port it left. */
export type PlayedVerdict =
  | { readonly kind: "not-ours" }
  | { readonly kind: "passed" }
  | { readonly kind: "forwarded"; readonly bytes: Buffer; readonly egressPortId?: number };

export interface DriverUnderTest {
  readonly driver: FastPathDriver;
  /** Names of interfaces that exist, at least three. */
  readonly interfaceNames: readonly string[];
  play(portId: number, frame: PlayedFrame): PlayedVerdict;
  close(): Promise<void>;
}

export const LIMITS: DriverLimits = {
  flowsMax: 8,
  portsMax: 8,
  segmentsMax: 4,
  slotsMax: 4,
  vnicsMax: 6,
};

export const VM_INSIDE = mac("02:00:00:00:00:0a");
export const VM_OUTSIDE = mac("02:00:00:00:00:0b");
export const CLIENT = mac("02:00:00:00:00:01");
export const SERVER = mac("02:00:00:00:00:02");
export const INSIDE_PORT = 1;
export const OUTSIDE_PORT = 2;
export const VM_PORT = 3;
const INSIDE = 10;
const OUTSIDE = 20;
export const LEASE_MS = 60_000;
export const SLOT = 2;
export const GENERATION = 7;

export const ADDRESSES = {
  4: { client: ip("10.1.2.3"), server: ip("198.51.100.7"), external: ip("203.0.113.9") },
  6: { client: ip("fd00:1::3"), server: ip("2001:db8::7"), external: ip("2001:db8:9::9") },
};

/** A source-NATed flow, both directions. */
export function makeFlow(
  handle: number,
  options: { family?: 4 | 6; protocol?: number; sourcePort?: number; mtuBytes?: number } = {},
): FastPathFlow {
  const { client, server, external } = ADDRESSES[options.family ?? 4];
  const protocol = options.protocol ?? 6;
  const sourcePort = options.sourcePort ?? 40_000 + handle;
  const mtuBytes = options.mtuBytes ?? 1500;
  const externalPort = 1024 + (sourcePort % 1000);
  return {
    handle,
    vmSlot: SLOT,
    generation: GENERATION,
    original: {
      segmentId: INSIDE,
      destinationMac: VM_INSIDE,
      protocol,
      sourceAddress: client,
      destinationAddress: server,
      sourcePort,
      destinationPort: 443,
      newSourceAddress: external,
      newDestinationAddress: server,
      newSourcePort: externalPort,
      newDestinationPort: 443,
      newSourceMac: VM_OUTSIDE,
      newDestinationMac: SERVER,
      egressPortId: OUTSIDE_PORT,
      mtuBytes,
    },
    reply: {
      segmentId: OUTSIDE,
      destinationMac: VM_OUTSIDE,
      protocol,
      sourceAddress: server,
      destinationAddress: external,
      sourcePort: 443,
      destinationPort: externalPort,
      newSourceAddress: server,
      newDestinationAddress: client,
      newSourcePort: 443,
      newDestinationPort: sourcePort,
      newSourceMac: VM_INSIDE,
      newDestinationMac: CLIENT,
      egressPortId: INSIDE_PORT,
      mtuBytes,
    },
  };
}

/** A packet that the direction matches. */
export function frameOf(direction: FastPathDirection, change: Partial<FrameShape> = {}): Buffer {
  return buildFrame({
    destinationMac: direction.destinationMac,
    protocol: direction.protocol,
    source: direction.sourceAddress,
    destination: direction.destinationAddress,
    sourcePort: direction.sourcePort,
    destinationPort: direction.destinationPort,
    ...change,
  });
}

/** The same packet as it must leave. */
export function expectedOf(direction: FastPathDirection, change: Partial<FrameShape> = {}): Buffer {
  return buildFrame({
    destinationMac: direction.newDestinationMac,
    sourceMac: direction.newSourceMac,
    protocol: direction.protocol,
    source: direction.newSourceAddress,
    destination: direction.newDestinationAddress,
    sourcePort: direction.newSourcePort,
    destinationPort: direction.newDestinationPort,
    ttl: 63,
    ...change,
  });
}

export function makePorts(names: readonly string[]): FastPathPort[] {
  const [inside = "", outside = "", vm = ""] = names;
  return [
    { portId: INSIDE_PORT, interfaceName: inside, segmentId: INSIDE, isVmPort: false },
    { portId: OUTSIDE_PORT, interfaceName: outside, segmentId: OUTSIDE, isVmPort: false },
    { portId: VM_PORT, interfaceName: vm, segmentId: INSIDE, isVmPort: true },
  ];
}

export const VNICS = [
  { segmentId: INSIDE, mac: VM_INSIDE, vmSlot: SLOT },
  { segmentId: OUTSIDE, mac: VM_OUTSIDE, vmSlot: SLOT },
];

/** Configures the usual ports and gives the VM its lease. */
export async function prepare({ driver, interfaceNames }: DriverUnderTest): Promise<void> {
  await driver.configure({ ports: makePorts(interfaceNames), vnics: VNICS });
  await driver.setSlot(SLOT, GENERATION, LEASE_MS);
}

/** A driver that is made anew for each test, configured and with a lease. */
export interface Fixture {
  subject(): DriverUnderTest;
  driver(): FastPathDriver;
  /** Plays a packet of the flow's original direction. */
  playOriginal(flow: FastPathFlow, change?: Partial<FrameShape>): string;
}

/** Registers the hooks that make and close the driver around each test. */
export function useDriver(make: (limits: DriverLimits) => Promise<DriverUnderTest>): Fixture {
  let subject: DriverUnderTest;
  beforeEach(async () => {
    subject = await make(LIMITS);
    await prepare(subject);
  });
  afterEach(() => subject.close());
  return {
    subject: () => subject,
    driver: () => subject.driver,
    playOriginal: (flow, change = {}) =>
      subject.play(INSIDE_PORT, { bytes: frameOf(flow.original, change) }).kind,
  };
}
