import { expect, test } from "vitest";
import type { ConntrackEntry } from "../../src/lib/conntrack/entry.ts";
import type { JudgeFlow } from "../../src/lib/service/provider.ts";
import { keyOf } from "../../src/offload/flow-record.ts";
import { ALLOW, makeEntry } from "./flows.ts";
import { World } from "./world.ts";

const DEADLINE_MS = 2_000;

const forbidOdd: JudgeFlow = (entry) => ({
  ...ALLOW,
  allowed: entry.original.sourcePort % 2 === 0,
});

function applyPolicy(world: World, judge: JudgeFlow, token = 1): void {
  world.handle({ kind: "policy", token, judge, policyEpoch: 2n, deadlineMs: DEADLINE_MS });
  world.handle({ kind: "policy-entries", token, entries: [...world.kernel.values()] });
  world.handle({ kind: "policy-entries-end", token });
}

function connected(...entries: ConntrackEntry[]): World {
  const world = new World();
  world.connect();
  world.offload(...entries);
  return world;
}

test("a policy cuts what it forbids, offloaded or not, and leaves the rest", () => {
  const world = connected(makeEntry(0), makeEntry(1));
  const slow = makeEntry(3, { mark: 0 });
  const kept = makeEntry(4, { mark: 0 });
  world.update(slow);
  world.update(kept);
  applyPolicy(world, forbidOdd);
  world.work();
  expect(world.policies.get(1)).toEqual({ cutFlows: 2, cutOffloadedFlows: 1, late: [] });
  expect([...world.kernel.values()].map(({ id }) => id)).toEqual([1000, 1004]);
  expect(world.count("active")).toBe(1);
});

test("a flow whose request is in flight when the policy changes is cut as well", () => {
  const world = connected();
  world.update(makeEntry(1));
  expect(world.count("requested")).toBe(1);
  applyPolicy(world, forbidOdd);
  expect(world.policies.size).toBe(0);
  world.work();
  world.activateAll();
  world.work();
  expect(world.policies.get(1)).toEqual({ cutFlows: 1, cutOffloadedFlows: 1, late: [] });
  expect(world.controller.held.size).toBe(0);
  expect(world.kernel.size).toBe(0);
});

test("a flow that becomes a candidate during the change is judged by the new policy", () => {
  const world = connected();
  world.handle({
    kind: "policy",
    token: 1,
    judge: forbidOdd,
    policyEpoch: 2n,
    deadlineMs: DEADLINE_MS,
  });
  world.update(makeEntry(1));
  world.work();
  expect(world.requests("request-offload")).toEqual([]);
});

test("a flow that must stay on the slow path now is withdrawn and lives on", () => {
  const world = connected(makeEntry(1));
  applyPolicy(world, () => ({ ...ALLOW, eligible: false }));
  expect(world.policies.size).toBe(0);
  world.work();
  expect(world.policies.get(1)).toEqual({ cutFlows: 0, cutOffloadedFlows: 0, late: [] });
  expect(world.kernel.size).toBe(1);
  expect(world.flowCount).toBe(0);
});

test("what is not withdrawn by the deadline is late, and is cut when the answer comes", () => {
  const world = connected(makeEntry(1));
  applyPolicy(world, forbidOdd);
  world.advance(DEADLINE_MS - 1);
  expect(world.policies.size).toBe(0);
  world.advance(1);
  expect(world.policies.get(1)).toEqual({
    cutFlows: 1,
    cutOffloadedFlows: 1,
    late: ["tcp 10.0.0.1:1025 > 192.0.2.80:80"],
  });
  expect(world.deleted).toEqual([]);
  world.work();
  expect(world.deleted).toHaveLength(1);
});

test("entries that are listed after the deadline are judged and cut all the same", () => {
  const world = connected();
  const slow = makeEntry(1, { mark: 0 });
  const kept = makeEntry(2, { mark: 0 });
  world.update(slow);
  world.update(kept);
  const policy = { judge: forbidOdd, policyEpoch: 2n, deadlineMs: DEADLINE_MS };
  world.handle({ kind: "policy", token: 1, ...policy });
  world.advance(DEADLINE_MS);
  expect(world.policies.get(1)?.late).toContain("flows that were not looked at in time");
  world.handle({ kind: "policy-entries", token: 1, entries: [slow, kept] });
  world.handle({ kind: "policy-entries-end", token: 1 });
  world.work();
  expect([...world.kernel.values()].map(({ id }) => id)).toEqual([kept.id]);
  expect(world.policies.size).toBe(1);
});

