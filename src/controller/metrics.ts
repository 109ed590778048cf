/**
 * What the controller counts, and its text for Prometheus.
 *
 * Pure: counters in memory. Source: Prometheus text format 0.0.4.
 * Limit: label values come from the configuration and from closed lists, so their number is bounded.
 */

/** Seconds; fine around 1 ms, so that p50 and p99 can be told. */
export const TIME_TO_ACTIVE_BUCKETS_SEC: readonly number[] = [
  0.0001, 0.00015, 0.0002, 0.0003, 0.0004, 0.0005, 0.0006, 0.0008, 0.001, 0.00125, 0.0015, 0.00175,
  0.002, 0.0025, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2,
  0.3, 0.5, 1, 2, 5, 10,
];

/** Counts observations in fixed buckets. */
export class Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Array<number>(bounds.length + 1).fill(0);
  }

  get count(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }

  observe(value: number): void {
    let index = 0;
    while (index < this.#bounds.length && value > (this.#bounds[index] ?? 0)) index++;
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#sum += value;
  }

  /** Returns the upper bound of the bucket in which the quantile lies; undefined without observations. */
  quantile(q: number): number | undefined {
    const total = this.count;
    if (total === 0) return undefined;
    let seen = 0;
    for (const [index, count] of this.#counts.entries()) {
      seen += count;
      if (seen >= q * total) return this.#bounds[index] ?? Number.POSITIVE_INFINITY;
    }
    return Number.POSITIVE_INFINITY;
  }

  format(name: string): string[] {
    let seen = 0;
    const lines = this.#bounds.map((bound, index) => {
      seen += this.#counts[index] ?? 0;
      return `${name}_bucket{le="${bound}"} ${seen}`;
    });
    const total = this.count;
    return [
      ...lines,
      `${name}_bucket{le="+Inf"} ${total}`,
      `${name}_sum ${this.#sum}`,
      `${name}_count ${total}`,
    ];
  }
}

/** Counters by one or two labels. */
export class CounterFamily {
  readonly #counts = new Map<string, number>();

  add(labels: Readonly<Record<string, string>>, amount = 1): void {
    const key = formatLabels(labels);
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + amount);
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
