/**
 * Compiles ACEs to rules, in order.
 *
 * Pure. A run of neighbouring ACEs that match the same fields by exact values becomes one map lookup
 * (`ace-map.ts`), which is the same as asking them one after the other; all others are one rule each.
 */
import { MARK_ELIGIBLE, MARK_INELIGIBLE_AT_INGRESS } from "../lib/conntrack/mark-bits.ts";
import type { ObjectName } from "../lib/nft/identifier.ts";
import { ACCEPT, DROP, RETURN, type Rule, type Statement, type Verdict } from "../lib/nft/nodes.ts";
import { type Ace, isPerPacket } from "./ace.ts";
import { compileRun, splitRuns } from "./ace-map.ts";
import { type CountedAce, compileMatch } from "./ace-match.ts";

/** Where the ACEs stand. At egress the zones still have to judge what an ACE accepts. */
export type AcePlace = "ingress" | "egress" | "zone";

const LOGS_PER_SECOND_MAX = 10;
const ALL_BITS = 0xffff_ffff;

/** Returns the rules; what no ACE matches goes on behind them. */
export function compileAces(
  aces: readonly CountedAce[],
  place: AcePlace,
  rejectChain: ObjectName,
): Rule[] {
  const rules: Rule[] = [];
  let marked = false;
  for (const run of splitRuns(aces)) {
    const [first] = run;
    if (first === undefined) continue;
    if (run.length > 1) {
      const verdictOf = (ace: Ace): Verdict => verdictFor(ace, place, rejectChain);
      rules.push(...compileRun(run, verdictOf));
      continue;
    }
    const { ace, counter } = first;
    if (isPerPacket(ace) && !marked) {
      rules.push([ineligible(place)]);
      marked = true;
    }
    const conditions = compileMatch(ace.match);
    if (ace.log) {
      rules.push([...conditions, { kind: "log", id: counter, perSecondMax: LOGS_PER_SECOND_MAX }]);
    }
    const verdict = verdictFor(ace, place, rejectChain);
    rules.push([...conditions, { kind: "count", counter }, verdictStatement(verdict)]);
  }
  return rules;
}

/** Returns the statement that keeps a flow off the fast path. */
export function ineligible(place: AcePlace): Statement {
  return place === "ingress"
    ? { kind: "mark-or", bits: MARK_INELIGIBLE_AT_INGRESS }
    : { kind: "mark-and", bits: (ALL_BITS & ~MARK_ELIGIBLE) >>> 0 };
}

function verdictFor(ace: Ace, place: AcePlace, rejectChain: ObjectName): Verdict {
  if (ace.action === "drop") return { kind: "drop" };
  if (ace.action === "reject") return { kind: "goto", chain: rejectChain };
  return { kind: place === "egress" ? "return" : "accept" };
}

function verdictStatement(verdict: Verdict): Statement {
  if (verdict.kind === "accept") return ACCEPT;
  if (verdict.kind === "drop") return DROP;
  return verdict.kind === "return" ? RETURN : { kind: "verdict", verdict };
}