test("a late policy is told once, and gives way to the next one", () => {
  const world = connected(makeEntry(1));
  world.disconnect();
  const policy = { judge: forbidOdd, policyEpoch: 2n, deadlineMs: DEADLINE_MS };
  world.handle({ kind: "policy", token: 1, ...policy });
  world.advance(DEADLINE_MS);
  const told = world.policies.get(1);
  world.policies.delete(1);
  world.advance(10);
  expect(told?.late.length).toBeGreaterThan(0);
  expect(world.policies.size).toBe(0);
  applyPolicy(world, forbidOdd, 2);
  world.advance(31_000);
  expect(world.policies.has(1)).toBe(false);
  expect(world.policies.has(2)).toBe(true);
  expect(world.deleted).toHaveLength(1);
});

test("without a session a forbidden flow's entry is deleted when the lease is over", () => {
  const world = connected(makeEntry(1));
  world.disconnect();
  applyPolicy(world, forbidOdd);
  expect(world.deleted).toEqual([]);
  world.advance(31_000);
  expect(world.policies.get(1)?.late).toHaveLength(1);
  expect(world.deleted).toHaveLength(1);
  expect(world.flowCount).toBe(0);
});

test("the new entry of a reused tuple is deleted too when the policy forbids it", () => {
  const entry = makeEntry(1);
  const world = connected(entry);
  world.destroy(entry);
  world.update({ ...entry, id: 5 });
  applyPolicy(world, forbidOdd);
  world.work();
  expect(world.kernel.size).toBe(0);
  expect(world.policies.get(1)?.late).toEqual([]);
});

test("requests after a policy change carry its epoch", () => {
  const world = connected();
  applyPolicy(world, () => ALLOW);
  world.update(makeEntry(2));
  world.work();
  expect(world.requests("request-offload").at(-1)?.flows[0]?.policyEpoch).toBe(2n);
});

test("a policy that allows offload again brings worthy flows back, without a new event", () => {
  const world = connected(makeEntry(1), makeEntry(2));
  const slow = makeEntry(3, { mark: 0 });
  world.update(slow);
  const never: JudgeFlow = () => ({ ...ALLOW, eligible: false });
  applyPolicy(world, never);
  world.work();
  expect(world.flowCount).toBe(0);
  applyPolicy(world, () => ALLOW, 2);
  world.work();
  world.activateAll();
  expect(world.count("active")).toBe(2);
  expect(world.flowCount).toBe(2);
  expect(world.policies.get(2)).toEqual({ cutFlows: 0, cutOffloadedFlows: 0, late: [] });
});

test("a flow whose withdrawal is still in flight when offload is allowed again comes back", () => {
  const world = connected(makeEntry(1));
  applyPolicy(world, () => ({ ...ALLOW, eligible: false }));
  applyPolicy(world, () => ALLOW, 2);
  world.work();
  for (let rounds = 0; rounds < 4; rounds++) {
    world.advance(500);
    world.work();
  }
  world.activateAll();
  expect(world.count("active")).toBe(1);
  expect(world.policies.size).toBe(2);
});

test("a tuple that comes back while a policy is carried out is cut again and counted once", () => {
  const world = connected(makeEntry(1));
  const policy = { judge: forbidOdd, policyEpoch: 2n, deadlineMs: DEADLINE_MS };
  world.handle({ kind: "policy", token: 1, ...policy });
  world.work();
  expect(world.kernel.size).toBe(0);
  const again = makeEntry(1, { id: 77, mark: 0 });
  world.kernel.set(keyOf(again), again);
  world.handle({ kind: "policy-entries", token: 1, entries: [again] });
  world.handle({ kind: "policy-entries-end", token: 1 });
  expect(world.kernel.size).toBe(0);
  expect(world.policies.get(1)).toEqual({ cutFlows: 1, cutOffloadedFlows: 1, late: [] });
});
