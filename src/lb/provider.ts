/** Registers the load balancer. Pure. */
import type { RulesetFragment } from "../lib/nft/fragment.ts";
import type { ServiceProvider } from "../lib/service/provider.ts";
import { type LoadBalancerConfig, parseLoadBalancerConfig } from "./config.ts";
import { judgeLoadBalancer } from "./judge.ts";
import { compileLoadBalancer } from "./ruleset.ts";

export const LOAD_BALANCER: ServiceProvider<LoadBalancerConfig, RulesetFragment> = {
  name: "lb",
  parseConfig: parseLoadBalancerConfig,
  compile: compileLoadBalancer,
  judge: judgeLoadBalancer,
};
