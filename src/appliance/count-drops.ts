/**
 * Every packet that the ruleset drops on its way through is counted, by reason.
 *
 * Pure. Where a fragment says "drop", the composed ruleset goes to a chain of two words: count, drop. What is
 * accepted pays nothing. A rejected packet counts too: it ends here, and the answer is the appliance's own.
 */
import { contentChain } from "../lib/nft/chain.ts";
import type { RulesetFragment } from "../lib/nft/fragment.ts";
import { type ObjectName, objectName } from "../lib/nft/identifier.ts";
import { type Chain, DROP, type Rule, type Statement, type Verdict } from "../lib/nft/nodes.ts";

/** Why the ruleset drops; `unmatched`: what nothing in the forward hook accepted. */
export const DROP_REASONS = ["lb", "nat", "firewall", "rejected", "invalid", "unmatched"] as const;
export type DropReason = (typeof DROP_REASONS)[number];

const PREFIX = "drop-";
export const DROP_COUNTERS: readonly ObjectName[] = DROP_REASONS.map(dropCounter);
/** In the order of DROP_REASONS. */
export const DROP_CHAINS: readonly Chain[] = DROP_REASONS.map(dropChain);

/** Returns the counter of a reason. */
export function dropCounter(reason: DropReason): ObjectName {
  return objectName(`${PREFIX}${reason}`);
}

function dropChain(reason: DropReason): Chain {
  return contentChain(`drop-${reason}`, [[{ kind: "count", counter: dropCounter(reason) }, DROP]]);
}

/** Returns the verdict that counts and drops. */
export function dropFor(reason: DropReason): Verdict {
  return { kind: "goto", chain: dropChain(reason).name };
}

/** What each function adds to the ruleset. */
export interface FunctionFragments {
  readonly lb: RulesetFragment;
  readonly nat: RulesetFragment;
  readonly firewall: RulesetFragment;
}

/** Returns the fragments in the order of a packet's way, with their drops counted. */
export function countFunctionDrops({ lb, nat, firewall }: FunctionFragments): RulesetFragment[] {
  return [countDrops(lb, "lb"), countDrops(nat, "nat"), countDrops(firewall, "firewall")];
}

/** Returns the fragment with its drops counted for `reason`; the names of its chains stay. */
function countDrops(fragment: RulesetFragment, reason: DropReason): RulesetFragment {
  const counted = (rules: readonly Rule[]): Rule[] =>
    rules.map((rule) => rule.flatMap((statement) => countStatement(statement, reason)));
  return {
    ...fragment,
    chains: fragment.chains.map((chain) => ({ ...chain, rules: counted(chain.rules) })),
    ingress: counted(fragment.ingress),
    destinationNat: counted(fragment.destinationNat),
    forward: counted(fragment.forward),
    sourceNat: counted(fragment.sourceNat),
  };
}

function countStatement(statement: Statement, reason: DropReason): Statement[] {
  const counted = (verdict: Verdict): Verdict =>
    verdict.kind === "drop" ? dropFor(reason) : verdict;
  switch (statement.kind) {
    case "verdict":
      return [{ kind: "verdict", verdict: counted(statement.verdict) }];
    case "verdict-map": {
      const entries = statement.entries.map(
        ([value, verdict]) => [value, counted(verdict)] as const,
      );
      return [{ ...statement, entries }];
    }
    case "reject":
      return [{ kind: "count", counter: dropCounter("rejected") }, statement];
    default:
      return [statement];
  }
}
