import fc from "fast-check";
import { expect, test } from "vitest";
import type { FlowRecord } from "../../src/offload/flow-record.ts";
import { TIMER_GRAIN_MS } from "../../src/offload/limits.ts";
import { FlowTimers, NEVER_MS } from "../../src/offload/timers.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";

/** Random cases; `flowlift test --full` runs many more. */
const RUNS = campaignSize(100, 20_000);

function makeRecord(key: string): FlowRecord {
  return { key, dueAtMs: NEVER_MS, timerSlot: -1 } as FlowRecord;
}

test.each([
  [2, 2],
  [3, 3],
  [4, 3],
])(
  "of %i due records takeDue(3) takes %i and leaves the rest for the next turn",
  (count, taken) => {
    const timers = new FlowTimers();
    for (let index = 0; index < count; index++) timers.set(makeRecord(`${index}`), 100);
    expect(timers.takeDue(1000, 3)).toHaveLength(taken);
    expect(timers.takeDue(1000, 3)).toHaveLength(count - taken);
    expect(timers.nextMs()).toBe(NEVER_MS);
  },
);

test(
  `a record is taken once, not before it is due and at most one grain later (${RUNS} cases)`,
  campaignOptions(),
  () => {
    const moves = fc.array(fc.tuple(fc.nat({ max: 4 }), fc.nat({ max: 5_000 })), { maxLength: 40 });
    fc.assert(
      fc.property(moves, (changes) => {
        const timers = new FlowTimers();
        const records = Array.from({ length: 5 }, (_, index) => makeRecord(`${index}`));
        for (const [index, dueAtMs] of changes) {
          const record = records[index];
          if (record !== undefined) timers.set(record, dueAtMs);
        }
        const taken = new Map<string, number>();
        for (let nowMs = timers.nextMs(); nowMs !== NEVER_MS; nowMs = timers.nextMs()) {
          for (const record of timers.takeDue(nowMs, 100)) {
            expect(taken.has(record.key)).toBe(false);
            expect(nowMs).toBeGreaterThanOrEqual(record.dueAtMs);
            expect(nowMs).toBeLessThan(record.dueAtMs + TIMER_GRAIN_MS);
            taken.set(record.key, nowMs);
          }
        }
        const set = records.filter(({ dueAtMs }) => dueAtMs !== NEVER_MS);
        expect(taken.size).toBe(set.length);
      }),
      { numRuns: RUNS },
    );
  },
);

test("NEVER_MS takes a deadline away", () => {
  const timers = new FlowTimers();
  const record = makeRecord("a");
  timers.set(record, 100);
  timers.set(record, NEVER_MS);
  expect(timers.takeDue(1e9, 10)).toEqual([]);
});
