/**
 * Counts observations in fixed buckets, for quantiles and for Prometheus.
 *
 * Pure. Source: Prometheus text format 0.0.4.
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

  /** Returns how many observations were at most each bound; what lies above the last one is in none. */
  cumulated(): { readonly bound: number; readonly count: number }[] {
    let seen = 0;
    return this.#bounds.map((bound, index) => {
      seen += this.#counts[index] ?? 0;
      return { bound, count: seen };
    });
  }

  format(name: string): string[] {
    const lines = this.cumulated().map(
      ({ bound, count }) => `${name}_bucket{le="${bound}"} ${count}`,
    );
    const total = this.count;
    return [
      ...lines,
      `${name}_bucket{le="+Inf"} ${total}`,
      `${name}_sum ${this.#sum}`,
      `${name}_count ${total}`,
    ];
  }
}
