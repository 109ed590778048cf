import { expect, test } from "vitest";
import { MARK_CLOSING } from "../../src/lib/conntrack/mark-bits.ts";
import { keyOf } from "../../src/offload/flow-record.ts";
import { ACKNOWLEDGE_AFTER_MS } from "../../src/offload/limits.ts";
import type { Epoch } from "../../src/offload-protocol/messages.ts";
import type { FakeController } from "./fake-controller.ts";
import { ALLOW, counters, EPOCH, makeEntry, makeUdp, OLD_EPOCH } from "./flows.ts";
import { World } from "./world.ts";

/** Lets a second world's engine meet what the first one left at the controller and in the kernel. */
function restart(before: World, epoch: Epoch): World {
  const after = new World({ epoch });
  for (const [key, holding] of before.controller.held) after.controller.held.set(key, holding);
  for (const [key, entry] of before.kernel) after.kernel.set(key, entry);
  return after;
}

function offloaded(count: number, epoch = OLD_EPOCH): World {
  const world = new World({ epoch });
  world.connect();
  world.offload(...Array.from({ length: count }, (_, number) => makeEntry(number)));
  expect(world.count("active")).toBe(count);
  return world;
}

function holdingOf(controller: FakeController, index: number) {
  const holding = [...controller.held.values()][index];
  if (holding === undefined) throw new Error("the controller does not hold so many");
  return holding;
}

test("a restarted process adopts the flows of an older epoch, page by page, without a gap", () => {
  const after = restart(offloaded(5), EPOCH);
  after.controller.pageMax = 2;
  after.connect();
  expect(after.requests("get-flows")).toHaveLength(3);
  expect(after.count("active")).toBe(5);
  expect(after.requests("request-offload")).toEqual([]);
  expect(after.requests("withdraw-offload")).toEqual([]);
  after.closing(makeEntry(0));
  after.work();
  expect(after.requests("withdraw-offload")).toEqual([
    {
      kind: "withdraw-offload",
      epoch: OLD_EPOCH,
      selection: { kind: "flow-ids", flowIds: [1n] },
    },
  ]);
  expect(after.flowCount).toBe(4);
});

test.each<[string, (world: World) => void]>([
  ["ended", (world) => world.kernel.delete(keyOf(makeEntry(1)))],
  [
    "is closing",
    (world) => {
      const entry = makeEntry(1);
      world.kernel.set(keyOf(entry), { ...entry, mark: entry.mark | MARK_CLOSING });
    },
  ],
  [
    "is translated otherwise now",
    (world) => {
      const entry = makeEntry(1);
      const reply = { ...entry.reply, destinationPort: 9 };
      world.kernel.set(keyOf(entry), { ...entry, reply });
    },
  ],
])("a held flow is withdrawn after a restart when its entry %s", (_, change) => {
  const after = restart(offloaded(3), EPOCH);
  change(after);
  after.connect();
  after.work();
  expect(after.requests("withdraw-offload").map(({ selection }) => selection)).toEqual([
    { kind: "flow-ids", flowIds: [2n] },
  ]);
  expect(after.count("active")).toBe(2);
});

test("a held flow that the policy forbids is withdrawn after a restart", () => {
  const before = offloaded(1);
  const after = new World({ judge: () => ({ ...ALLOW, allowed: false }) });
  for (const [key, holding] of before.controller.held) after.controller.held.set(key, holding);
  for (const [key, entry] of before.kernel) after.kernel.set(key, entry);
  after.connect();
  after.work();
  expect(after.controller.held.size).toBe(0);
  expect(after.flowCount).toBe(0);
});

test("a new session keeps active flows and repeats withdrawals that were not answered", () => {
  const world = offloaded(3);
  world.closing(makeEntry(0));
  world.disconnect();
  expect(world.count("active")).toBe(2);
  expect(world.count("withdrawing")).toBe(1);
  world.connect();
  world.work();
  expect(world.count("active")).toBe(2);
  expect(world.flowCount).toBe(2);
  expect(world.controller.held.size).toBe(2);
});

test("a flow that fell off at the controller is requested anew", () => {
  const world = offloaded(2);
  world.disconnect();
  world.controller.held.clear();
  world.connect();
  world.work();
  world.activateAll();
  expect(world.engine.getState().counts["flows-fell-off"]).toBe(2);
  expect(world.count("active")).toBe(2);
  expect(
    world
      .requests("request-offload")
      .at(-1)
      ?.flows.map(({ flowId }) => flowId),
  ).toEqual([3n, 4n]);
});

test("a request that was lost with the session is repeated, one that arrived is not", () => {
  const world = offloaded(0);
  world.update(makeEntry(1));
  world.disconnect();
  world.connect();
  world.work();
  expect(world.requests("request-offload")).toHaveLength(1);
  expect(world.count("pending")).toBe(1);
  world.disconnect(); // Nothing was lost this time.
  world.connect();
  world.work();
  expect(world.requests("request-offload")).toHaveLength(1);
  world.activateAll();
  expect(world.count("active")).toBe(1);
});

test("a close that arrives while resynchronising ends the flow that the page still listed", () => {
  const before = offloaded(1);
  const after = restart(before, EPOCH);
  after.connected = true;
  after.snapshotsAtOnce = false;
  after.handle({ kind: "session-up" });
  after.work();
  after.notify([after.controller.close(holdingOf(after.controller, 0), "evicted")]);
  expect(after.flowCount).toBe(0);
  after.snapshot();
  expect(after.engine.getState().closesByCause).toEqual({ evicted: 1 });
  expect(after.count("active")).toBe(0);
  expect(after.count("waiting")).toBe(1);
});

test("events that the controller repeats after a reconnect are settled once", () => {
  const world = offloaded(2);
  const holding = holdingOf(world.controller, 0);
  holding.counters = counters(3n);
  world.notify([world.controller.close(holding, "operator")]);
  const repeated = [...world.controller.unacknowledged];
  expect(repeated).not.toEqual([]);
  world.disconnect();
  world.connect();
  world.notify(repeated);
  world.work();
  expect(world.engine.getState().closesByCause).toEqual({ operator: 1 });
  world.advance(ACKNOWLEDGE_AFTER_MS);
  world.work();
  expect(world.controller.unacknowledged).toEqual([]);
});

test("without a session the flows are forgotten when the lease is over, and come back with the next", () => {
  const world = offloaded(2);
  world.disconnect();
  world.advance(29_000);
  expect(world.count("active")).toBe(2);
  world.advance(2_000);
  expect(world.count("active")).toBe(0);
  world.connect();
  world.work();
  expect(world.count("active")).toBe(2);
  expect(world.engine.getState().counts["flows-adopted"]).toBe(2);
});

test("lost events are repaired by a dump: ended flows are withdrawn, new ones requested", () => {
  const world = offloaded(2);
  const fresh = makeUdp(7);
  world.kernel.delete(keyOf(makeEntry(0)));
  world.kernel.set(keyOf(fresh), fresh);
  world.advance(10);
  world.conntrack({ kind: "overrun" });
  world.work();
  world.activateAll();
  expect(world.count("active")).toBe(2);
  expect(world.controller.held.size).toBe(2);
  expect(world.requests("withdraw-offload")).toHaveLength(1);
});

test("a flow that an event told of while the dump was read is not taken for ended", () => {
  const world = offloaded(0);
  world.snapshotsAtOnce = false;
  world.conntrack({ kind: "overrun" });
  const startedAtMs = world.nowMs;
  world.update(makeEntry(3));
  world.handle({ kind: "snapshot", startedAtMs, entries: [] });
  expect(world.count("requested")).toBe(1);
});
