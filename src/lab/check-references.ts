/**
 * What the module cannot say about a lab: addresses that are none, MAC addresses that collide, next hops
 * nobody has.
 *
 * Pure.
 */
import { parseIpAddress } from "../lib/inet/address.ts";
import type { LabDefinition, LabTenant } from "./definition.ts";
import { planLab } from "./plan.ts";

export interface ReferenceProblem {
  /** Instance path in the lab file. */
  readonly path: string;
  readonly reason: string;
}

/** Returns the first thing that is wrong, or undefined. */
export function checkReferences(definition: LabDefinition): ReferenceProblem | undefined {
  for (const tenant of definition.tenants) {
    const found = checkNextHops(tenant) ?? checkAddresses(tenant);
    if (found !== undefined) return found;
  }
  return checkMacs(definition);
}

function tenantPath(tenant: LabTenant): string {
  return `/flowlift-lab:lab/tenant[name='${tenant.name}']`;
}

interface Station {
  readonly path: string;
  readonly segments: readonly string[];
  readonly addresses: readonly (readonly [segment: string, address: string])[];
  readonly nextHops: readonly string[];
}

function listStations(tenant: LabTenant): Station[] {
  const appliances = tenant.appliances.map((appliance) => ({
    path: `${tenantPath(tenant)}/appliance[name='${appliance.name}']`,
    segments: appliance.interfaces.map((entry) => entry.segment),
    addresses: appliance.interfaces.flatMap((entry) =>
      entry.addresses.map((text) => [entry.segment, addressOf(text)] as const),
    ),
    nextHops: appliance.routes.map((route) => route.nextHop),
  }));
  const hosts = tenant.hosts.map((host) => ({
    path: `${tenantPath(tenant)}/host[name='${host.name}']`,
    segments: [host.segment],
    addresses: host.addresses.map((text) => [host.segment, addressOf(text)] as const),
    nextHops: host.routes.map((route) => route.nextHop),
  }));
  return [...appliances, ...hosts];
}

function addressOf(text: string): string {
  return text.split("/")[0]?.toLowerCase() ?? text;
}

function checkNextHops(tenant: LabTenant): ReferenceProblem | undefined {
  const stations = listStations(tenant);
  const known = new Set(
    stations.flatMap((station) => station.addresses.map((pair) => pair.join(" "))),
  );
  for (const station of stations) {
    const missing = station.nextHops.find((nextHop) =>
      station.segments.every((segment) => !known.has(`${segment} ${nextHop.toLowerCase()}`)),
    );
    if (missing !== undefined) {
      return {
        path: station.path,
        reason: `Nobody on its segments has the next hop's address ${missing}`,
      };
    }
  }
  return undefined;
}

function checkAddresses(tenant: LabTenant): ReferenceProblem | undefined {
  const seen = new Set<string>();
  for (const station of listStations(tenant)) {
    for (const [segment, address] of station.addresses) {
      if (parseIpAddress(address) === undefined) {
        return { path: `${station.path}/address`, reason: `"${address}" is no IP address` };
      }
      if (seen.has(`${segment} ${address}`)) {
        return {
          path: station.path,
          reason: `Somebody else on segment "${segment}" has the address ${address}`,
        };
      }
      seen.add(`${segment} ${address}`);
    }
  }
  return undefined;
}

function checkMacs(definition: LabDefinition): ReferenceProblem | undefined {
  const seen = new Set<string>();
  for (const machine of planLab(definition, definition.name).machines) {
    for (const { mac } of machine.interfaces) {
      if (seen.has(mac)) {
        const path = `/flowlift-lab:lab/tenant[name='${machine.tenant}']/${machine.kind}[name='${machine.name}']`;
        return { path, reason: `Another interface of the lab has the MAC address ${mac}` };
      }
      seen.add(mac);
    }
  }
  return undefined;
}
