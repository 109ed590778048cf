import fc from "fast-check";
import { expect, test } from "vitest";
import { countSlots, interleave, SLOTS_MAX } from "../../src/lb/schedule.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";

/** Random cases; `flowlift test --full` runs many more. */
const RUNS = campaignSize(100, 5000);

test("interleave() spreads the turns of weights 1:2:3 over the cycle", () => {
  expect(interleave([1, 2, 3])).toEqual([2, 1, 0, 2, 1, 2]);
});

test("countSlots() divides by the common divisor", () => {
  expect(countSlots([100, 200, 300])).toBe(6);
  expect(countSlots([])).toBe(0);
  expect(countSlots([7])).toBe(1);
});

test(
  `interleave() gives each server exactly its weight, and never strays by more than one turn (${RUNS} cases)`,
  campaignOptions(),
  () => {
    const weights = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(weights, (list) => {
        const slots = interleave(list);
        const total = countSlots(list);
        const divisor = list.reduce((sum, weight) => sum + weight, 0) / total;
        const given = list.map(() => 0);
        slots.forEach((server, index) => {
          given[server] = (given[server] ?? 0) + 1;
          const due = (((list[server] ?? 0) / divisor) * (index + 1)) / total;
          expect(Math.abs((given[server] ?? 0) - due)).toBeLessThan(list.length);
        });
        expect(given).toEqual(list.map((weight) => weight / divisor));
      }),
      { numRuns: RUNS },
    );
  },
);

test.each([
  [SLOTS_MAX - 1, true],
  [SLOTS_MAX, true],
  [SLOTS_MAX + 1, false],
])("a cycle of %d places is possible: %s", (places, possible) => {
  const weights = [1, places - 1];
  if (possible) expect(interleave(weights)).toHaveLength(places);
  else expect(() => interleave(weights)).toThrow("a cycle stays within its bound");
});
