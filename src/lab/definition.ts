/**
 * What a lab consists of, as typed values.
 *
 * Pure. Source: yang/flowlift-lab.yang; libyang has validated the data before it comes here.
 */
import { assert } from "../lib/base/assert.ts";

export interface LabRoute {
  readonly destination: string;
  readonly nextHop: string;
}

export interface LabSegment {
  readonly name: string;
  readonly prefixes: readonly string[];
  readonly transit: boolean;
}

export interface LabExternalPool {
  readonly name: string;
  readonly prefix: string;
  readonly segment: string;
  /** Both ends belong to the range. Absent: every port. */
  readonly ports?: { readonly lower: number; readonly upper: number };
}

export interface LabInterface {
  readonly name: string;
  readonly segment: string;
  /** `address/length`. */
  readonly addresses: readonly string[];
  readonly mac: string | undefined;
}

export interface LabAppliance {
  readonly name: string;
  /** False: a bare machine whose serial port anybody may hold. */
  readonly processes: boolean;
  /** 0 takes a free port. */
  readonly netconfPort: number;
  readonly interfaces: readonly LabInterface[];
  readonly routes: readonly LabRoute[];
  /** RFC 7951 data that is loaded at the first start. */
  readonly configuration: Readonly<Record<string, unknown>>;
}

export interface LabHost {
  readonly name: string;
  readonly segment: string;
  /** `address/length`. */
  readonly addresses: readonly string[];
  readonly mac: string | undefined;
  /** Prefixes of which every address is the host's own. Default: none. */
  readonly localPrefixes?: readonly string[];
  readonly routes: readonly LabRoute[];
}

export interface LabTenant {
  readonly name: string;
  readonly segments: readonly LabSegment[];
  readonly externalPools: readonly LabExternalPool[];
  readonly appliances: readonly LabAppliance[];
  readonly hosts: readonly LabHost[];
}

export interface LabDefinition {
  readonly name: string;
  /** 0 takes a free port. */
  readonly adminPort: number;
  readonly tenants: readonly LabTenant[];
}

/** The name of a lab whose file gives none. */
export const LAB_NAME_DEFAULT = "lab";

type Data = Readonly<Record<string, unknown>>;

/** Reads RFC 7951 data that the module has accepted; `{"flowlift-lab:lab": …}`. */
export function parseLabDefinition(data: Data): LabDefinition {
  const lab = data["flowlift-lab:lab"];
  assert(isData(lab), "validated data holds a lab");
  return {
    name: text(lab, "name") ?? LAB_NAME_DEFAULT,
    adminPort: count(lab, "admin-port"),
    tenants: list(lab, "tenant").map(parseTenant),
  };
}

function parseTenant(tenant: Data): LabTenant {
  return {
    name: needText(tenant, "name"),
    segments: list(tenant, "segment").map((segment) => ({
      name: needText(segment, "name"),
      prefixes: texts(segment, "prefix"),
      transit: segment["transit"] === true,
    })),
    externalPools: list(tenant, "external-pool").map((pool) => ({
      name: needText(pool, "name"),
      prefix: needText(pool, "prefix"),
      segment: needText(pool, "segment"),
      ports: { lower: count(pool, "lower-port", 1), upper: count(pool, "upper-port", 65_535) },
    })),
    appliances: list(tenant, "appliance").map(parseAppliance),
    hosts: list(tenant, "host").map((host) => ({
      name: needText(host, "name"),
      segment: needText(host, "segment"),
      addresses: texts(host, "address"),
      mac: text(host, "mac"),
      localPrefixes: texts(host, "local-prefix"),
      routes: parseRoutes(host),
    })),
  };
}

function parseAppliance(appliance: Data): LabAppliance {
  const configuration = appliance["configuration"];
  return {
    name: needText(appliance, "name"),
    processes: appliance["processes"] !== false,
    netconfPort: count(appliance, "netconf-port"),
    interfaces: list(appliance, "interface").map((entry) => ({
      name: needText(entry, "name"),
      segment: needText(entry, "segment"),
      addresses: texts(entry, "address"),
      mac: text(entry, "mac"),
    })),
    routes: parseRoutes(appliance),
    configuration: isData(configuration) ? configuration : {},
  };
}

function parseRoutes(owner: Data): LabRoute[] {
  return list(owner, "route").map((route) => ({
    destination: needText(route, "destination"),
    nextHop: needText(route, "next-hop"),
  }));
}

function isData(value: unknown): value is Data {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function list(owner: Data, name: string): Data[] {
  const value = owner[name] ?? [];
  assert(Array.isArray(value) && value.every(isData), `validated "${name}" is a list`);
  return value;
}

function texts(owner: Data, name: string): string[] {
  const value = owner[name] ?? [];
  assert(Array.isArray(value), `validated "${name}" is a leaf-list`);
  return value.map(String);
}

function text(owner: Data, name: string): string | undefined {
  const value = owner[name];
  return value === undefined ? undefined : String(value);
}

function needText(owner: Data, name: string): string {
  const value = text(owner, name);
  assert(value !== undefined, `validated data has "${name}"`);
  return value;
}

function count(owner: Data, name: string, otherwise = 0): number {
  return Number(owner[name] ?? otherwise);
}
