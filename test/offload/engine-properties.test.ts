import fc from "fast-check";
import { expect, test } from "vitest";
import { keyOf } from "../../src/offload/flow-record.ts";
import type { CloseCause } from "../../src/offload-protocol/messages.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";
import { ALLOW, counters, makeEntry, makeUdp } from "./flows.ts";
import { World } from "./world.ts";

/** Random cases; `flowlift test --full` runs many more. */
const RUNS = campaignSize(200, 5000);
const RUNS_MORE = campaignSize(300, 5000);

const FLOWS = 6;
const CAUSES: readonly CloseCause[] = [
  "idle",
  "evicted",
  "neighbour-moved",
  "operator",
  "withdrawn",
];

type Action =
  | { readonly kind: "update" | "closing" | "destroy" | "reincarnate"; readonly flow: number }
  | { readonly kind: "answer" | "activate" | "disconnect" | "connect" | "overrun" | "paths" }
  | { readonly kind: "close"; readonly flow: number; readonly cause: CloseCause }
  | { readonly kind: "advance"; readonly ms: number }
  | { readonly kind: "refuse"; readonly on: boolean }
  | { readonly kind: "credit"; readonly flows: number }
  | { readonly kind: "policy"; readonly forbidden: number };

const flow = fc.nat({ max: FLOWS - 1 });
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("update" as const), flow }) },
  { weight: 6, arbitrary: fc.constant({ kind: "answer" as const }) },
  { weight: 3, arbitrary: fc.constant({ kind: "activate" as const }) },
  fc.record({ kind: fc.constantFrom("closing", "destroy", "reincarnate"), flow }),
  fc.record({ kind: fc.constantFrom("disconnect", "connect", "overrun", "paths") }),
  fc.record({ kind: fc.constant("close" as const), flow, cause: fc.constantFrom(...CAUSES) }),
  fc.record({ kind: fc.constant("advance" as const), ms: fc.nat({ max: 40_000 }) }),
  fc.record({ kind: fc.constant("refuse" as const), on: fc.boolean() }),
  fc.record({ kind: fc.constant("credit" as const), flows: fc.nat({ max: 4 }) }),
  fc.record({ kind: fc.constant("policy" as const), forbidden: flow }),
);

class Run {
  readonly world = new World();
  readonly #ids: number[] = Array.from({ length: FLOWS }, (_, index) => 1000 + index);
  #token = 0;
  #credit = 0;
  #asked = 0;

