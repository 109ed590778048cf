/**
 * What the controller counts, and its text for Prometheus.
 *
 * Pure: counters in memory. Source: Prometheus text format 0.0.4.
 * Limit: label values come from the configuration and from closed lists, so their number is bounded.
 */

import { Histogram, TIME_TO_ACTIVE_BUCKETS_SEC } from "../lib/base/histogram.ts";

/** Counters by one or two labels. */
export class CounterFamily {
  readonly #counts = new Map<string, number>();

  add(labels: Readonly<Record<string, string>>, amount = 1): void {
    const key = formatLabels(labels);
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + amount);
  }

  /** Drops every counter whose labels begin with these. */
  forget(labels: Readonly<Record<string, string>>): void {
    const start = formatLabels(labels).slice(0, -1);
    for (const key of [...this.#counts.keys()]) {
      if (key.startsWith(`${start},`) || key === `${start}}`) this.#counts.delete(key);
    }
  }

  format(name: string): string[] {
    return [...this.#counts].map(([labels, count]) => `${name}${labels} ${count}`);
  }
}

/** Returns `{a="x",b="y"}`. */
export function formatLabels(labels: Readonly<Record<string, string>>): string {
  const parts = Object.entries(labels).map(([name, value]) => {
    const escaped = value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
    return `${name}="${escaped}"`;
  });
  return parts.length === 0 ? "" : `{${parts.join(",")}}`;
}

/** Returns the lines of one metric with its head. */
export function formatMetric(
  name: string,
  type: "counter" | "gauge" | "histogram",
  help: string,
  lines: readonly string[],
): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.map((line) => `${line}\n`).join("")}`;
}

/** The controller's own counters. */
export class ControllerMetrics {
  readonly requests: CounterFamily = new CounterFamily();
  readonly refusals: CounterFamily = new CounterFamily();
  readonly events: CounterFamily = new CounterFamily();
  readonly rpcErrors: CounterFamily = new CounterFamily();
  readonly stampsRefused: CounterFamily = new CounterFamily();
  readonly bridgeLimits: CounterFamily = new CounterFamily();
  readonly timeToActive: Histogram = new Histogram(TIME_TO_ACTIVE_BUCKETS_SEC);
}
