/**
 * What the engine counts: refusals, closes, odd things by name, and traffic by admitting rule.
 *
 * Pure. A flow's counters are absolute, so they are added once, when the flow is closed.
 */
import { Histogram, TIME_TO_ACTIVE_BUCKETS_SEC } from "../lib/base/histogram.ts";
import type {
  CloseCause,
  DirectionCounters,
  FlowCounters,
  FlowRule,
  RefusalReason,
} from "../offload-protocol/messages.ts";
import type { OffloadState } from "./handle.ts";

export interface RuleTally {
  readonly attachment: string;
  readonly direction: "ingress" | "egress";
  readonly name: string;
  readonly fastPackets: bigint;
  readonly fastBytes: bigint;
}

/** A live flow's counters, and the rules that they belong to. */
export interface LiveTraffic {
  readonly rules: readonly FlowRule[];
  readonly counters: FlowCounters;
}

/** Rules that are told apart; the rest is added up under one name. */
export const RULES_TALLIED_MAX = 16_384;

export class Tally {
  readonly refusals: Partial<Record<RefusalReason, number>> = {};
  readonly closes: Partial<Record<CloseCause, number>> = {};
  readonly counts: Record<string, number> = {};
  readonly #timeToActive: Histogram = new Histogram(TIME_TO_ACTIVE_BUCKETS_SEC);
  readonly #rules = new Map<string, RuleTally>();

  count(name: string, by = 1): void {
    this.counts[name] = (this.counts[name] ?? 0) + by;
  }

  refused(reason: RefusalReason): void {
    this.refusals[reason] = (this.refusals[reason] ?? 0) + 1;
  }

  closed(cause: CloseCause): void {
    this.closes[cause] = (this.closes[cause] ?? 0) + 1;
  }

  activated(timeToActiveMs: number): void {
    this.#timeToActive.observe(timeToActiveMs / 1000);
  }

  timeToActive(): OffloadState["timeToActive"] {
    const cumulated = this.#timeToActive.cumulated();
    const lastBoundSec = cumulated.at(-1)?.bound ?? 0;
    const ms = (q: number): number | undefined => {
      const seconds = this.#timeToActive.quantile(q);
      return seconds === undefined ? undefined : Math.min(seconds, lastBoundSec) * 1000;
    };
    return {
      count: this.#timeToActive.count,
      p50Ms: ms(0.5),
      p99Ms: ms(0.99),
      buckets: cumulated.map(({ bound, count }) => ({ upToMs: bound * 1000, count })),
    };
  }

  addTraffic(rules: readonly FlowRule[], counters: FlowCounters): void {
    for (const rule of rules) addTo(this.#rules, rule, counters);
  }

  /** Returns the closed flows' traffic with that of the given live ones. */
  traffic(live: Iterable<LiveTraffic>): RuleTally[] {
    const sum = new Map(this.#rules);
    for (const { rules, counters } of live) {
      for (const rule of rules) addTo(sum, rule, counters);
    }
    return [...sum.values()];
  }
}

/** A rule object belongs to a judge, which gives the same one to many flows. */
const keys = new WeakMap<FlowRule, string>();

function keyOf(rule: FlowRule): string {
  const known = keys.get(rule);
  if (known !== undefined) return known;
  const key = JSON.stringify([rule.attachment, rule.direction, rule.name]);
  keys.set(rule, key);
  return key;
}

function addTo(sum: Map<string, RuleTally>, rule: FlowRule, counters: FlowCounters): void {
  const full = keyOf(rule);
  const known = sum.has(full) || sum.size < RULES_TALLIED_MAX;
  const key = known ? full : "";
  const { attachment, direction, name } = known ? rule : { ...rule, attachment: "*", name: "*" };
  const before = sum.get(key);
  const add = (field: "fastPackets" | "fastBytes"): bigint =>
    (before?.[field] ?? 0n) + counters.original[field] + counters.reply[field];
  sum.set(key, {
    attachment,
    direction,
    name,
    fastPackets: add("fastPackets"),
    fastBytes: add("fastBytes"),
  });
}

const ZERO: DirectionCounters = {
  fastPackets: 0n,
  fastBytes: 0n,
  passedPackets: 0n,
  passedBytes: 0n,
};

export const ZERO_COUNTERS: FlowCounters = { original: ZERO, reply: ZERO, lastUsedMsAgo: 0n };
