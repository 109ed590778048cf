/**
 * The contract of every fast-path driver: `memory` and `bpf` now, others later.
 *
 * The controller alone calls it; by then every flow is authorised and located. Promises reject only with
 * FlowliftError (the driver as a whole failed); the fate of single flows is in the results.
 */
import type { IpAddress, MacAddress } from "../lib/inet/address.ts";
import type { FlowCounters } from "../offload-protocol/messages.ts";

/** A slot holds one VM's generation and lease; index 0 is never used. */
export const VM_SLOTS_MAX = 4096;
/** Generation of a slot that no virtual machine has. */
export const SLOT_FREE = 0;
export const HOST_PORTS_MAX = 4096;
export const SEGMENTS_MAX = 4096;

/** Names one direction's place in the fast path; chosen by the controller, unique while in use. */
export type FlowHandle = number;

/** One direction, completely resolved. */
export interface FastPathDirection {
  readonly segmentId: number;
  /** The VM's vNIC on that segment: the frame's destination. */
  readonly destinationMac: MacAddress;
  readonly protocol: number;
  readonly sourceAddress: IpAddress;
  readonly destinationAddress: IpAddress;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** What the packet carries when it leaves; equal to the match where nothing changes. */
  readonly newSourceAddress: IpAddress;
  readonly newDestinationAddress: IpAddress;
  readonly newSourcePort: number;
  readonly newDestinationPort: number;
  /** The VM's vNIC on the egress segment: the frame's new source. */
  readonly newSourceMac: MacAddress;
  readonly newDestinationMac: MacAddress;
  /** Host port through which the frame leaves. */
  readonly egressPortId: number;
  readonly mtuBytes: number;
}

export interface FastPathFlow {
  readonly handle: FlowHandle;
  readonly vmSlot: number;
  /** Equal to the slot's generation while the VM's flows are to be forwarded. */
  readonly generation: number;
  readonly original: FastPathDirection;
  readonly reply?: FastPathDirection;
}

/** A host port: the host's end of a veth pair or a tap. */
export interface FastPathPort {
  readonly portId: number;
  readonly interfaceName: string;
  readonly segmentId: number;
  /** Frames that enter from the VM's own port never match. */
  readonly isVmPort: boolean;
}

export type InstallOutcome =
  | { readonly handle: FlowHandle; readonly outcome: "installed" }
  | {
      readonly handle: FlowHandle;
      readonly outcome: "refused";
      readonly reason: "table-full" | "duplicate" | "unsupported-by-driver" | "driver-failed";
    };

/** A flow of an installation that was not installed, by its place. */
export interface InstallRefusal {
  readonly place: number;
  readonly reason: Extract<InstallOutcome, { readonly outcome: "refused" }>["reason"];
}

export type WithdrawOutcome =
  | { readonly handle: FlowHandle; readonly outcome: "withdrawn"; readonly counters: FlowCounters }
  | { readonly handle: FlowHandle; readonly outcome: "unknown" };

/** Where a MAC address was seen. */
export interface NeighbourLocation {
  readonly segmentId: number;
  readonly mac: MacAddress;
  /** Undefined when the port went away. */
  readonly portId: number | undefined;
}

export interface DriverCapabilities {
  readonly name: string;
  readonly flowsMax: number;
  readonly families: readonly (4 | 6)[];
  readonly protocols: readonly number[];
  readonly rewrite: boolean;
  readonly mtuPunt: boolean;
  readonly optionsToVm: boolean;
  readonly exactFinalCounters: boolean;
}

/** What an operator reads of a driver. */
export interface DriverTotals {
  readonly flows: number;
  /** Per VM slot: packets and bytes that entered for that VM, forwarded fast or passed to it (tracked or not). */
  readonly slots: readonly {
    readonly vmSlot: number;
    readonly fastPackets: bigint;
    readonly fastBytes: bigint;
    readonly passedPackets: bigint;
    readonly passedBytes: bigint;
  }[];
  /** Packets the fast path itself dropped, by reason; always present, may be empty. */
  readonly drops: Readonly<Record<string, bigint>>;
}

export interface FastPathDriver {
  capabilities(): Promise<DriverCapabilities>;
  /**
   * Replaces the set of ports, and which VM slot owns each (segment, vNIC MAC). Idempotent. Ports that
   * disappear take their neighbours with them; the agent starts or stops its programs accordingly.
   */
  configure(topology: {
    readonly ports: readonly FastPathPort[];
    readonly vnics: readonly {
      readonly segmentId: number;
      readonly mac: MacAddress;
      readonly vmSlot: number;
    }[];
  }): Promise<void>;
  /**
   * Sets the slot's generation and how long from now its flows may be forwarded (0 stops all of them at
   * once: one map write). Generation SLOT_FREE: nobody's any more; what was counted for it is forgotten.
   */
  setSlot(vmSlot: number, generation: number, leaseMs: number): Promise<void>;
  /** Programs every direction of each flow, or none of it; outcomes in the order of `flows`. */
  install(flows: readonly FastPathFlow[]): Promise<readonly InstallOutcome[]>;
  /** The same for flows as packed-flows.ts writes them; the agent uses it where a driver has it. */
  installPacked?(packed: Buffer): readonly InstallRefusal[];
  /**
   * Quiesce, one grace period for the batch, read, delete. When it resolves nothing of these flows can
   * match a packet, and the counters are final.
   */
  withdraw(handles: readonly FlowHandle[]): Promise<readonly WithdrawOutcome[]>;
  /** Changes next hop, MTU or egress port in place. */
  update(
    handle: FlowHandle,
    direction: "original" | "reply",
    change: {
      readonly newDestinationMac?: MacAddress;
      readonly egressPortId?: number;
      readonly mtuBytes?: number;
    },
  ): Promise<void>;
  /** Counters of the given flows, or of all of them; unknown handles are left out. */
  readCounters(
    handles: readonly FlowHandle[] | "all",
  ): Promise<readonly { readonly handle: FlowHandle; readonly counters: FlowCounters }[]>;
  totals(): Promise<DriverTotals>;
  /** What is held, as it was installed and updated: what a restarted controller may adopt. */
  listFlows?(): Promise<readonly FastPathFlow[]>;
  /** Present neighbour locations; changes arrive through `onNeighbour`. */
  listNeighbours(): Promise<readonly NeighbourLocation[]>;
  onNeighbour: (location: NeighbourLocation) => void;
  /** Called once when the driver is lost (agent died); the controller reconnects or falls back. */
  onLost: () => void;
  close(): Promise<void>;
}
