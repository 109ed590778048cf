import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NO_COUNTERS } from "../../src/controller/flow-key.ts";
import {
  DRIVER_ANSWER_MS_MAX,
  type FlowLifeEvent,
  type FlowPhase,
  QUEUED_MS_MAX,
  startLife,
  stepLife,
} from "../../src/controller/lifecycle.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";

/** Random cases; `flowlift test --full` runs many more. */
const RUNS = campaignSize(100, 50_000);

/** Runs events from a fresh flow; returns the last phase and every effect as text. */
function live(events: readonly FlowLifeEvent[], atMs: readonly number[] = []): [string, string[]] {
  let phase: FlowPhase = startLife(0);
  const told: string[] = [];
  for (const [index, event] of events.entries()) {
    const step = stepLife(phase, event, atMs[index] ?? 0);
    phase = step.phase;
    for (const effect of step.effects) {
      const why = "cause" in effect ? effect.cause : "reason" in effect ? effect.reason : "";
      told.push(why === "" ? effect.kind : `${effect.kind} ${why}`);
    }
  }
  return [phase.kind, told];
}

const SENT: FlowLifeEvent = { kind: "install-sent" };
const INSTALLED: FlowLifeEvent = { kind: "installed" };
const WITHDRAW: FlowLifeEvent = { kind: "withdraw", cause: "withdrawn" };
const IDLE: FlowLifeEvent = { kind: "withdraw", cause: "idle" };
const WITHDRAWN: FlowLifeEvent = { kind: "withdrawn", counters: NO_COUNTERS };
const TICK: FlowLifeEvent = { kind: "tick" };

describe("stepLife()", () => {
  const rows: readonly [string, readonly FlowLifeEvent[], string, readonly string[]][] = [
    [
      "a whole life",
      [SENT, INSTALLED, WITHDRAW, { kind: "withdraw-sent" }, WITHDRAWN],
      "closed",
      ["activated", "queue-withdraw", "closed withdrawn"],
    ],
    [
      "pitfall 1: a withdraw while the install is queued cancels it",
      [WITHDRAW],
      "closed",
      ["refused-late cancelled"],
    ],
    [
      "pitfall 1: a withdraw while the install is under way follows it",
      [SENT, WITHDRAW, INSTALLED, WITHDRAWN],
      "closed",
      ["queue-withdraw", "closed withdrawn"],
    ],
    [
      "a withdraw while an install is under way that then fails",
      [SENT, WITHDRAW, { kind: "install-refused", reason: "table-full" }],
      "closed",
      ["refused-late cancelled"],
    ],
    [
      "pitfall 4: the driver refuses (it undid the one direction)",
      [SENT, { kind: "install-refused", reason: "driver-failed" }],
      "closed",
      ["refused-late driver-failed"],
    ],
    [
      "the first cause of a withdrawal counts",
      [SENT, INSTALLED, IDLE, WITHDRAW, WITHDRAWN],
      "closed",
      ["activated", "queue-withdraw", "closed idle"],
    ],
    [
      "the driver lost it while it was active",
      [SENT, INSTALLED, { kind: "reconciled", isHeld: false }],
      "closed",
      ["activated", "closed evicted"],
    ],
    [
      "the driver comes back with a flow whose install it never answered",
      [SENT, { kind: "reconciled", isHeld: true }],
      "active",
      ["activated"],
    ],
    [
      "the driver comes back without it",
      [SENT, { kind: "reconciled", isHeld: false }],
      "closed",
      ["refused-late driver-failed"],
    ],
    [
      "the driver comes back before it answered a withdrawal",
      [
        SENT,
        INSTALLED,
        WITHDRAW,
        { kind: "withdraw-sent" },
        { kind: "reconciled", isHeld: true },
        WITHDRAWN,
      ],
      "closed",
      ["activated", "queue-withdraw", "queue-withdraw", "closed withdrawn"],
    ],
  ];
  test.each(rows)("%s", (_, events, phase, told) => {
    expect(live(events)).toEqual([phase, told]);
  });

  test.each([-1, 0, 1])("gives a queued flow up %i ms after its deadline", (offset) => {
    const expected = offset < 0 ? ["queued", []] : ["closed", ["refused-late driver-failed"]];
    expect(live([TICK], [QUEUED_MS_MAX + offset])).toEqual(expected);
  });

  test.each([-1, 0, 1])("calls the driver stuck %i ms after an install's deadline", (offset) => {
    const told = offset < 0 ? [] : ["driver-stuck"];
    expect(live([SENT, TICK], [0, DRIVER_ANSWER_MS_MAX + offset])).toEqual(["installing", told]);
  });

  test.each([-1, 0, 1])("calls the driver stuck %i ms after a withdrawal's deadline", (offset) => {
    const told = ["activated", "queue-withdraw", ...(offset < 0 ? [] : ["driver-stuck"])];
    const events = [SENT, INSTALLED, WITHDRAW, { kind: "withdraw-sent" } as const, TICK];
    expect(live(events, [0, 0, 0, 0, DRIVER_ANSWER_MS_MAX + offset])).toEqual(["quiescing", told]);
  });

  test(
    `ends every flow exactly once, however events interleave (${RUNS} cases)`,
    campaignOptions(),
    () => {
      const event = fc.oneof(
        fc.constantFrom(SENT, INSTALLED, WITHDRAW, IDLE, WITHDRAWN, TICK),
        fc.constantFrom<FlowLifeEvent>(
          { kind: "withdraw-sent" },
          { kind: "install-refused", reason: "table-full" },
          { kind: "reconciled", isHeld: true },
          { kind: "reconciled", isHeld: false },
        ),
      );
      const times = fc.array(fc.nat({ max: 30_000 }), { maxLength: 40 });
      fc.assert(
        fc.property(fc.array(event, { maxLength: 40 }), times, (events, steps) => {
          let nowMs = 0;
          const atMs = events.map((_, index) => (nowMs += steps[index] ?? 0));
          const [phase, told] = live(events, atMs);
          const ends = told.filter((what) => /^(closed|refused-late)/.test(what)).length;
          const starts = told.filter((what) => what === "activated").length;
          expect(ends).toBe(phase === "closed" ? 1 : 0);
          expect(starts).toBeLessThanOrEqual(1);
        }),
        { numRuns: RUNS },
      );
    },
  );
});
