/** Registers the firewall. Pure. */
import type { RulesetFragment } from "../lib/nft/fragment.ts";
import type { ServiceProvider } from "../lib/service/provider.ts";
import { type FirewallConfig, parseFirewallConfig } from "./config.ts";
import { judgeFirewall } from "./judge.ts";
import { compileFirewall } from "./ruleset.ts";

export const FIREWALL: ServiceProvider<FirewallConfig, RulesetFragment> = {
  name: "firewall",
  parseConfig: parseFirewallConfig,
  compile: compileFirewall,
  judge: judgeFirewall,
};
