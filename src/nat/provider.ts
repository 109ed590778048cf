/** Registers the NAT. Pure. */
import type { RulesetFragment } from "../lib/nft/fragment.ts";
import type { ServiceProvider } from "../lib/service/provider.ts";
import { type NatConfig, parseNatConfig } from "./config.ts";
import { judgeNat } from "./judge.ts";
import { compileNat } from "./ruleset.ts";

export const NAT: ServiceProvider<NatConfig, RulesetFragment> = {
  name: "nat",
  parseConfig: parseNatConfig,
  compile: compileNat,
  judge: judgeNat,
};
