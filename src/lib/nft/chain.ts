/**
 * Chains whose name is a digest of their content.
 *
 * Pure. Such a chain never changes: a commit adds those that are new, points the base chains at them and
 * deletes those that nobody refers to. So what a chain holds besides rules (the place of a round robin)
 * lives exactly as long as the policy that it stands for, over commits and restarts alike.
 */
import { digestName } from "./identifier.ts";
import type { Chain, Rule } from "./nodes.ts";
import { renderRule } from "./render.ts";

/** Returns the chain; `role` is a short word that tells a reader of `nft list` what it is. */
export function contentChain(role: string, rules: readonly Rule[]): Chain {
  return { name: digestName(role, [JSON.stringify(rules.map(renderRule))]), rules };
}
