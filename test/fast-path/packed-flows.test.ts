/** Flows, handles, outcomes and counters as they travel to the agent and back. */
import { expect, test } from "vitest";
import type { InstallOutcome, WithdrawOutcome } from "../../src/fast-path/driver.ts";
import {
  decodeCounters,
  decodeHandles,
  decodeRefusals,
  decodeWithdrawals,
  encodeHandles,
  encodeOutcomes,
  encodeRefusals,
} from "../../src/fast-path/driver-codec.ts";
import { installBy } from "../../src/fast-path/install-by.ts";
import {
  findPackedFlows,
  isPackedWithin,
  packFlows,
  unpackFlows,
} from "../../src/fast-path/packed-flows.ts";
import type { FlowCounters } from "../../src/offload-protocol/messages.ts";
import { makeFlow } from "./contract-subject.ts";

const LAST = Number.MAX_SAFE_INTEGER;

function oneWay(handle: number): ReturnType<typeof makeFlow> {
  const { reply: _, ...flow } = makeFlow(handle);
  return flow;
}

test("flows of one and of two directions arrive as they were, 2^53 - 1 included", () => {
  const flows = [
    makeFlow(1),
    { ...oneWay(2), handle: LAST, generation: 2 ** 40 },
    oneWay(3),
    makeFlow(4),
  ];
  expect(unpackFlows(packFlows(flows))).toEqual(flows);
  expect(unpackFlows(packFlows([]))).toEqual([]);
});

test("a packed flow is held against slots and ports at their bounds", () => {
  const packed = packFlows([makeFlow(1)]);
  const [flow] = findPackedFlows(packed);
  const { vmSlot, original, reply } = makeFlow(1);
  const port = Math.max(original.egressPortId, reply?.egressPortId ?? 0);
  const within = (slotsMax: number, portsMax: number): boolean =>
    flow !== undefined && isPackedWithin(packed, flow, { slotsMax, portsMax });
  expect([within(vmSlot + 1, port), within(vmSlot, port), within(vmSlot + 1, port - 1)]).toEqual([
    true,
    false,
    false,
  ]);
});

test("handles arrive as they were; all of them is something else than none", () => {
  for (const handles of [[], [0], [1, LAST, 3]]) {
    expect(decodeHandles(encodeHandles(handles))).toEqual(handles);
  }
  expect(decodeHandles(encodeHandles("all"))).toBe("all");
});

test("outcomes and counters arrive as they were, up to 64 bits", () => {
  const big = 2n ** 64n - 1n;
  const one = { fastPackets: 1n, fastBytes: big, passedPackets: 0n, passedBytes: 0n };
  const two = { fastPackets: 0n, fastBytes: 0n, passedPackets: big, passedBytes: 7n };
  const counters: FlowCounters = { original: one, reply: two, lastUsedMsAgo: 12n };
  const outcomes: WithdrawOutcome[] = [
    { handle: 7, outcome: "withdrawn", counters },
    { handle: LAST, outcome: "unknown" },
  ];
  expect(decodeWithdrawals(encodeOutcomes(outcomes))).toEqual(outcomes);
  expect(decodeCounters(encodeOutcomes([{ handle: 7, counters }]))).toEqual([
    { handle: 7, counters },
  ]);
});

test("only refusals travel back, and every flow gets its outcome in order", async () => {
  const broken = { ...makeFlow(8), vmSlot: 0 };
  const flows = [makeFlow(7), broken, makeFlow(9), oneWay(10)];
  const asked: number[] = [];
  const outcomes = await installBy(flows, (packed) => {
    asked.push(...unpackFlows(packed).map(({ handle }) => handle));
    return decodeRefusals(encodeRefusals([{ place: 1, reason: "duplicate" }]));
  });
  const expected: InstallOutcome[] = [
    { handle: 7, outcome: "installed" },
    { handle: 8, outcome: "refused", reason: "unsupported-by-driver" },
    { handle: 9, outcome: "refused", reason: "duplicate" },
    { handle: 10, outcome: "installed" },
  ];
  expect(asked).toEqual([7, 9, 10]);
  expect(outcomes).toEqual(expected);
});
