import { describe, expect, test } from "vitest";
import { NO_COUNTERS } from "../../src/controller/flow-key.ts";
import type { FlowRecord } from "../../src/controller/flow-record.ts";
import { LEASE_GRACE_MS } from "../../src/controller/host-core.ts";
import type { Epoch } from "../../src/offload-protocol/messages.ts";
import { asBlue, EPOCH, LEASE_MS, natFlow, World } from "./world.ts";

const OTHER_EPOCH = "fedcba9876543210" as Epoch;

function only(world: World): FlowRecord {
  const [record] = [...world.core.table.list()];
  if (record === undefined) throw new Error("one flow is held");
  return record;
}

function kinds(world: World): string[] {
  return world
    .vm()
    .events.listUnacked()
    .map(({ what }) => what.kind);
}

describe("a request", () => {
  test("is answered item by item, in order", () => {
    const world = new World();
    const bad = { ...natFlow(2n), idleTimeoutMs: 0 };
    const results = world.request([natFlow(1n), bad, natFlow(3n)]);
    expect(results.map(({ flowId, outcome }) => [flowId, outcome])).toEqual([
      [1n, "granted-pending"],
      [2n, "refused"],
      [3n, "granted-pending"],
    ]);
  });

  test("sent twice gets the same answer, pending, active, quiescing and closed unacknowledged", () => {
    const world = new World();
    const first = world.request([natFlow(1n)]);
    expect(world.request([natFlow(1n)])).toEqual(first);
    world.installAll();
    expect(world.request([natFlow(1n)])).toEqual(first);
    world.send({ kind: "withdraw-offload", epoch: EPOCH, selection: { kind: "all" } });
    expect(world.request([natFlow(1n)])).toEqual(first);
    world.withdrawAll();
    expect(world.request([natFlow(1n)])).toEqual(first);
    expect(kinds(world)).toEqual(["activated", "closed"]);
    expect(world.core.table.count).toBe(0);
  });

  test("with a flow id that names another flow is a duplicate of itself", () => {
    const world = new World();
    world.request([natFlow(1n, 4000)]);
    const [result] = world.request([natFlow(1n, 4001)]);
    expect(result).toMatchObject({ reason: "duplicate", holder: 1n });
  });

  test("for a held tuple names the holder to its own virtual machine only", () => {
    const world = new World();
    world.request([natFlow(1n, 4000)]);
    expect(world.request([natFlow(2n, 4000)])).toEqual([
      { flowId: 2n, outcome: "refused", reason: "duplicate", holder: 1n },
    ]);
    const [blue] = world.request([asBlue(natFlow(3n, 4000))], "blue/gateway");
    expect(blue?.outcome).toBe("granted-pending");
  });

  test("of a replaced epoch is refused; withdrawing and listing that epoch still works", () => {
    const world = new World();
    world.request([natFlow(1n)]);
    world.installAll();
    world.request([natFlow(2n)], "red/gateway", OTHER_EPOCH);
    const [late] = world.request([natFlow(3n)]);
    expect(late).toMatchObject({ reason: "epoch-superseded" });
    const { token } = world.send({
      kind: "withdraw-offload",
      epoch: EPOCH,
      selection: { kind: "flow-ids", flowIds: [1n] },
    });
    world.withdrawAll();
    expect(world.replies.get(token)).toMatchObject({
      results: [{ flowId: 1n, outcome: "closed" }],
    });
  });

  test.each([-1, 0, 1])("%i ms after the lease's end needs a renewal", (offset) => {
    const world = new World();
    world.nowMs += LEASE_MS + offset;
    const [result] = world.request([natFlow(1n)]);
    const expected = offset < 0 ? { outcome: "granted-pending" } : { reason: "no-lease" };
    expect(result).toMatchObject(expected);
    world.send({ kind: "renew-lease", epoch: EPOCH });
    expect(world.request([natFlow(1n)])).toMatchObject([{ outcome: "granted-pending" }]);
  });
});

describe("pitfall 2: a tuple", () => {
  test("is quarantined until the delete is acknowledged", () => {
    const world = new World();
    world.request([natFlow(1n, 4000)]);
    world.installAll();
    world.send({ kind: "withdraw-offload", epoch: EPOCH, selection: { kind: "all" } });
    expect(world.request([natFlow(2n, 4000)])).toMatchObject([{ reason: "duplicate" }]);
    const batch = world.core.takeWithdraws(10, world.nowMs);
    expect(world.request([natFlow(3n, 4000)])).toMatchObject([{ reason: "duplicate" }]);
    world.core.takeWithdrawOutcomes(
      batch.map(({ fast }) => ({
        handle: fast.handle,
        outcome: "withdrawn",
        counters: NO_COUNTERS,
      })),
      world.nowMs,
    );
    expect(world.request([natFlow(4n, 4000)])).toMatchObject([{ outcome: "granted-pending" }]);
  });
});

