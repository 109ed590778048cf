import { expect, test } from "vitest";
import {
  readProcessSec,
  readSoftInterruptSec,
  softInterruptTicksOf,
} from "../../src/cli/bench/processor-time.ts";

test("the softirq ticks are the seventh number of the first line", () => {
  const stat = "cpu  10 20 30 40 50 60 70 80 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n";
  expect(softInterruptTicksOf(stat)).toBe(70);
  expect(softInterruptTicksOf("")).toBe(0);
});

test("a process that works uses processor time, one that is gone none", () => {
  const before = readProcessSec(process.pid);
  const until = performance.now() + 60;
  while (performance.now() < until);
  expect(readProcessSec(process.pid)).toBeGreaterThan(before);
  expect(readProcessSec(2 ** 22 + 1)).toBe(0);
  expect(readSoftInterruptSec()).toBeGreaterThanOrEqual(0);
});
