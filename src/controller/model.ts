/**
 * The controller's configuration as typed values: data of flowlift-controller (RFC 7951) → model.
 *
 * Pure. The data was validated by libyang before; what is checked here is only what YANG cannot say.
 */
import { HOST_PORTS_MAX, SEGMENTS_MAX, VM_SLOTS_MAX } from "../fast-path/driver.ts";
import { assert } from "../lib/base/assert.ts";
import { err, ok, type Result } from "../lib/base/result.ts";

import {
  type IpPrefix,
  type MacAddress,
  maskAddress,
  parseIpAddress,
  parseMacAddress,
} from "../lib/inet/address.ts";
import { PLACEMENTS_MAX } from "../offload-protocol/placements.ts";
import { AddressSet } from "./address-set.ts";
import type { IdKind, IdRegistry } from "./id-registry.ts";

export interface Segment {
  readonly id: number;
  readonly tenant: string;
  readonly name: string;
  readonly own: AddressSet;
  readonly isTransit: boolean;
}

/** Translated addresses; both ports belong to the range. */
export interface ExternalPool {
  readonly segmentId: number;
  readonly addresses: AddressSet;
  readonly startPort: number;
  readonly endPort: number;
}

export interface Quota {
  readonly flowsMax: number;
  readonly requestsPerSec: number;
  readonly requestBurst: number;
  readonly batchMax: number;
  readonly idleTimeoutMinMs: number;
  readonly idleTimeoutMaxMs: number;
  readonly isOneWayAllowed: boolean;
}

export interface Vnic {
  readonly mac: MacAddress;
  readonly segment: Segment;
  readonly portId: number;
}

export interface VirtualMachine {
  /** `TENANT/NAME`, unique. */
  readonly key: string;
  readonly tenant: string;
  readonly name: string;
  readonly host: string;
  readonly slot: number;
  readonly vnics: ReadonlyMap<MacAddress, Vnic>;
  /** The tenant's pools, all of them. */
  readonly pools: readonly ExternalPool[];
  readonly quota: Quota;
  /** The host's end of its serial port; undefined: the bridge's own settings name it. */
  readonly offloadPort: OffloadPort | undefined;
  /** Equal texts: what the virtual machine is entitled to is the same. */
  readonly fingerprint: string;
}

export interface OffloadPort {
  readonly socketPath: string;
  readonly mode: "connect" | "listen";
}

export interface HostPort {
  readonly portId: number;
  readonly interfaceName: string;
  readonly segment: Segment;
  readonly isVmPort: boolean;
  readonly staticNeighbours: readonly MacAddress[];
}

export interface Host {
  readonly name: string;
  readonly agentSocket: string | undefined;
  readonly ports: readonly HostPort[];
  readonly vms: readonly VirtualMachine[];
}

export interface ControllerModel {
  readonly leaseMs: number;
  readonly hosts: ReadonlyMap<string, Host>;
  /** `TENANT/SEGMENT` of every segment. */
  readonly segmentKeys: readonly string[];
  /** By `TENANT/NAME`. */
  readonly vms: ReadonlyMap<string, VirtualMachine>;
}

export type ModelError = { readonly kind: "model-invalid"; readonly message: string };

type Data = Readonly<Record<string, unknown>>;

/** Returns the key of a virtual machine. */
export function vmKey(tenant: string, vm: string): string {
  return `${tenant}/${vm}`;
}

class ModelProblem extends Error {}

/** Returns the model. `data` is the whole tree; numbers come from (and go to) `ids`. */
export function parseModel(data: unknown, ids: IdRegistry): Result<ControllerModel, ModelError> {
  try {
    const root = (data as Data)["flowlift-controller:controller"] as Data | undefined;
    return ok(buildModel(root ?? {}, ids));
  } catch (error) {
    if (!(error instanceof ModelProblem)) throw error;
    return err({ kind: "model-invalid", message: error.message });
  }
}

function buildModel(root: Data, ids: IdRegistry): ControllerModel {
  const segments = new Map<string, Segment>();
  for (const tenant of listOf(root, "tenant")) {
    const tenantName = textOf(tenant, "name");
    for (const segment of listOf(tenant, "segment")) {
      const name = textOf(segment, "name");
      const key = `${tenantName}/${name}`;
      segments.set(key, {
        id: idOf(ids, "segment", key, SEGMENTS_MAX - 1),
        tenant: tenantName,
        name,
        own: new AddressSet(((segment["prefix"] as string[] | undefined) ?? []).map(prefixOf)),
        isTransit: segment["transit"] === true,
      });
    }
  }
  const vms = new Map<string, VirtualMachine>();
  for (const tenant of listOf(root, "tenant")) {
    const tenantName = textOf(tenant, "name");
    const pools = listOf(tenant, "external-pool").map((pool) => poolOf(pool, tenantName, segments));
    const owned = [tenant["segment"], tenant["external-pool"]];
    for (const vm of listOf(tenant, "virtual-machine")) {
      const built = buildVm(vm, tenantName, pools, segments, ids);
      const numbers = [...built.vnics.values()].map(({ segment, portId }) => [segment.id, portId]);
      const entitled = [owned, vm["vnic"], vm["quota"], built.host, built.slot, numbers];
      vms.set(built.key, { ...built, fingerprint: JSON.stringify(entitled) });
    }
  }
  const hosts = new Map<string, Host>();
  for (const host of listOf(root, "host")) {
    const built = buildHost(host, [...vms.values()], segments, ids);
    hosts.set(built.name, built);
  }
  const segmentKeys = [...segments.keys()];
  return { leaseMs: numberOf(root, "lease", 30_000), hosts, segmentKeys, vms };
}

