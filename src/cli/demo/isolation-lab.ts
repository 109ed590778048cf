/**
 * What the isolation claim adds to a lab: in each of two tenants a bare virtual machine `probe` between
 * two segments of its own, with hosts on both sides.
 *
 * Pure. MAC addresses, prefixes, pools and hosts are equal in both tenants, so a message is valid for both
 * byte for byte; what only the victim has differs from it in one field each.
 * Invariant: the probes share no segment with the tenants' own machines, so none of their frames reach them.
 */

import type { LabDefinition, LabExternalPool, LabTenant } from "../../lab/definition.ts";
import { assert } from "../../lib/base/assert.ts";
import {
  type IpAddress,
  type MacAddress,
  parseIpAddress,
  parseMacAddress,
} from "../../lib/inet/address.ts";

export const PROBE_NAME = "probe";
export const PROBE_INSIDE = "probe-in";
export const PROBE_OUTSIDE = "probe-out";

/** Hosts of both tenants; `near` and `far` are the victim's alone. */
export const PROBE_HOSTS = {
  client: "probe-client",
  server: "probe-server",
  near: "probe-near",
  far: "probe-far",
} as const;

export type ProbeHost = keyof typeof PROBE_HOSTS;

type ProbeMac = "vnicInside" | "vnicOutside" | "victimVnicInside" | "victimVnicOutside" | ProbeHost;

export const PROBE_MACS: Readonly<Record<ProbeMac, MacAddress>> = {
  vnicInside: mac("02:f1:ee:00:00:01"),
  vnicOutside: mac("02:f1:ee:00:00:02"),
  client: mac("02:f1:ee:00:00:10"),
  server: mac("02:f1:ee:00:00:11"),
  victimVnicInside: mac("02:f1:ee:00:00:03"),
  victimVnicOutside: mac("02:f1:ee:00:00:04"),
  near: mac("02:f1:ee:00:00:12"),
  far: mac("02:f1:ee:00:00:13"),
};

type ProbeAddress =
  | "client"
  | "server"
  | "pool"
  | "splitPool"
  | "nearSplitPool"
  | "victimPool"
  | "victimHost"
  | "stranger";

/** Both tenants' unless split by ports or the victim's alone. */
export const PROBE_ADDRESSES: Readonly<Record<ProbeAddress, IpAddress>> = {
  client: ip("10.201.0.10"),
  server: ip("198.18.1.10"),
  pool: ip("198.51.100.200"),
  /** On the outer segment; ports up to PORTS_SPLIT are the hostile tenant's, the others the victim's. */
  splitPool: ip("198.51.100.201"),
  /** The same on the inner segment. */
  nearSplitPool: ip("100.64.0.1"),
  victimPool: ip("198.51.100.210"),
  victimHost: ip("10.202.0.10"),
  /** Somebody on the Internet. */
  stranger: ip("198.18.0.9"),
};

/** The hostile tenant's last port of the shared addresses. */
export const PORTS_SPLIT = 32_767;
const PORT_MIN = 1024;
const PORT_MAX = 65_535;

/** Returns the definition with probes in its first two tenants: the first is hostile, the second the victim. */
export function addProbes(definition: LabDefinition): LabDefinition {
  assert(definition.tenants.length >= 2, "isolation is between two tenants");
  const tenants = definition.tenants.map((tenant, index) =>
    index < 2 ? addProbe(tenant, index === 1) : tenant,
  );
  return { ...definition, tenants };
}

function addProbe(tenant: LabTenant, isVictim: boolean): LabTenant {
  const { vnicInside, vnicOutside, victimVnicInside, victimVnicOutside } = PROBE_MACS;
  return {
    ...tenant,
    segments: [
      ...tenant.segments,
      {
        name: PROBE_INSIDE,
        prefixes: isVictim ? ["10.201.0.0/24", "10.202.0.0/24"] : ["10.201.0.0/24"],
        transit: false,
      },
      { name: PROBE_OUTSIDE, prefixes: ["198.18.1.0/24"], transit: true },
    ],
    externalPools: [...tenant.externalPools, ...listPools(isVictim)],
    appliances: [
      ...tenant.appliances,
      {
        name: PROBE_NAME,
        processes: false,
        netconfPort: 0,
        interfaces: [
          // Without addresses its kernel forwards nothing: what passes, passed the fast path.
          vnic("inside", PROBE_INSIDE, vnicInside),
          vnic("outside", PROBE_OUTSIDE, vnicOutside),
          ...(isVictim
            ? [
                vnic("inside2", PROBE_INSIDE, victimVnicInside),
                vnic("outside2", PROBE_OUTSIDE, victimVnicOutside),
              ]
            : []),
        ],
        routes: [],
        configuration: {},
      },
    ],
    hosts: [
      ...tenant.hosts,
      host("client", PROBE_INSIDE, `${PROBE_ADDRESSES.client}/24`),
      host("server", PROBE_OUTSIDE, `${PROBE_ADDRESSES.server}/24`),
      ...(isVictim
        ? [
            host("near", PROBE_INSIDE, `${PROBE_ADDRESSES.victimHost}/24`),
            host("far", PROBE_OUTSIDE, "198.18.1.11/24"),
          ]
        : []),
    ],
  };
}

function listPools(isVictim: boolean): LabExternalPool[] {
  const { pool, splitPool, nearSplitPool, victimPool } = PROBE_ADDRESSES;
  const ports = isVictim
    ? { lower: PORTS_SPLIT + 1, upper: PORT_MAX }
    : { lower: PORT_MIN, upper: PORTS_SPLIT };
  const outside = { segment: PROBE_OUTSIDE };
  return [
    { name: "probe", prefix: `${pool}/32`, ...outside },
    { name: "probe-split", prefix: `${splitPool}/32`, ...outside, ports },
    { name: "probe-near", prefix: `${nearSplitPool}/32`, segment: PROBE_INSIDE, ports },
    ...(isVictim ? [{ name: "probe-own", prefix: `${victimPool}/32`, ...outside }] : []),
  ];
}

function vnic(
  name: string,
  segment: string,
  address: MacAddress,
): LabTenant["appliances"][number]["interfaces"][number] {
  return { name, segment, addresses: [], mac: address };
}

function host(name: ProbeHost, segment: string, address: string): LabTenant["hosts"][number] {
  return {
    name: PROBE_HOSTS[name],
    segment,
    addresses: [address],
    mac: PROBE_MACS[name],
    routes: [],
  };
}

function mac(text: string): MacAddress {
  const parsed = parseMacAddress(text);
  assert(parsed !== undefined, "the constant is a MAC address");
  return parsed;
}

function ip(text: string): IpAddress {
  const parsed = parseIpAddress(text);
  assert(parsed !== undefined, "the constant is an address");
  return parsed;
}
