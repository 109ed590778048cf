import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  EVENTS_IN_FLIGHT_MAX,
  EVENTS_PER_FLOW_MAX,
  EVENTS_UNACKED_MAX,
  EventLog,
} from "../../src/controller/event-log.ts";
import { NO_COUNTERS } from "../../src/controller/flow-key.ts";
import { IdRegistry } from "../../src/controller/id-registry.ts";
import { TokenBucket } from "../../src/controller/token-bucket.ts";
import { handleRequest } from "../../src/controller/vm-requests.ts";
import { WITHDRAWS_WAITING_MAX } from "../../src/controller/vm-state.ts";
import type { Epoch, FlowEvent } from "../../src/offload-protocol/messages.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";
import { EPOCH, natFlow, World } from "./world.ts";

/** Random cases; `flowlift test --full` runs many more. */
const RUNS = campaignSize(60, 5000);
const FEW_RUNS = campaignSize(100, 5000);

function withQuota(change: Partial<ReturnType<World["vm"]>["vm"]["quota"]>): World {
  const world = new World();
  const state = world.vm();
  state.configure({ ...state.vm, quota: { ...state.vm.quota, ...change } });
  return world;
}

function requestMany(world: World, count: number): string[] {
  const flows = Array.from({ length: count }, (_, index) => natFlow(BigInt(index + 1)));
  return world
    .request(flows)
    .map((result) => (result.outcome === "refused" ? result.reason : "granted"));
}

test.each([9, 10, 11])("a quota of 10 flows holds against %i requests", (count) => {
  const outcomes = requestMany(withQuota({ flowsMax: 10 }), count);
  expect(outcomes.filter((outcome) => outcome === "granted").length).toBe(Math.min(10, count));
  expect(outcomes.slice(10)).toEqual(outcomes.slice(10).map(() => "flow-quota-exceeded"));
});

test.each([9, 10, 11])("a batch of at most 10 holds against %i flows in a request", (count) => {
  const outcomes = requestMany(withQuota({ batchMax: 10 }), count);
  expect(outcomes.slice(10)).toEqual(outcomes.slice(10).map(() => "rate-limited"));
  expect(outcomes.slice(0, 10)).not.toContain("rate-limited");
});

test("a rate of flows is held and regained with time", () => {
  const world = withQuota({ requestsPerSec: 10, requestBurst: 5 });
  expect(requestMany(world, 6).at(-1)).toBe("rate-limited");
  world.nowMs += 99;
  expect(world.request([natFlow(50n)])).toMatchObject([{ reason: "rate-limited" }]);
  world.nowMs += 1;
  expect(world.request([natFlow(50n)])).toMatchObject([{ outcome: "granted-pending" }]);
});

test.each([-1, 0, 1])("%i withdrawals beyond the bound may wait", (offset) => {
  const world = new World();
  requestMany(world, 1);
  world.installAll();
  const request = { kind: "withdraw-offload", epoch: EPOCH, selection: { kind: "all" } } as const;
  let last = "";
  for (let index = 0; index < WITHDRAWS_WAITING_MAX + offset; index++) {
    last = handleRequest(world.context(), request).kind;
  }
  expect(last).toBe(offset > 0 ? "too-many" : "later");
});

test("under pressure of the table each virtual machine keeps to its share", () => {
  const world = new World();
  world.core.capabilities = { ...world.core.capabilities, flowsMax: 100 };
  const outcomes = requestMany(world, 100);
  expect(outcomes.filter((outcome) => outcome === "granted").length).toBe(90);
  expect(outcomes.at(-1)).toBe("table-full");
});

describe("EventLog", () => {
  const event = (flowId: bigint): Omit<FlowEvent, "sequence"> => ({
    epoch: EPOCH,
    flowId,
    what: { kind: "activated", directions: "both" },
  });

  test.each([-1, 0, 1])("has room up to its bound %i", (offset) => {
    const log = new EventLog(1n);
    const owed = EVENTS_UNACKED_MAX - EVENTS_PER_FLOW_MAX + offset;
    expect(log.hasRoomFor(1, owed)).toBe(offset <= 0);
  });

  test.each([-1, 0, 1])("sends at most the window %i without acknowledgement", (offset) => {
    const log = new EventLog(1n);
    for (let index = 0; index < EVENTS_IN_FLIGHT_MAX + offset; index++) log.append(event(1n));
    log.takeUnsent(EVENTS_IN_FLIGHT_MAX * 2);
    expect(log.hasUnsent).toBe(false);
    log.acknowledge(1n);
    expect(log.hasUnsent).toBe(offset > 0);
    expect(log.takeUnsent(10).length).toBe(offset > 0 ? 1 : 0);
  });

  test(
    `tells every event exactly once, in order, over any disconnects (${FEW_RUNS} cases)`,
    campaignOptions(),
    () => {
      const step = fc.oneof(
        fc.record({ kind: fc.constant("append" as const), count: fc.nat({ max: 20 }) }),
        fc.record({ kind: fc.constant("send" as const), count: fc.nat({ max: 20 }) }),
        fc.record({ kind: fc.constant("acknowledge" as const), count: fc.nat({ max: 20 }) }),
        fc.record({ kind: fc.constant("disconnect" as const), count: fc.nat({ max: 20 }) }),
      );
      fc.assert(
        fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
          const log = new EventLog(1n);
          const settled: bigint[] = [];
          let onWire: bigint[] = [];
          let appended = 0n;
          const receive = (count: number): void => {
            for (const sequence of onWire.splice(0, count)) {
              if (sequence > (settled.at(-1) ?? 0n)) settled.push(sequence);
            }
          };
          for (const { kind, count } of steps) {
            if (kind === "append") for (let i = 0; i < count; i++) log.append(event(++appended));
            if (kind === "send") onWire.push(...log.takeUnsent(count).map((each) => each.sequence));
            if (kind === "acknowledge") {
              receive(count);
              log.acknowledge(settled.at(-1) ?? 0n);
            }
            if (kind === "disconnect") {
              receive(count % 3); // The rest is lost with the connection.
              onWire = [];
              log.rewind();
            }
          }
          log.rewind();
          onWire = log.takeUnsent(EVENTS_IN_FLIGHT_MAX).map((each) => each.sequence);
          receive(onWire.length);
          expect(settled).toEqual(
            Array.from({ length: Number(appended) }, (_, i) => BigInt(i + 1)),
          );
        }),
        { numRuns: FEW_RUNS },
      );
    },
  );
});