function buildVm(
  vm: Data,
  tenant: string,
  pools: readonly ExternalPool[],
  segments: ReadonlyMap<string, Segment>,
  ids: IdRegistry,
): Omit<VirtualMachine, "fingerprint"> {
  const host = textOf(vm, "host");
  const name = textOf(vm, "name");
  const key = vmKey(tenant, name);
  const vnics = listOf(vm, "vnic").map((vnic): Vnic => {
    const portId = idOf(ids, `port ${host}`, textOf(vnic, "port"), HOST_PORTS_MAX - 1);
    const mac = macOf(textOf(vnic, "mac"));
    return { mac, segment: segmentOf(segments, tenant, textOf(vnic, "segment")), portId };
  });
  const quota = (vm["quota"] ?? {}) as Data;
  return {
    key,
    tenant,
    name,
    host,
    slot: idOf(ids, `vm ${host}`, key, VM_SLOTS_MAX - 1),
    vnics: new Map(vnics.map((vnic) => [vnic.mac, vnic])),
    pools,
    quota: {
      flowsMax: numberOf(quota, "flows-max", 65_536),
      requestsPerSec: numberOf(quota, "requests-per-second", 50_000),
      requestBurst: numberOf(quota, "request-burst", 65_536),
      batchMax: numberOf(quota, "batch-max", 1024),
      idleTimeoutMinMs: numberOf(quota, "idle-timeout-min", 1000),
      idleTimeoutMaxMs: numberOf(quota, "idle-timeout-max", 432_000_000),
      isOneWayAllowed: quota["one-way"] !== false,
    },
    offloadPort: offloadPortOf(vm["offload-port"] as Data | undefined),
  };
}

function offloadPortOf(port: Data | undefined): OffloadPort | undefined {
  if (port === undefined) return undefined;
  const mode = port["mode"] === "listen" ? "listen" : "connect";
  return { socketPath: textOf(port, "socket"), mode };
}

function buildHost(
  host: Data,
  vms: readonly VirtualMachine[],
  segments: ReadonlyMap<string, Segment>,
  ids: IdRegistry,
): Host {
  const name = textOf(host, "name");
  const own = vms.filter((vm) => vm.host === name);
  const placed = own.filter(({ offloadPort }) => offloadPort !== undefined).length;
  if (placed > PLACEMENTS_MAX) {
    const many = `${placed} virtual machines with an offload port`;
    throw new ModelProblem(`Host "${name}" has ${many}, more than ${PLACEMENTS_MAX}`);
  }
  const vmPorts = new Set(own.flatMap((vm) => [...vm.vnics.values()].map((vnic) => vnic.portId)));
  const ports = listOf(host, "port").map((port): HostPort => {
    const interfaceName = textOf(port, "interface");
    const portId = idOf(ids, `port ${name}`, interfaceName, HOST_PORTS_MAX - 1);
    return {
      portId,
      interfaceName,
      segment: segmentOf(segments, textOf(port, "tenant"), textOf(port, "segment")),
      isVmPort: vmPorts.has(portId),
      staticNeighbours: ((port["static-neighbour"] as string[] | undefined) ?? []).map(macOf),
    };
  });
  const agentSocket = host["agent-socket"] as string | undefined;
  return { name, agentSocket, ports, vms: own };
}

function poolOf(pool: Data, tenant: string, segments: ReadonlyMap<string, Segment>): ExternalPool {
  return {
    segmentId: segmentOf(segments, tenant, textOf(pool, "segment")).id,
    addresses: new AddressSet([prefixOf(textOf(pool, "prefix"))]),
    startPort: numberOf(pool, "lower-port", 1),
    endPort: numberOf(pool, "upper-port", 65_535),
  };
}

function idOf(ids: IdRegistry, kind: IdKind, name: string, idMax: number): number {
  const id = ids.idOf(kind, name, idMax);
  if (!id.ok) throw new ModelProblem(`There is no number left for ${kind} "${name}" (${idMax})`);
  return id.value;
}

function listOf(data: Data, name: string): readonly Data[] {
  return (data[name] as readonly Data[] | undefined) ?? [];
}

function textOf(data: Data, name: string): string {
  const value = data[name];
  assert(typeof value === "string", `libyang let "${name}" pass without a value`);
  return value;
}

function numberOf(data: Data, name: string, otherwise: number): number {
  const value = data[name] ?? otherwise;
  assert(typeof value === "number", `"${name}" is a number after validation`);
  return value;
}

function segmentOf(segments: ReadonlyMap<string, Segment>, tenant: string, name: string): Segment {
  const segment = segments.get(`${tenant}/${name}`);
  assert(segment !== undefined, "leafrefs to segments were validated");
  return segment;
}

function macOf(text: string): MacAddress {
  const mac = parseMacAddress(text);
  assert(mac !== undefined, "MAC addresses were validated");
  return mac;
}

/** A prefix may be written with bits below its length; libyang's canonical form has none. */
function prefixOf(text: string): IpPrefix {
  const [addressText = "", lengthText = ""] = text.split("/");
  const address = parseIpAddress(addressText);
  assert(address !== undefined, "prefixes were validated");
  const lengthBits = Number(lengthText);
  return { address: maskAddress(address, lengthBits), lengthBits };
}
