/** Percentiles and the chi-squared test, for claims about measured samples. Pure. */
import { assert } from "./assert.ts";

/** Returns the nearest-rank percentile of `samples`, `share` in (0, 1]; undefined when there are none. */
export function percentileOf(samples: readonly number[], share: number): number | undefined {
  assert(share > 0 && share <= 1, "a percentile's share lies in (0, 1]");
  if (samples.length === 0) return undefined;
  const sorted = samples.toSorted((left, right) => left - right);
  return sorted[Math.ceil(share * sorted.length) - 1];
}

/** Returns the median (nearest rank), or undefined when there are no samples. */
export function medianOf(samples: readonly number[]): number | undefined {
  return percentileOf(samples, 0.5);
}

/**
 * Returns the probability of counts at least this uneven, if the expected shares are true.
 *
 * Pearson's test: sum((o - e)^2 / e) against chi-squared with n - 1 degrees of freedom.
 */
export function chiSquaredP(observed: readonly number[], shares: readonly number[]): number {
  assert(observed.length === shares.length, "each count has its share");
  assert(observed.length >= 2, "a distribution has two classes at least");
  const total = observed.reduce((sum, count) => sum + count, 0);
  const shareTotal = shares.reduce((sum, share) => sum + share, 0);
  let statistic = 0;
  for (const [index, count] of observed.entries()) {
    const expected = (total * (shares[index] ?? 0)) / shareTotal;
    assert(expected > 0, "each class is expected at all");
    statistic += (count - expected) ** 2 / expected;
  }
  return upperGammaShare((observed.length - 1) / 2, statistic / 2);
}

const SERIES_TERMS_MAX = 500;

/** Q(a, x), the regularised upper incomplete gamma function, by its series or its continued fraction. */
function upperGammaShare(a: number, x: number): number {
  if (x <= 0) return 1;
  const scale = Math.exp(a * Math.log(x) - x - logGamma(a));
  if (x < a + 1) {
    let term = 1 / a;
    let sum = term;
    for (let n = 1; n <= SERIES_TERMS_MAX && term > sum * 1e-15; n++) {
      term *= x / (a + n);
      sum += term;
    }
    return Math.max(0, 1 - scale * sum);
  }
  // Evaluated from the tail: Q = scale / (x + 1 - a - 1(1-a)/(x + 3 - a - …)).
  let fraction = 0;
  for (let n = SERIES_TERMS_MAX; n >= 1; n--) {
    fraction = (n * (a - n)) / (x + 2 * n + 1 - a + fraction);
  }
  return Math.min(1, scale / (x + 1 - a + fraction));
}

/** ln Γ(a) by Stirling's series after shifting the argument above 10. */
function logGamma(a: number): number {
  let shift = 0;
  let z = a;
  while (z < 10) {
    shift += Math.log(z);
    z++;
  }
  const series = 1 / (12 * z) - 1 / (360 * z ** 3) + 1 / (1260 * z ** 5);
  return (z - 0.5) * Math.log(z) - z + 0.5 * Math.log(2 * Math.PI) + series - shift;
}
