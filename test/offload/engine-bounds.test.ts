import { expect, test } from "vitest";
import { MARK_WORTHY } from "../../src/lib/conntrack/mark-bits.ts";
import { CreditAccount } from "../../src/offload/credit.ts";
import {
  ACKNOWLEDGE_AFTER_MS,
  ACKNOWLEDGE_EVENTS,
  EVENTS_HELD_MAX,
  FLOWS_QUEUED_MAX,
  HOLD_MIN_MS,
  REPLY_DEADLINE_MS,
  REQUESTS_IN_FLIGHT_MAX,
  RETRY_FIRST_MS,
  RETRY_LAST_MS,
  retryDelayMs,
  SILENCE_MAX_MS,
  WITHDRAWALS_IN_FLIGHT_MAX,
} from "../../src/offload/limits.ts";
import { REQUEST_FLOWS_BYTES_MAX } from "../../src/offload/requester.ts";
import { codecOf } from "../../src/offload-protocol/message-codec.ts";
import {
  FLOW_IDS_PER_WITHDRAW_MAX,
  FLOWS_PER_REQUEST_MAX,
  type FlowEvent,
  MESSAGE_BYTES_MAX,
  type OffloadNotification,
  RULES_PER_FLOW_MAX,
} from "../../src/offload-protocol/messages.ts";
import { ALLOW, EPOCH, makeEntry } from "./flows.ts";
import { World } from "./world.ts";

function updateMany(world: World, count: number, first = 0): void {
  const events = Array.from({ length: count }, (_, index) => {
    const entry = makeEntry(first + index);
    world.kernel.set(
      `6 ${entry.original.sourceAddress} ${entry.original.sourcePort} 192.0.2.80 80 0`,
      entry,
    );
    return { kind: "update" as const, entry };
  });
  world.conntrack(...events);
}

test.each([
  [FLOWS_PER_REQUEST_MAX - 1, [FLOWS_PER_REQUEST_MAX - 1]],
  [FLOWS_PER_REQUEST_MAX, [FLOWS_PER_REQUEST_MAX]],
  [FLOWS_PER_REQUEST_MAX + 1, [FLOWS_PER_REQUEST_MAX, 1]],
])("%i flows make requests of %j", (count, sizes) => {
  const world = new World();
  world.connect();
  updateMany(world, count);
  world.work();
  expect(world.requests("request-offload").map(({ flows }) => flows.length)).toEqual(sizes);
});

test.each([
  [REQUESTS_IN_FLIGHT_MAX - 1, REQUESTS_IN_FLIGHT_MAX - 1],
  [REQUESTS_IN_FLIGHT_MAX, REQUESTS_IN_FLIGHT_MAX],
  [REQUESTS_IN_FLIGHT_MAX + 1, REQUESTS_IN_FLIGHT_MAX],
])("%i flows that come one by one put %i requests in flight", (count, inFlight) => {
  const world = new World();
  world.connect();
  for (let number = 0; number < count; number++) world.update(makeEntry(number));
  expect(world.controller.inbox).toHaveLength(inFlight);
  world.work();
  expect(world.count("pending")).toBe(count);
});

test.each([
  [FLOW_IDS_PER_WITHDRAW_MAX - 1, [FLOW_IDS_PER_WITHDRAW_MAX - 1]],
  [FLOW_IDS_PER_WITHDRAW_MAX, [FLOW_IDS_PER_WITHDRAW_MAX]],
  [FLOW_IDS_PER_WITHDRAW_MAX + 1, [FLOW_IDS_PER_WITHDRAW_MAX, 1]],
])("withdrawing %i flows at once makes messages of %j", (count, sizes) => {
  const world = new World();
  world.connect();
  updateMany(world, count);
  world.work();
  world.activateAll();
  const judge = () => ({ ...ALLOW, eligible: false });
  world.handle({ kind: "policy", token: 1, judge, policyEpoch: 2n, deadlineMs: 2000 });
  world.work();
  const got = world
    .requests("withdraw-offload")
    .map(({ selection }) => (selection.kind === "flow-ids" ? selection.flowIds.length : -1));
  expect(got).toEqual(sizes);
});

test("single withdrawals are in flight up to their bound", () => {
  const world = new World();
  world.connect();
  updateMany(world, WITHDRAWALS_IN_FLIGHT_MAX + 1);
  world.work();
  world.activateAll();
  world.work();
  for (let number = 0; number <= WITHDRAWALS_IN_FLIGHT_MAX; number++) {
    world.closing(makeEntry(number));
    const expected = Math.min(number + 1, WITHDRAWALS_IN_FLIGHT_MAX);
    expect(world.controller.inbox).toHaveLength(expected);
  }
  world.work();
  expect(world.flowCount).toBe(0);
});

test.each([
  [9, 9],
  [10, 10],
  [11, 10],
])("with a credit of 10, of %i flows %i are requested", (count, requested) => {
  const world = new World();
  world.controller.quota = 10;
  world.connect();
  updateMany(world, count);
  world.work();
  expect(world.count("pending")).toBe(requested);
  expect(world.count("queued")).toBe(count - requested);
});

test("a flow that gives its credit back lets the next one in", () => {
  const world = new World();
  world.controller.quota = 1;
  world.connect();
  world.offload(makeEntry(0), makeEntry(1));
  expect(world.count("queued")).toBe(1);
  world.closing(makeEntry(0));
  world.work();
  world.giveCredit();
  world.work();
  expect(world.requests("request-offload")).toHaveLength(2);
});

