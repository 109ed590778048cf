/** What a guest says through its port is read right, however it is cut; what the tests said is counted. */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type GuestEvent,
  GuestReport,
  LINE_CHARS_MAX,
  OUTPUT_LINES_MAX,
} from "../../src/image/guest-report.ts";
import { formatJobs, GUEST_PROJECT, quoteWord, RECORD } from "../../src/image/guest-script.ts";
import { countTests, GUEST_TESTS, planGuestTest } from "../../src/image/guest-tests.ts";

function read(parts: readonly string[]): GuestEvent[] {
  const report = new GuestReport();
  return [...parts.flatMap((part) => report.push(part)), ...report.end()];
}

const STREAM = [
  `${RECORD}kernel 6.1.0\n${RECORD}start a\nfirst\nsecond\n\n`,
  `${RECORD}result a {"x": "y z"}\n\n${RECORD}end a 3\n${RECORD}start b\n`,
  `${RECORD}end b 0\n${RECORD}done\n`,
].join("");

test("a report is the same however its bytes are cut", () => {
  const whole = read([STREAM]);
  expect(whole.filter(({ kind }) => kind === "ended")).toEqual([
    {
      kind: "ended",
      outcome: { name: "a", exitCode: 3, result: '{"x": "y z"}', output: ["first", "second"] },
    },
    { kind: "ended", outcome: { name: "b", exitCode: 0, output: [] } },
  ]);
  fc.assert(
    fc.property(fc.array(fc.nat(STREAM.length), { maxLength: 8 }), (cuts) => {
      const places = [0, ...cuts.toSorted((left, right) => left - right), STREAM.length];
      const parts = places.slice(1).map((end, at) => STREAM.slice(places[at], end));
      expect(read(parts)).toEqual(whole);
    }),
  );
});

test("a job that the guest's end cut short has no exit code", () => {
  const events = read([`${RECORD}start a\nsome words\n`]);
  expect(events.at(-1)).toEqual({
    kind: "ended",
    outcome: { name: "a", output: ["some words"] },
  });
});

test("an end that was never started, or has no number, ends nothing", () => {
  const events = read([`${RECORD}end a 0\n${RECORD}start b\n${RECORD}end b x\n`]);
  expect(events.filter(({ kind }) => kind === "ended")).toEqual([
    { kind: "ended", outcome: { name: "b", output: [] } },
  ]);
});

test.each([OUTPUT_LINES_MAX - 1, OUTPUT_LINES_MAX, OUTPUT_LINES_MAX + 1])(
  "of %i lines of output the last %# are kept within the bound",
  (count) => {
    const lines = Array.from({ length: count }, (_, index) => `line ${index}`);
    const events = read([`${RECORD}start a\n${lines.join("\n")}\n${RECORD}end a 0\n`]);
    const ended = events.find((event) => event.kind === "ended");
    expect(ended?.outcome.output).toEqual(lines.slice(-OUTPUT_LINES_MAX));
  },
);

test.each([LINE_CHARS_MAX - 1, LINE_CHARS_MAX, LINE_CHARS_MAX + 1])(
  "an unfinished line of %i characters is kept within the bound",
  (count) => {
    const report = new GuestReport();
    report.push(`${RECORD}start a\n`);
    report.push("x".repeat(count));
    const [event] = report.push("\n");
    expect(event?.kind === "output" && event.line.length).toBe(Math.min(count, LINE_CHARS_MAX));
  },
);

test("words reach the guest as they are, whatever they hold", () => {
  expect(quoteWord("it's $HOME; `x`")).toBe("'it'\\''s $HOME; `x`'");
  const job = { name: "a", argv: ["echo", "$(x)"], directory: "/a b", environment: { X: "'" } };
  const script = formatJobs({ jobs: [job], projectRoot: "/", release: "6.1", limitSec: 5 });
  expect(script).toContain("cd '/a b' && exec env 'X='\\''' 'echo' '$(x)'");
});

test("a test that did not pass did not hold, also when it was skipped or nothing was said", () => {
  const said = (numPassedTests: number, numTotalTests: number): string =>
    JSON.stringify({ numPassedTests, numTotalTests });
  expect(countTests(said(3, 3))).toEqual({ passed: 3, failed: 0 });
  expect(countTests(said(2, 3))).toEqual({ passed: 2, failed: 1 });
  expect(countTests("{}")).toEqual({ passed: 0, failed: 1 });
  expect(countTests(undefined)).toEqual({ passed: 0, failed: 1 });
});

test("every row of the table says why, and is a job of its own", () => {
  const jobs = GUEST_TESTS.map((row) => planGuestTest("/p", "/node", row, {}));
  expect(new Set(jobs.map(({ name }) => name)).size).toBe(GUEST_TESTS.length);
  expect(GUEST_TESTS.filter(({ reason }) => reason.length < 10)).toEqual([]);
  for (const { name } of jobs) expect(name).toMatch(/^\S+$/);
  const [own] = jobs;
  expect(own?.argv[0]).toBe("/node");
  const [row] = GUEST_TESTS;
  expect(row && planGuestTest("/p", "/p/.flowlift/node", row, {}).argv[0]).toBe(
    `${GUEST_PROJECT}/.flowlift/node`,
  );
});
