import { expect, test } from "vitest";
import { chiSquaredP, medianOf, percentileOf } from "../../src/lib/base/statistics.ts";

test("percentileOf() takes the nearest rank", () => {
  const samples = [5, 1, 4, 2, 3];
  expect(percentileOf(samples, 0.2)).toBe(1);
  expect(percentileOf(samples, 0.21)).toBe(2);
  expect(medianOf(samples)).toBe(3);
  expect(percentileOf(samples, 0.99)).toBe(5);
  expect(percentileOf([], 0.5)).toBeUndefined();
});

// Critical values from published tables of the chi-squared distribution.
test.each([
  { name: "one degree of freedom at 5 %", observed: [519.6, 480.4], shares: [1, 1], p: 0.2151 },
  { name: "an exact split", observed: [100, 200, 300], shares: [1, 2, 3], p: 1 },
  { name: "two degrees at 9.21 is 1 %", observed: [], shares: [], p: 0.01 },
])("chiSquaredP() of $name", ({ observed, shares, p }) => {
  if (observed.length === 0) {
    // Choose counts whose statistic is 9.21: (d^2 + d^2) / 100 = 9.21 with d = 21.46 on 100 each.
    const d = Math.sqrt((9.2103 * 100) / 2);
    expect(chiSquaredP([100 + d, 100 - d, 100], [1, 1, 1])).toBeCloseTo(p, 4);
  } else expect(chiSquaredP(observed, shares)).toBeCloseTo(p, 3);
});

test("chiSquaredP() sees a grossly uneven split", () => {
  expect(chiSquaredP([900, 100], [1, 1])).toBeLessThan(1e-9);
});

test("chiSquaredP() agrees with itself where the series hands over to the fraction", () => {
  const at = (statistic: number): number => {
    const d = Math.sqrt((statistic * 100) / 2);
    return chiSquaredP([100 + d, 100 - d, 100, 100], [1, 1, 1, 1]);
  };
  expect(Math.abs(at(4.999) - at(5.001))).toBeLessThan(1e-3);
});
