/**
 * From a lab's definition to names and numbers: namespaces, bridges, ports, MAC addresses.
 *
 * Pure and deterministic: the same definition under the same name gives the same plan.
 * Invariant: every MAC address and every port name is unique in the lab.
 */
import { assert } from "../lib/base/assert.ts";
import { type MacAddress, parseMacAddress } from "../lib/inet/address.ts";
import type { LabDefinition, LabRoute, LabTenant } from "./definition.ts";

/** The name of the one interface of a host that is no appliance. */
export const HOST_INTERFACE = "eth0";
/** The first VM's QEMU; each has a user and a group of its own. */
export const VM_UID_BASE = 64_100;
/** Ports of the namespace that plays the host; three decimal digits behind the "p". */
export const PORTS_MAX = 999;

export interface PlannedSegment {
  readonly tenant: string;
  readonly name: string;
  /** Bridge in the host namespace. */
  readonly bridge: string;
}

/** The host's end of a link: of a veth pair, or a tap. */
export interface PlannedPort {
  readonly interfaceName: string;
  readonly bridge: string;
  readonly tenant: string;
  readonly segment: string;
  readonly machine: string;
  readonly isVmPort: boolean;
  /** QEMU's user, where the port is a tap; otherwise it is one end of a veth pair. */
  readonly tapUid?: number;
}

export interface PlannedInterface {
  readonly name: string;
  readonly mac: MacAddress;
  readonly addresses: readonly string[];
  readonly segment: string;
  readonly port: PlannedPort;
}

/** An appliance, a client or a server: a namespace of its own, or a VM on taps of the host's namespace. */
export interface PlannedMachine {
  readonly kind: "appliance" | "host";
  readonly tenant: string;
  readonly name: string;
  /** A VM's is the host's, where its taps are. */
  readonly netns: string;
  /** User and group of the VM's QEMU; undefined for a namespace. */
  readonly vmUid?: number;
  readonly interfaces: readonly PlannedInterface[];
  readonly localPrefixes: readonly string[];
  readonly routes: readonly LabRoute[];
}

export interface LabPlan {
  readonly name: string;
  readonly hostNetns: string;
  readonly segments: readonly PlannedSegment[];
  readonly machines: readonly PlannedMachine[];
}

export interface PlanOptions {
  /** Appliances with processes are VMs. Default: namespaces. */
  readonly inVms?: boolean;
}

/** Returns the plan of `definition` under `labName`. */
export function planLab(
  definition: LabDefinition,
  labName: string,
  { inVms = false }: PlanOptions = {},
): LabPlan {
  const segments: PlannedSegment[] = definition.tenants.flatMap((tenant) =>
    tenant.segments.map((segment) => ({ tenant: tenant.name, name: segment.name, bridge: "" })),
  );
  const numbered = segments.map((segment, index) => ({ ...segment, bridge: `br${index + 1}` }));
  const hostNetns = `fl-${labName}-host`;
  const planner = new Planner(labName, hostNetns, numbered, inVms);
  const machines = definition.tenants.flatMap((tenant, index) => planner.planTenant(tenant, index));
  return { name: labName, hostNetns, segments: numbered, machines };
}

/** Returns every port in the order of its number. */
export function listPorts(plan: LabPlan): PlannedPort[] {
  return plan.machines.flatMap((machine) => machine.interfaces.map((entry) => entry.port));
}

/** Returns every namespace of the lab, the host's first. */
export function listNamespaces(plan: LabPlan): string[] {
  const own = plan.machines.filter((machine) => machine.vmUid === undefined);
  return [plan.hostNetns, ...own.map((machine) => machine.netns)];
}

interface Wanted {
  readonly name: string;
  readonly segment: string;
  readonly addresses: readonly string[];
  readonly mac: string | undefined;
}

class Planner {
  readonly #labName: string;
  readonly #hostNetns: string;
  readonly #segments: readonly PlannedSegment[];
  readonly #inVms: boolean;
  #portCount = 0;
  #vmCount = 0;

  constructor(
    labName: string,
    hostNetns: string,
    segments: readonly PlannedSegment[],
    inVms: boolean,
  ) {
    this.#labName = labName;
    this.#hostNetns = hostNetns;
    this.#segments = segments;
    this.#inVms = inVms;
  }

  planTenant(tenant: LabTenant, tenantIndex: number): PlannedMachine[] {
    const appliances = tenant.appliances.map((appliance, index) =>
      this.#planMachine("appliance", tenant.name, appliance, appliance.interfaces, {
        tenantIndex,
        machineIndex: index,
      }),
    );
    const hosts = tenant.hosts.map((host, index) =>
      this.#planMachine("host", tenant.name, host, [{ ...host, name: HOST_INTERFACE }], {
        tenantIndex,
        machineIndex: index,
      }),
    );
    return [...appliances, ...hosts];
  }

  #planMachine(
    kind: "appliance" | "host",
    tenant: string,
    machine: {
      readonly name: string;
      readonly processes?: boolean;
      readonly localPrefixes?: readonly string[];
      readonly routes: readonly LabRoute[];
    },
    wanted: readonly Wanted[],
    place: { readonly tenantIndex: number; readonly machineIndex: number },
  ): PlannedMachine {
    const vmUid =
      this.#inVms && machine.processes === true ? VM_UID_BASE + this.#vmCount++ : undefined;
    const interfaces = wanted.map((entry, index) => ({
      name: entry.name,
      mac: readMac(entry.mac) ?? deriveMac(kind, place.tenantIndex, place.machineIndex, index),
      addresses: entry.addresses,
      segment: entry.segment,
      port: this.#planPort({ kind, tenant, segment: entry.segment, machine: machine.name, vmUid }),
    }));
    const { name, localPrefixes = [], routes } = machine;
    const base = { kind, tenant, name, interfaces, localPrefixes, routes };
    if (vmUid !== undefined) return { ...base, netns: this.#hostNetns, vmUid };
    return { ...base, netns: `fl-${this.#labName}-${tenant}-${name}` };
  }

  #planPort(wanted: {
    readonly kind: string;
    readonly tenant: string;
    readonly segment: string;
    readonly machine: string;
    readonly vmUid: number | undefined;
  }): PlannedPort {
    const { kind, tenant, machine, vmUid } = wanted;
    const segment = this.#segments.find(
      (candidate) => candidate.tenant === tenant && candidate.name === wanted.segment,
    );
    assert(segment !== undefined, "validated interfaces name a segment of their tenant");
    this.#portCount++;
    assert(this.#portCount <= PORTS_MAX, "the module bounds the number of ports");
    return {
      interfaceName: `p${this.#portCount}`,
      bridge: segment.bridge,
      tenant,
      segment: wanted.segment,
      machine,
      isVmPort: kind === "appliance",
      ...(vmUid === undefined ? {} : { tapUid: vmUid }),
    };
  }
}

function readMac(text: string | undefined): MacAddress | undefined {
  return text === undefined ? undefined : parseMacAddress(text);
}

/** Locally administered: 02:f1, tenant, kind (00 host, aa appliance), machine, interface. */
function deriveMac(
  kind: "appliance" | "host",
  tenantIndex: number,
  machineIndex: number,
  interfaceIndex: number,
): MacAddress {
  const bytes = [tenantIndex + 1, kind === "host" ? 0 : 0xaa, machineIndex + 1, interfaceIndex + 1];
  assert(
    bytes.every((byte) => byte <= 0xff),
    "the module bounds what a MAC address is derived from",
  );
  const tail = bytes.map((byte) => byte.toString(16).padStart(2, "0"));
  return ["02", "f1", ...tail].join(":") as MacAddress;
}