test.each([
  [FLOWS_QUEUED_MAX - 1, FLOWS_QUEUED_MAX - 1],
  [FLOWS_QUEUED_MAX, FLOWS_QUEUED_MAX],
  [FLOWS_QUEUED_MAX + 1, FLOWS_QUEUED_MAX],
])("of %i flows without credit %i wait", (count, waiting) => {
  const world = new World();
  updateMany(world, count);
  expect(world.count("queued")).toBe(waiting);
  expect(world.engine.getState().counts["not-queued-queue-full"] ?? 0).toBe(count - waiting);
});

test.each([
  [99, 99],
  [100, 100],
  [101, 100],
])("of %i flows %i have a record when 100 may", (count, tracked) => {
  const world = new World({ flowsTrackedMax: 100 });
  world.connect();
  updateMany(world, count);
  world.work();
  expect(world.flowCount).toBe(tracked);
});

test.each([
  [EVENTS_HELD_MAX - 1, 0],
  [EVENTS_HELD_MAX, 0],
  [EVENTS_HELD_MAX + 1, 1],
])("%i events while resynchronising reset the session %i times", (count, resets) => {
  const world = new World();
  world.snapshotsAtOnce = false;
  world.handle({ kind: "session-up" });
  const event: FlowEvent = {
    sequence: 1n,
    epoch: EPOCH,
    flowId: 1n,
    what: { kind: "activated", directions: "both" },
  };
  const events = new Array<FlowEvent>(count).fill(event);
  const notification: OffloadNotification = { kind: "flow-events", events };
  world.handle({ kind: "notification", notification });
  expect(world.resets).toHaveLength(resets);
});

test.each([
  [RULES_PER_FLOW_MAX - 1, RULES_PER_FLOW_MAX - 1],
  [RULES_PER_FLOW_MAX, RULES_PER_FLOW_MAX],
  [RULES_PER_FLOW_MAX + 1, RULES_PER_FLOW_MAX],
])("of %i admitting rules %i are told", (count, told) => {
  const rules = Array.from({ length: count }, (_, index) => ({
    attachment: `if${index}`,
    direction: "ingress" as const,
    name: "r",
  }));
  const world = new World({ judge: () => ({ ...ALLOW, rules }) });
  world.connect();
  world.update(makeEntry(1));
  world.work();
  expect(world.requests("request-offload")[0]?.flows[0]?.rules).toHaveLength(told);
});

test("CreditAccount refuses to reserve one more than is available", () => {
  const account = new CreditAccount();
  account.notified(2);
  account.reserve(1);
  expect(() => account.reserve(2)).toThrow("a request stays within its credit");
  account.reserve(1);
  expect(account.available).toBe(0);
});

test("retryDelayMs() doubles from its first to its last value", () => {
  expect(retryDelayMs(1)).toBe(RETRY_FIRST_MS);
  expect(retryDelayMs(2)).toBe(2 * RETRY_FIRST_MS);
  expect(retryDelayMs(100)).toBe(RETRY_LAST_MS);
});

test("an entry that is held outlives a message's deadline and its repetition", () => {
  expect(HOLD_MIN_MS).toBeGreaterThan(2 * REPLY_DEADLINE_MS);
  expect(SILENCE_MAX_MS).toBeLessThanOrEqual(HOLD_MIN_MS);
  expect(MARK_WORTHY).toBeGreaterThan(0);
});

test.each([
  [ACKNOWLEDGE_EVENTS - 1, 0],
  [ACKNOWLEDGE_EVENTS, 1],
  [ACKNOWLEDGE_EVENTS + 1, 1],
])(
  "%i settled events are acknowledged at once %i times, and all of them in time",
  (count, atOnce) => {
    const world = new World();
    world.connect();
    const event = (index: number): FlowEvent => ({
      sequence: BigInt(index + 1),
      epoch: EPOCH,
      flowId: 1_000_000n + BigInt(index),
      what: { kind: "refused-late", reason: "driver-failed" },
    });
    const before = world.requests("acknowledge-events").length;
    world.notify(Array.from({ length: count }, (_, index) => event(index)));
    world.work();
    expect(world.requests("acknowledge-events").length - before).toBe(atOnce);
    world.work();
    world.advance(ACKNOWLEDGE_AFTER_MS);
    world.work();
    expect(world.requests("acknowledge-events").at(-1)?.sequence).toBe(BigInt(count));
  },
);

test("a request is never longer than a message may be, whatever its rules are called", () => {
  const name = "&".repeat(64);
  const rules = Array.from({ length: RULES_PER_FLOW_MAX }, (_, index) => ({
    attachment: `${name}${index}`,
    direction: "ingress" as const,
    name,
  }));
  const codec = codecOf("xml");
  const world = new World({
    judge: () => ({ ...ALLOW, rules }),
    flowBytesMax: (flow) => codec.flowBytesMax(flow),
  });
  world.connect();
  updateMany(world, FLOWS_PER_REQUEST_MAX);
  world.work();
  const requests = world.requests("request-offload");
  expect(requests.length).toBeGreaterThan(1);
  expect(requests.reduce((sum, { flows }) => sum + flows.length, 0)).toBe(FLOWS_PER_REQUEST_MAX);
  for (const request of requests) {
    expect(codec.encodeRpc("9007199254740991", request).length).toBeLessThan(MESSAGE_BYTES_MAX);
  }
});

test.each([
  [0, [4]],
  [1, [3, 1]],
])("a request ends where its bound is reached: %i bytes beyond four flows", (beyond, sizes) => {
  const flowBytesMax = (): number => (REQUEST_FLOWS_BYTES_MAX + beyond) / 4;
  const world = new World({ flowBytesMax });
  world.connect();
  updateMany(world, 4);
  world.work();
  expect(world.requests("request-offload").map(({ flows }) => flows.length)).toEqual(sizes);
});