test(
  `whatever is requested, withdrawn and answered: no quota is exceeded, no tuple held twice (${RUNS} cases)`,
  campaignOptions(),
  () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant("request" as const),
        port: fc.nat({ max: 15 }),
        id: fc.nat({ max: 40 }),
      }),
      fc.record({
        kind: fc.constant("withdraw" as const),
        port: fc.constant(0),
        id: fc.nat({ max: 40 }),
      }),
      fc.record({
        kind: fc.constantFrom(
          "take" as const,
          "install" as const,
          "remove" as const,
          "lose" as const,
        ),
        port: fc.nat({ max: 3 }),
        id: fc.constant(0),
      }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const world = withQuota({ flowsMax: 8 });
        const sent: number[] = [];
        const held = new Set<number>();
        for (const { kind, port, id } of steps) {
          world.nowMs += 1;
          if (kind === "request") world.request([natFlow(BigInt(id), 2000 + port)]);
          if (kind === "withdraw") {
            const selection = { kind: "flow-ids", flowIds: [BigInt(id)] } as const;
            world.send({ kind: "withdraw-offload", epoch: EPOCH, selection });
          }
          if (kind === "take") {
            for (const { fast } of world.core.takeInstalls(3, world.nowMs)) sent.push(fast.handle);
          }
          if (kind === "install") {
            const handle = sent.shift();
            if (handle === undefined) continue;
            if (port > 0) held.add(handle);
            const outcome =
              port > 0
                ? ({ handle, outcome: "installed" } as const)
                : ({ handle, outcome: "refused", reason: "driver-failed" } as const);
            world.core.takeInstallOutcomes([outcome], world.nowMs);
          }
          if (kind === "remove") {
            const batch = world.core.takeWithdraws(2, world.nowMs);
            for (const { fast } of batch) held.delete(fast.handle);
            world.core.takeWithdrawOutcomes(
              batch.map(({ fast }) => ({
                handle: fast.handle,
                outcome: "withdrawn",
                counters: NO_COUNTERS,
              })),
              world.nowMs,
            );
          }
          if (kind === "lose") {
            // The driver took what it was sent, then its connection broke and came back.
            for (const handle of sent.splice(0)) if (port > 1) held.add(handle);
            for (const orphan of world.core.reconcile(held, world.nowMs)) held.delete(orphan);
          }
          world.drain();
          const records = [...world.core.table.list()];
          expect(records.length).toBe(world.vm().flowCount);
          expect(records.length).toBeLessThanOrEqual(8);
          const ports = records.map(({ flow }) => flow.original.match.sourcePort);
          expect(new Set(ports).size).toBe(ports.length);
          // Whatever the fast path holds is still attributed, so its tuple cannot be given away.
          for (const handle of held) expect(world.core.table.get(handle)).toBeDefined();
        }
      }),
      { numRuns: RUNS },
    );
  },
);

test("pitfall 14: handles, tokens and sequence numbers do not wrap", () => {
  const flowsPerSec = 10_000_000;
  const yearSec = 365 * 86_400;
  expect(Number.MAX_SAFE_INTEGER / flowsPerSec / yearSec).toBeGreaterThan(25);
  const sequence = (BigInt(Date.UTC(2200, 0)) << 20n) + 2n * BigInt(flowsPerSec * yearSec);
  expect(sequence).toBeLessThan(2n ** 64n);
});

test.each([2, 3, 4])("IdRegistry gives %i names at most 3 numbers, each once", (count) => {
  const ids = new IdRegistry();
  const given = Array.from({ length: count }, (_, index) => ids.idOf("segment", `s${index}`, 3));
  expect(given.map((id) => (id.ok ? id.value : 0))).toEqual([1, 2, 3, 0].slice(0, count));
  const again = new IdRegistry(ids.toData());
  expect(again.idOf("segment", "s1", 3)).toEqual({ ok: true, value: 2 });
  again.forget("segment", new Set(["s1"]));
  expect(again.idOf("segment", "new", 3)).toEqual({ ok: true, value: 1 });
  expect(again.idOf("segment", "newer", 3)).toEqual({ ok: true, value: 3 });
});

test.each([4, 5, 6])("TokenBucket of 5 gives %i tokens no more than 5", (wanted) => {
  expect(new TokenBucket(1, 5, 0).take(wanted, 0)).toBe(Math.min(5, wanted));
});

test("an unknown epoch replaces the one before; superseded ones are remembered up to a bound", () => {
  const world = new World();
  const state = world.vm();
  const epochs = Array.from({ length: 66 }, (_, n) => n.toString(16).padStart(16, "0") as Epoch);
  for (const epoch of epochs) expect(state.enterEpoch(epoch)).toBe(true);
  expect(state.enterEpoch(epochs[64] as Epoch)).toBe(false);
  expect(state.enterEpoch(epochs[1] as Epoch)).toBe(false);
  expect(state.enterEpoch(epochs[0] as Epoch)).toBe(true);
});
