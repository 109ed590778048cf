/**
 * Runs of neighbouring ACEs as one map lookup.
 *
 * Pure. A run is a stretch of ACEs without anything between them that match the same fields and nothing
 * else, so that each is a box in the space of those fields. Boxes of a run are pairwise equal or disjoint:
 * of equal ones only the first can ever match, and of disjoint ones at most one matches a packet. So looking
 * the packet up is the same as asking the ACEs in order. An ACE that overlaps starts the next run.
 * Source: measured, a lookup costs about the same for 1 and for 100,000 entries, a rule about 10 ns each.
 * Limit: RUN_ACES_MAX, because finding overlaps compares each ACE with all before it.
 */
import { assert } from "../lib/base/assert.ts";
import type { ObjectName } from "../lib/nft/identifier.ts";
import { payload, type Rule, type Selector, type Value, type Verdict } from "../lib/nft/nodes.ts";
import { type Ace, type AceMatch, isPerPacket, PROTOCOL_TCP, PROTOCOL_UDP } from "./ace.ts";
import {
  type Box,
  boxesOverlap,
  boxOf,
  boxText,
  FIELDS,
  type Field,
  fieldValue,
} from "./ace-box.ts";
import { type CountedAce, compileFamily } from "./ace-match.ts";

/** Shorter runs stay rules: two lookups cost about as much as a few comparisons. */
export const RUN_ACES_MIN = 8;
export const RUN_ACES_MAX = 2048;

/** Returns the ACEs in order: each inner list is a run for a map, or a single ACE. */
export function splitRuns(aces: readonly CountedAce[]): (readonly CountedAce[])[] {
  const runs: (readonly CountedAce[])[] = [];
  let index = 0;
  while (index < aces.length) {
    const end = index + runLength(aces, index);
    const run = aces.slice(index, end);
    if (run.length >= RUN_ACES_MIN) runs.push(run);
    else runs.push(...run.map((ace) => [ace]));
    index = end;
  }
  return runs;
}

/** Returns how many ACEs from `start` on share a shape and do not overlap. */
function runLength(aces: readonly CountedAce[], start: number): number {
  const shape = shapeOf(aces[start]?.ace);
  if (shape === undefined) return 1;
  const boxes: Box[] = [];
  const texts = new Set<string>();
  let allPoints = true;
  const last = Math.min(aces.length, start + RUN_ACES_MAX);
  for (let index = start; index < last; index++) {
    const ace = aces[index]?.ace;
    if (ace === undefined || shapeOf(ace) !== shape) return index - start;
    const box = boxOf(ace.match);
    const text = boxText(box);
    if (texts.has(text)) continue;
    allPoints &&= isPoint(box);
    if (!allPoints && boxes.some((known) => boxesOverlap(known, box))) return index - start;
    texts.add(text);
    boxes.push(box);
  }
  return last - start;
}

/** Different points never overlap, and only points need not be compared. */
function isPoint(box: Box): boolean {
  return box.every((side) => side.first === side.last);
}

/** Returns the rules of one run: the first counts, the second judges. */
export function compileRun(
  run: readonly CountedAce[],
  verdictOf: (ace: Ace) => Verdict,
): readonly Rule[] {
  const match = run[0]?.ace.match;
  assert(match !== undefined, "a run is not empty");
  const fields = fieldsOf(match);
  const selectors = fields.map((field) => selectorOf(match, field));
  const [only] = selectors;
  assert(only !== undefined, "a run matches at least one field");
  const key: Selector = selectors.length === 1 ? only : { kind: "concat", parts: selectors };
  const seen = new Set<string>();
  const verdicts: (readonly [Value, Verdict])[] = [];
  const counters: (readonly [Value, ObjectName])[] = [];
  for (const { ace, counter } of run) {
    const text = boxText(boxOf(ace.match));
    if (seen.has(text)) continue; // An earlier ACE has the same key: this one can never match.
    seen.add(text);
    const parts = fields.map((field) => fieldValue(ace.match, field));
    const [single] = parts;
    const value: Value =
      parts.length === 1 && single !== undefined ? single : { kind: "tuple", parts };
    verdicts.push([value, verdictOf(ace)]);
    counters.push([value, counter]);
  }
  const family = compileFamily(match.family);
  return [
    [...family, { kind: "count-map", key, entries: counters }],
    [...family, { kind: "verdict-map", key, entries: verdicts }],
  ];
}

/** Returns a text that ACEs of one run share, or undefined for ACEs that stand alone. */
function shapeOf(ace: Ace | undefined): string | undefined {
  if (ace === undefined || isPerPacket(ace)) return undefined;
  const { match } = ace;
  if (match.ingressInterface !== undefined || match.egressInterface !== undefined) return undefined;
  if (match.icmpType !== undefined || match.icmpCode !== undefined) return undefined;
  if (match.sourcePort?.negated || match.destinationPort?.negated) return undefined;
  const hasPorts = match.protocol === PROTOCOL_TCP || match.protocol === PROTOCOL_UDP;
  if (!hasPorts && (match.sourcePort || match.destinationPort)) return undefined;
  // A map cannot hold "everything" beside narrower keys.
  if (match.source?.lengthBits === 0 || match.destination?.lengthBits === 0) return undefined;
  const fields = fieldsOf(match);
  return fields.length === 0 ? undefined : `${match.family ?? ""} ${fields.join(" ")}`;
}

function fieldsOf(match: AceMatch): readonly Field[] {
  return FIELDS.filter((field) => match[field] !== undefined);
}

function selectorOf(match: AceMatch, field: Field): Selector {
  const ip = match.family === 6 ? "ip6" : "ip";
  switch (field) {
    case "protocol":
      return { kind: "meta", key: "l4proto" };
    case "source":
      return payload(ip, "saddr");
    case "destination":
      return payload(ip, "daddr");
    case "sourcePort":
      return payload("th", "sport");
    case "destinationPort":
      return payload("th", "dport");
  }
}
