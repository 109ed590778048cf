import { expect, test } from "vitest";
import {
  HOLD_MIN_MS,
  PENDING_MAX_MS,
  QUEUED_MAX_MS,
  RETRIES_MAX,
} from "../../src/offload/limits.ts";
import { ALLOW, CLIENT_MAC, counters, EPOCH, makeEntry, makeUdp } from "./flows.ts";
import { World } from "./world.ts";

test("the conntrack timeout of a used flow is set again before it runs out", () => {
  const world = new World();
  world.connect();
  const entry = makeUdp(1);
  world.offload(entry);
  let expiresAtMs = world.nowMs + 120_000;
  for (let seconds = 0; seconds < 600; seconds++) {
    world.advance(1000);
    world.work();
    for (const change of world.changes.splice(0)) {
      expiresAtMs = world.nowMs + 1000 * (change.timeoutSec ?? 0);
    }
    expect(expiresAtMs - world.nowMs).toBeGreaterThan(HOLD_MIN_MS - 1000);
    world.handle({
      kind: "notification",
      notification: {
        kind: "flow-statistics",
        flows: [{ epoch: EPOCH, flowId: 1n, counters: counters(BigInt(seconds), 500n) }],
      },
    });
  }
  expect(world.count("active")).toBe(1);
  expect(world.engine.getState().counts["timeouts-reasserted"]).toBeLessThan(10);
});

test("a location that is unknown is asked for again, a bounded number of times", () => {
  const world = new World();
  world.connect();
  world.controller.decide = () => ({ flowId: 0n, outcome: "refused", reason: "location-unknown" });
  world.update(makeEntry(1));
  for (let seconds = 0; seconds < 60; seconds++) {
    world.work();
    world.advance(1000);
  }
  expect(world.requests("request-offload")).toHaveLength(1 + RETRIES_MAX);
  expect(world.engine.getState().refusalsByReason).toEqual({ "location-unknown": 1 + RETRIES_MAX });
  expect(world.flowCount).toBe(0);
});

test("another refusal is final until the policy changes", () => {
  const world = new World();
  world.connect();
  world.controller.decide = () => ({
    flowId: 0n,
    outcome: "refused",
    reason: "address-not-entitled",
  });
  const entry = makeEntry(1);
  world.update(entry);
  world.work();
  world.update(entry);
  for (let seconds = 0; seconds < 60; seconds++) {
    world.advance(1000);
    world.work();
  }
  expect(world.requests("request-offload")).toHaveLength(1);
  expect(world.count("refused")).toBe(1);
  world.controller.decide = () => undefined;
  world.handle({ kind: "policy", token: 1, judge: () => ALLOW, policyEpoch: 2n, deadlineMs: 2000 });
  world.work();
  expect(world.requests("request-offload")).toHaveLength(2);
  world.destroy(entry);
  world.work();
  expect(world.flowCount).toBe(0);
});

test("a refused flow's record goes with its entry", () => {
  const world = new World();
  world.connect();
  world.controller.decide = () => ({ flowId: 0n, outcome: "refused", reason: "duplicate" });
  const entry = makeEntry(1);
  world.update(entry);
  world.work();
  world.destroy(entry);
  expect(world.flowCount).toBe(0);
});

test("a grant that never becomes active is withdrawn", () => {
  const world = new World();
  world.connect();
  world.update(makeEntry(1));
  world.work();
  world.advance(PENDING_MAX_MS - 1000);
  expect(world.count("pending")).toBe(1);
  world.advance(1100);
  world.work();
  expect(world.flowCount).toBe(0);
  expect(world.controller.held.size).toBe(0);
});

test("a message without an answer ends the session", () => {
  const world = new World();
  world.connect();
  world.update(makeEntry(1));
  world.advance(9_000);
  expect(world.resets).toEqual([]);
  world.advance(1_100);
  expect(world.resets).toEqual(["no answer to request-offload within 10000 ms"]);
});

test("a flow that waits for credit too long stays on the slow path", () => {
  const world = new World();
  world.update(makeEntry(1));
  world.advance(QUEUED_MAX_MS - 1000);
  expect(world.count("queued")).toBe(1);
  world.advance(1100);
  expect(world.flowCount).toBe(0);
});

test("the lease is renewed at a third of it", () => {
  const world = new World();
  world.connect();
  world.advance(9_900);
  world.work();
  expect(world.requests("renew-lease")).toHaveLength(1);
  world.advance(200);
  world.work();
  expect(world.requests("renew-lease")).toHaveLength(2);
});

test("a next hop that changes is updated in place, with the flow's version", () => {
  const world = new World();
  world.connect();
  world.offload(makeEntry(1));
  world.hops.set("192.0.2.80", {
    kind: "hop",
    interfaceName: "outside",
    nextHop: CLIENT_MAC,
    mtuBytes: 1500,
  });
  world.handle({ kind: "paths-changed" });
  world.work();
  world.handle({ kind: "paths-changed" });
  world.work();
  expect(world.requests("update-offload")).toEqual([
    {
      kind: "update-offload",
      epoch: EPOCH,
      flowId: 1n,
      expectedVersion: 1n,
      originalEgress: { nextHop: CLIENT_MAC, mtuBytes: 1400 },
    },
  ]);
});

test("a flow whose route goes another way is withdrawn and requested anew", () => {
  const world = new World();
  world.connect();
  world.offload(makeEntry(1));
  world.hops.set("192.0.2.80", { kind: "unresolved" });
  world.handle({ kind: "paths-changed" });
  world.work();
  expect(world.controller.held.size).toBe(0);
  expect(world.count("waiting")).toBe(1);
  world.hops.clear();
  world.handle({ kind: "paths-changed" });
  world.advance(100);
  world.work();
  world.activateAll();
  expect(world.count("active")).toBe(1);
});
