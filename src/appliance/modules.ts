/** The YANG modules of an appliance, in one table. Pure. */
import type { YangModuleRequest } from "../lib/yang/yang-context.ts";

/** Which functions an appliance has. A firewall is in all of them. */
export const APPLIANCE_PROFILES = ["nat", "lb", "firewall", "all"] as const;
export type ApplianceProfile = (typeof APPLIANCE_PROFILES)[number];

/** Tells whether this is the name of a profile. */
export function isApplianceProfile(name: unknown): name is ApplianceProfile {
  return (APPLIANCE_PROFILES as readonly unknown[]).includes(name);
}

/** The modules of functions that not every profile has. */
const PROFILES_OF: Readonly<Record<string, readonly ApplianceProfile[]>> = {
  "ietf-nat": ["nat", "all"],
  "flowlift-load-balancer": ["lb", "all"],
};

/** Returns the modules of a profile: what it does not have cannot be configured. */
export function listApplianceModules(profile: ApplianceProfile): readonly YangModuleRequest[] {
  return APPLIANCE_MODULES.filter(({ name }) => PROFILES_OF[name]?.includes(profile) ?? true);
}

/** Features are those that the three functions carry out; the rest is unknown to a client. */
export const APPLIANCE_MODULES: readonly YangModuleRequest[] = [
  { name: "iana-if-type" },
  { name: "ietf-interfaces", features: ["if-mib"] },
  { name: "ietf-ip" },
  { name: "ietf-routing" },
  { name: "ietf-ipv4-unicast-routing" },
  { name: "ietf-ipv6-unicast-routing" },
  { name: "flowlift-interfaces" },
  { name: "flowlift-interfaces-deviations" },
  { name: "ietf-system", features: ["authentication", "local-users"] },
  { name: "flowlift-system" },
  { name: "flowlift-system-deviations" },
  { name: "flowlift-restconf" },
  { name: "flowlift-tls" },
  { name: "flowlift-call-home" },
  { name: "ietf-nat", features: ["basic-nat44", "napt44", "dst-nat"] },
  {
    name: "ietf-access-control-list",
    features: [
      "ipv4",
      "ipv6",
      "match-on-ipv4",
      "match-on-ipv6",
      "match-on-tcp",
      "match-on-udp",
      "match-on-icmp",
      "interface-attachment",
      "interface-stats",
      "acl-aggregate-stats",
    ],
  },
  { name: "flowlift-zones" },
  { name: "flowlift-load-balancer" },
  { name: "flowlift-offload-state" },
];