describe("a withdrawal", () => {
  test("is answered only when nothing of it can match a packet", () => {
    const world = new World();
    world.request([natFlow(1n), natFlow(2n), natFlow(3n)]);
    world.core.takeInstalls(2, world.nowMs);
    const { token, reply } = world.send({
      kind: "withdraw-offload",
      epoch: EPOCH,
      selection: { kind: "policy-tag", policyTag: 7 },
    });
    expect(reply).toBeUndefined();
    world.core.takeInstallOutcomes(
      [
        { handle: 1, outcome: "installed" },
        { handle: 2, outcome: "refused", reason: "table-full" },
      ],
      world.nowMs,
    );
    world.drain();
    expect(world.replies.get(token)).toBeUndefined();
    world.withdrawAll();
    expect(world.replies.get(token)).toMatchObject({
      results: [
        { flowId: 1n, outcome: "closed" },
        { flowId: 2n, outcome: "closed" },
        { flowId: 3n, outcome: "closed" },
      ],
    });
    expect(kinds(world).sort()).toEqual(["closed", "refused-late", "refused-late"]);
  });

  test("of nothing is answered at once", () => {
    const world = new World();
    const selection = { kind: "flow-ids", flowIds: [5n] } as const;
    const { reply } = world.send({ kind: "withdraw-offload", epoch: EPOCH, selection });
    expect(reply).toMatchObject({ results: [{ flowId: 5n, outcome: "no-such-flow" }] });
  });
});

describe("pitfall 5: idle flows", () => {
  test.each([-1, 0, 1])("end %i ms after their timeout, whatever the lease", (offset) => {
    const world = new World();
    world.request([natFlow(1n)]);
    world.installAll();
    for (let step = 0; step < 6; step++) {
      world.nowMs += 10_000;
      world.send({ kind: "renew-lease", epoch: EPOCH });
    }
    world.nowMs += offset;
    const lastUsedMsAgo = BigInt(60_000 + offset);
    const counters = { ...NO_COUNTERS, lastUsedMsAgo };
    world.core.takeCounters([{ handle: 1, counters }], world.nowMs);
    expect(only(world).phase.kind).toBe(offset < 0 ? "active" : "quiescing");
  });

  test("live on while they are used", () => {
    const world = new World();
    world.request([natFlow(1n)]);
    world.installAll();
    world.nowMs += 600_000;
    world.core.takeCounters([{ handle: 1, counters: NO_COUNTERS }], world.nowMs);
    expect(only(world).phase.kind).toBe("active");
  });
});

test.each([-1, 0, 1])("a silent VM's flows go %i ms after lease and grace", (offset) => {
  const world = new World();
  world.request([natFlow(1n)]);
  world.installAll();
  world.core.tick(world.nowMs + LEASE_MS + LEASE_GRACE_MS + offset);
  world.withdrawAll();
  expect(kinds(world)).toEqual(offset < 0 ? ["activated"] : ["activated", "closed"]);
});

test("get-flows pages as of one point; what ends between pages is told by a later event", () => {
  const world = new World();
  world.request(Array.from({ length: 25 }, (_, index) => natFlow(BigInt(index + 1))));
  world.installAll();
  const first = world.send({ kind: "get-flows", limit: 10 }).reply;
  if (first?.kind !== "get-flows") throw new Error("get-flows is answered");
  expect(first.flows.map(({ flow }) => flow.flowId)).toEqual([
    1n,
    2n,
    3n,
    4n,
    5n,
    6n,
    7n,
    8n,
    9n,
    10n,
  ]);
  world.send({
    kind: "withdraw-offload",
    epoch: EPOCH,
    selection: { kind: "flow-ids", flowIds: [11n] },
  });
  world.withdrawAll();
  world.request([natFlow(26n)]);
  const seen = new Set(first.flows.map(({ flow }) => flow.flowId));
  let page = first;
  while (page.more) {
    const last = page.flows.at(-1);
    if (last === undefined) throw new Error("a page with more has flows");
    const after = { epoch: last.epoch, flowId: last.flow.flowId };
    const next = world.send({ kind: "get-flows", after, limit: 10 }).reply;
    if (next?.kind !== "get-flows") throw new Error("get-flows is answered");
    expect(next.asOfSequence).toBe(first.asOfSequence);
    for (const { flow } of next.flows) seen.add(flow.flowId);
    page = next;
  }
  expect(seen.size).toBe(24);
  const closed = world.vm().events.listUnacked().at(-1);
  expect(closed).toMatchObject({ flowId: 11n, what: { kind: "closed" } });
  expect(closed?.sequence).toBeGreaterThan(first.asOfSequence);
});
