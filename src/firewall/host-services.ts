/**
 * Who may talk to the appliance itself.
 *
 * Pure. Replies, related errors and the neighbour discovery that IPv6 cannot live without are accepted
 * before (src/appliance/ruleset.ts); here stand the services that an operator grants to zones.
 */
import {
  ACCEPT,
  equals,
  INPUT_INTERFACE,
  number,
  payload,
  type Rule,
  type Statement,
  type Value,
} from "../lib/nft/nodes.ts";
import type { ServiceContext } from "../lib/service/provider.ts";
import type { FirewallConfig, HostService } from "./config.ts";

/** NETCONF over SSH (RFC 6242 §7). */
const NETCONF_PORT = 830;
const ICMP_ECHO_REQUEST = 8;
const ICMPV6_ECHO_REQUEST = 128;

/** Returns the rules of the input hook. With the zone firewall off, every interface may use them. */
export function compileHostServices(config: FirewallConfig, context: ServiceContext): Rule[] {
  return (["netconf", "netconf-tls", "ping", "restconf"] as const).flatMap((service) => {
    const from = fromInterfaces(config, service);
    if (from === undefined) return [];
    return serviceMatches(service, config, context).map(
      (matches): Rule => [...from, ...matches, ACCEPT],
    );
  });
}

/** Undefined: nobody may. An empty list of statements: everybody may. */
function fromInterfaces(
  config: FirewallConfig,
  service: HostService,
): readonly Statement[] | undefined {
  if (config.zones === undefined) return [];
  const values = config.zones.zones
    .filter((zone) => zone.hostInbound.includes(service))
    .flatMap((zone) => zone.interfaces.map((name): Value => ({ kind: "interface", name })));
  return values.length === 0 ? undefined : [equals(INPUT_INTERFACE, { kind: "any-of", values })];
}

function serviceMatches(
  service: HostService,
  config: FirewallConfig,
  context: ServiceContext,
): Statement[][] {
  if (service === "restconf" || service === "netconf-tls") {
    const port = service === "restconf" ? config.restconfPort : config.netconfTlsPort;
    return port === undefined ? [] : [[equals(payload("tcp", "dport"), number(port))]];
  }
  if (service === "ping") {
    return [
      [equals(payload("icmp", "type"), number(ICMP_ECHO_REQUEST))],
      [equals(payload("icmpv6", "type"), number(ICMPV6_ECHO_REQUEST))],
    ];
  }
  const ports = new Set([NETCONF_PORT, ...(context.netconfPorts ?? [])]);
  return [[equals(payload("tcp", "dport"), { kind: "any-of", values: [...ports].map(number) })]];
}
