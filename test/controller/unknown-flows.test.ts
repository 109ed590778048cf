/** Flow ids that are not the VM's: refused, counted, told to the audit trail; its own ends are no such case. */
import { expect, test } from "vitest";
import { handleRequest } from "../../src/controller/vm-requests.ts";
import type { OffloadRequest } from "../../src/offload-protocol/messages.ts";
import { asBlue, EPOCH, natFlow, World } from "./world.ts";

const withdraw = (...flowIds: bigint[]): OffloadRequest => ({
  kind: "withdraw-offload",
  epoch: EPOCH,
  selection: { kind: "flow-ids", flowIds },
});

const update = (flowId: bigint): OffloadRequest => ({
  kind: "update-offload",
  epoch: EPOCH,
  flowId,
  expectedVersion: 1n,
  idleTimeoutMs: 2000,
});

/** Returns the effects that a request leaves for the ledger. */
function noted(world: World, request: OffloadRequest): unknown[] {
  handleRequest(world.context(), request);
  return world.core.takeEffects().filter(({ kind }) => kind === "unknown-flows");
}

function withBluesFlow(): World {
  const world = new World();
  world.request([asBlue(natFlow(9n))], "blue/gateway");
  world.installAll();
  return world;
}

test.each([
  ["withdraw-offload", withdraw(9n)],
  ["update-offload", update(9n)],
])("%s of another tenant's flow id is counted and noted", (operation, request) => {
  const world = withBluesFlow();
  const effect = { kind: "unknown-flows", vmKey: "red/gateway", operation, epoch: EPOCH };
  expect(noted(world, request)).toEqual([{ ...effect, flowIds: [9n] }]);
  expect(world.vm().refusals.get("no-such-flow")).toBe(1);
  expect(world.vm("blue/gateway").refusals.size).toBe(0);
  expect([...world.core.table.list()].map(({ phase }) => phase.kind)).toEqual(["active"]);
});

test("one request with several unknown ids leaves one note and counts each", () => {
  const world = withBluesFlow();
  expect(noted(world, withdraw(9n, 10n, 11n))).toMatchObject([{ flowIds: [9n, 10n, 11n] }]);
  expect(world.vm().refusals.get("no-such-flow")).toBe(3);
});

test("an own flow whose end is not acknowledged is withdrawn again without a note", () => {
  const world = new World();
  world.request([natFlow(1n)]);
  world.installAll();
  world.send(withdraw(1n));
  world.withdrawAll();
  expect(noted(world, withdraw(1n))).toEqual([]);
  const sequence = world.vm().events.lastSequence;
  world.send({ kind: "acknowledge-events", sequence });
  expect(noted(world, withdraw(1n))).toHaveLength(1);
});
