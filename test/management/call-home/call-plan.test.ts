import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { findProjectRoot } from "../../../src/lib/base/project-root.ts";
import {
  CALL_HOME_CLIENTS_MAX,
  CALL_HOME_ENDPOINTS_MAX,
  parseCallHome,
} from "../../../src/management/call-home/call-home-config.ts";
import {
  BACK_OFF_FIRST_MS,
  CallPlan,
  STABLE_MS,
  type StartWith,
} from "../../../src/management/call-home/call-plan.ts";

const plan = (
  startWith: StartWith,
  more: { periodMs?: number; random?: () => number; maxBackOffMs?: number } = {},
): CallPlan => {
  const { random = () => 0, maxBackOffMs = 4_000, ...rest } = more;
  const strategy = { startWith, maxWaitMs: 1, maxAttempts: 2, maxBackOffMs };
  return new CallPlan({ endpointCount: 3, strategy, random, ...rest });
};

test("each endpoint is tried as often as it may, then the next, round and round", () => {
  const calls = plan("first-listed");
  expect(calls.begin()).toEqual({ endpointIndex: 0, afterMs: 0 });
  const indices = Array.from({ length: 7 }, () => calls.failed().endpointIndex);
  expect(indices).toEqual([0, 1, 1, 2, 2, 0, 0]);
});

test("the wait doubles up to its bound, less at most half of it, and begins anew after a success", () => {
  const calls = plan("first-listed");
  calls.begin();
  const waits = Array.from({ length: 4 }, () => calls.failed().afterMs);
  expect(waits).toEqual([BACK_OFF_FIRST_MS, 2_000, 4_000, 4_000]);
  calls.connected();
  expect(calls.ended(STABLE_MS, false).afterMs).toBe(0);
  expect(calls.failed().afterMs).toBe(BACK_OFF_FIRST_MS);
  const shy = plan("first-listed", { random: () => 0.999_999 });
  shy.begin();
  expect(shy.failed().afterMs).toBe(BACK_OFF_FIRST_MS / 2);
});

test("the wait stays bounded after any number of failures", () => {
  const calls = plan("first-listed", { maxBackOffMs: 3_600_000 });
  calls.begin();
  for (let count = 0; count < 5_000; count++) {
    expect(calls.failed().afterMs).toBeLessThanOrEqual(3_600_000);
  }
});

test.each([
  ["first-listed", 0],
  ["last-connected", 1],
  ["random-selection", 2],
] as const)("%s begins again with endpoint %i", (startWith, expected) => {
  const calls = plan(startWith, { random: () => 0.7 });
  const first = calls.begin().endpointIndex;
  while (calls.failed().endpointIndex !== 1);
  calls.connected();
  expect(first).toBe(startWith === "random-selection" ? 2 : 0);
  expect(calls.ended(STABLE_MS, false).endpointIndex).toBe(expected);
});

test("a peer that hangs up at once is not called in a loop", () => {
  for (const [livedMs, waits] of [
    [STABLE_MS - 1, true],
    [STABLE_MS, false],
    [STABLE_MS + 1, false],
  ] as const) {
    const calls = plan("first-listed");
    calls.begin();
    calls.connected();
    expect(calls.ended(livedMs, false).afterMs > 0).toBe(waits);
  }
});

test("a periodic call comes a period after the one before ended", () => {
  const calls = plan("first-listed", { periodMs: 60_000 });
  expect(calls.begin().afterMs).toBe(0);
  calls.connected();
  expect(calls.ended(5, false).afterMs).toBe(60_000);
  expect(calls.ended(5, true).afterMs).toBe(60_000);
});

test("parseCallHome() fills in what is not configured", () => {
  const endpoints = { endpoint: [{ name: "a", "remote-address": "192.0.2.1" }] };
  const client = [
    { name: "one", endpoints },
    { name: "two", transport: "tls", endpoints, "connection-type": { periodic: {} } },
  ];
  const [one, two] = parseCallHome({ "flowlift-call-home:call-home": { client } });
  expect(one).toEqual({
    name: "one",
    transport: "ssh",
    endpoints: [{ name: "a", host: "192.0.2.1", port: 4334 }],
    keepaliveMs: 15_000,
    strategy: {
      startWith: "first-listed",
      maxWaitMs: 5_000,
      maxAttempts: 3,
      maxBackOffMs: 60_000,
    },
  });
  expect(two?.endpoints[0]?.port).toBe(4335);
  expect(two?.periodic).toEqual({ periodMs: 3_600_000, idleMs: 120_000 });
  expect(parseCallHome({})).toEqual([]);
});

test("the limits of clients and endpoints are those of the YANG module", () => {
  const yang = readFileSync(join(findProjectRoot(), "yang/flowlift-call-home.yang"), "utf8");
  const found = [...yang.matchAll(/max-elements (\d+);/g)].map(([, digits]) => Number(digits));
  expect(found).toEqual([CALL_HOME_CLIENTS_MAX, CALL_HOME_ENDPOINTS_MAX]);
});