  #entry(number: number) {
    const make = number % 2 === 0 ? makeEntry : makeUdp;
    return make(number, { id: this.#ids[number] ?? 0 });
  }

  step(action: Action): void {
    const { world } = this;
    switch (action.kind) {
      case "update":
        world.update(this.#entry(action.flow));
        break;
      case "closing":
        world.closing(this.#entry(action.flow));
        break;
      case "destroy":
        if (world.kernel.has(keyOf(this.#entry(action.flow)))) {
          world.destroy(this.#entry(action.flow));
          this.#ids[action.flow] = (this.#ids[action.flow] ?? 0) + FLOWS;
        }
        break;
      case "reincarnate": // The destroy event was lost.
        this.#ids[action.flow] = (this.#ids[action.flow] ?? 0) + FLOWS;
        world.update(this.#entry(action.flow));
        break;
      case "answer":
        world.answerOne();
        break;
      case "activate":
        if (world.connected) world.activateAll();
        break;
      case "close": {
        const holding = [...world.controller.held.values()][action.flow];
        if (holding === undefined) break;
        holding.counters = counters(1n, 100n);
        const event = world.controller.close(holding, action.cause);
        if (world.connected) world.notify([event]);
        break;
      }
      case "disconnect":
        if (world.connected) world.disconnect();
        this.#credit = 0;
        break;
      case "connect":
        if (world.connected) break;
        world.connected = true;
        world.handle({ kind: "session-up" });
        world.notify([...world.controller.unacknowledged]);
        break;
      case "overrun":
        world.conntrack({ kind: "overrun" });
        break;
      case "paths":
        world.handle({ kind: "paths-changed" });
        break;
      case "advance":
        world.advance(action.ms);
        break;
      case "refuse":
        world.controller.decide = (flow) =>
          action.on
            ? { flowId: flow.flowId, outcome: "refused", reason: "location-unknown" }
            : undefined;
        break;
      case "credit":
        if (!world.connected) break;
        this.#credit = action.flows;
        world.handle({
          kind: "notification",
          notification: { kind: "credit", flows: action.flows },
        });
        break;
      case "policy":
        this.#applyPolicy(action.forbidden);
        break;
    }
    this.#check();
  }

  #applyPolicy(forbidden: number): void {
    const token = ++this.#token;
    const port = 1024 + forbidden;
    const { world } = this;
    world.handle({
      kind: "policy",
      token,
      judge: (entry) => ({ ...ALLOW, allowed: entry.original.sourcePort !== port }),
      policyEpoch: BigInt(token),
      deadlineMs: 2_000,
    });
    world.handle({ kind: "policy-entries", token, entries: [...world.kernel.values()] });
    world.handle({ kind: "policy-entries-end", token });
  }

  #check(): void {
    const { world } = this;
    const asked = world.controller.inbox.flatMap(({ request }) =>
      request.kind === "request-offload" ? request.flows : [],
    );
    // A notice may grant less than what was asked for before it came.
    expect(asked.length).toBeLessThanOrEqual(Math.max(this.#credit, this.#asked));
    this.#asked = asked.length;
    expect(world.flowCount).toBeLessThanOrEqual(FLOWS);
    expect(world.resets.length === 0 || world.connected).toBe(true);
    if (world.resets.length > 0) {
      world.resets.length = 0;
      world.disconnect();
      this.#credit = 0;
    }
  }

  /** Everything ends: nothing may be left anywhere. */
  finish(): void {
    const { world } = this;
    world.controller.decide = () => undefined;
    for (const entry of [...world.kernel.values()]) world.destroy(entry);
    this.step({ kind: "connect" });
    this.step({ kind: "credit", flows: 1000 });
    for (let round = 0; round < 20; round++) {
      world.work();
      world.activateAll();
      world.advance(5_000);
      if (world.resets.length > 0) this.step({ kind: "connect" });
    }
    world.work();
  }
}

test(
  `whatever happens in whatever order, credit is kept, and when all has ended nothing remains (${RUNS_MORE} cases)`,
  campaignOptions(),
  () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const run = new Run();
        run.step({ kind: "connect" });
        run.world.work();
        run.step({ kind: "credit", flows: 4 });
        for (const each of actions) run.step(each);
        run.finish();
        expect(run.world.flowCount).toBe(0);
        expect([...run.world.controller.held.keys()]).toEqual([]);
        expect(run.world.controller.unacknowledged).toEqual([]);
      }),
      { numRuns: RUNS_MORE },
    );
  },
);

test(
  `a flow is never held twice, and no entry is deleted while its flow is held (${RUNS} cases)`,
  campaignOptions(),
  () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const run = new Run();
        const { controller } = run.world;
        run.world.onDelete = (entry) => {
          for (const { flow } of controller.held.values()) {
            const same = flow.original.match.sourcePort === entry.original.sourcePort;
            expect(same && run.world.connected).toBe(false);
          }
        };
        run.step({ kind: "connect" });
        run.world.work();
        run.step({ kind: "credit", flows: 4 });
        for (const each of actions) {
          run.step(each);
          const tuples = [...controller.held.values()].map(({ flow }) =>
            JSON.stringify(flow.original.match),
          );
          expect(new Set(tuples).size).toBe(tuples.length);
        }
      }),
      { numRuns: RUNS },
    );
  },
);
