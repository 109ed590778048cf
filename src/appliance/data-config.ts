/** The whole configuration of the data plane, typed, and its ruleset. Pure. */

import type { FirewallConfig } from "../firewall/config.ts";
import { FIREWALL } from "../firewall/provider.ts";
import type { LoadBalancerConfig } from "../lb/config.ts";
import { LOAD_BALANCER } from "../lb/provider.ts";
import { ok, type Result } from "../lib/base/result.ts";
import type { Ruleset } from "../lib/nft/nodes.ts";
import type { ConfigData, ConfigProblem, ServiceContext } from "../lib/service/provider.ts";
import type { NatConfig } from "../nat/config.ts";
import { NAT } from "../nat/provider.ts";
import { type OffloadPolicy, parseOffloadPolicy } from "./policy-offload.ts";
import { composeRuleset } from "./ruleset.ts";

export interface ApplianceConfig {
  readonly lb: LoadBalancerConfig;
  readonly nat: NatConfig;
  readonly firewall: FirewallConfig;
  readonly offload: OffloadPolicy;
}

/** Returns the typed configuration, or the first problem. */
export function parseApplianceConfig(
  data: ConfigData,
  context: ServiceContext,
): Result<ApplianceConfig, ConfigProblem> {
  const lb = LOAD_BALANCER.parseConfig(data, context);
  if (!lb.ok) return lb;
  const nat = NAT.parseConfig(data, context);
  if (!nat.ok) return nat;
  const firewall = FIREWALL.parseConfig(data, context);
  if (!firewall.ok) return firewall;
  const offload = parseOffloadPolicy(data);
  return ok({ lb: lb.value, nat: nat.value, firewall: firewall.value, offload });
}

/** Returns the ruleset of a configuration. */
export function compileAppliance(config: ApplianceConfig, context: ServiceContext): Ruleset {
  const fragments = {
    lb: LOAD_BALANCER.compile(config.lb, context),
    nat: NAT.compile(config.nat, context),
    firewall: FIREWALL.compile(config.firewall, context),
  };
  return composeRuleset(fragments, context, config.offload);
}
