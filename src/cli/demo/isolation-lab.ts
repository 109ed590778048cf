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
  type AddressFamily,
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
  /** On the outer segment; ports up to PORTS_SPLIT are the hostile tenant's, the others the victim's. */
  | "splitPool"
  /** The same on the inner segment. */
  | "nearSplitPool"
  | "victimPool"
  | "victimHost"
  | "far"
  /** Somebody on the Internet. */
  | "stranger";

/** Both tenants' unless split by ports or the victim's alone. */
export const PROBE_ADDRESSES: Readonly<
  Record<AddressFamily, Readonly<Record<ProbeAddress, IpAddress>>>
> = {
  4: {
    client: ip("10.201.0.10"),
    server: ip("198.18.1.10"),
    pool: ip("198.51.100.200"),
    splitPool: ip("198.51.100.201"),
    nearSplitPool: ip("100.64.0.1"),
    victimPool: ip("198.51.100.210"),
    victimHost: ip("10.202.0.10"),
    far: ip("198.18.1.11"),
    stranger: ip("198.18.0.9"),
  },
  6: {
    client: ip("fd00:0:0:201::10"),
    server: ip("2001:db8:0:201::10"),
    pool: ip("2001:db8:0:fff::200"),
    splitPool: ip("2001:db8:0:fff::201"),
    nearSplitPool: ip("fd00:0:0:fff::1"),
    victimPool: ip("2001:db8:0:fff::210"),
    victimHost: ip("fd00:0:0:202::10"),
    far: ip("2001:db8:0:201::11"),
    stranger: ip("2001:db8:ffff::9"),
  },
};

const COMMON_INSIDE = ["10.201.0.0/24", "fd00:0:0:201::/64"];
const VICTIM_INSIDE = ["10.202.0.0/24", "fd00:0:0:202::/64"];
const COMMON_OUTSIDE = ["198.18.1.0/24", "2001:db8:0:201::/64"];
const FAMILIES = [4, 6] as const;

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
        prefixes: isVictim ? [...COMMON_INSIDE, ...VICTIM_INSIDE] : COMMON_INSIDE,
        transit: false,
      },
      { name: PROBE_OUTSIDE, prefixes: COMMON_OUTSIDE, transit: true },
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
      host("client", PROBE_INSIDE, "client"),
      host("server", PROBE_OUTSIDE, "server"),
      ...(isVictim
        ? [host("near", PROBE_INSIDE, "victimHost"), host("far", PROBE_OUTSIDE, "far")]
        : []),
    ],
  };
}

function listPools(isVictim: boolean): LabExternalPool[] {
  const ports = isVictim
    ? { lower: PORTS_SPLIT + 1, upper: PORT_MAX }
    : { lower: PORT_MIN, upper: PORTS_SPLIT };
  const outside = { segment: PROBE_OUTSIDE };
  return FAMILIES.flatMap((family) => {
    const { pool, splitPool, nearSplitPool, victimPool } = PROBE_ADDRESSES[family];
    const whole = (address: IpAddress): string => `${address}/${family === 4 ? 32 : 128}`;
    return [
      { name: `probe${family}`, prefix: whole(pool), ...outside },
      { name: `split${family}`, prefix: whole(splitPool), ...outside, ports },
      { name: `near${family}`, prefix: whole(nearSplitPool), segment: PROBE_INSIDE, ports },
      ...(isVictim ? [{ name: `own${family}`, prefix: whole(victimPool), ...outside }] : []),
    ];
  });
}

function vnic(
  name: string,
  segment: string,
  address: MacAddress,
): LabTenant["appliances"][number]["interfaces"][number] {
  return { name, segment, addresses: [], mac: address };
}

function host(name: ProbeHost, segment: string, address: ProbeAddress): LabTenant["hosts"][number] {
  return {
    name: PROBE_HOSTS[name],
    segment,
    addresses: [`${PROBE_ADDRESSES[4][address]}/24`, `${PROBE_ADDRESSES[6][address]}/64`],
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
