import { expect, test } from "vitest";
import { IPS_SEEN_REPLY } from "../../src/lib/conntrack/entry.ts";
import { MARK_WORTHY } from "../../src/lib/conntrack/mark-bits.ts";
import { keyOf } from "../../src/offload/flow-record.ts";
import { ACKNOWLEDGE_AFTER_MS } from "../../src/offload/limits.ts";
import { ALLOW, CLIENT_MAC, counters, makeEntry, makeUdp, SERVER_MAC } from "./flows.ts";
import { World } from "./world.ts";

test("a worthy assured flow is requested with both directions as they arrive, and becomes active", () => {
  const world = new World();
  world.connect();
  world.update(makeEntry(5));
  world.work();
  const [request] = world.requests("request-offload");
  expect(request?.flows).toEqual([
    {
      flowId: 1n,
      service: "nat",
      rules: ALLOW.rules,
      policyTag: 7,
      policyEpoch: 1n,
      directions: "both",
      original: {
        match: {
          vnic: "02:00:00:00:00:01",
          protocol: 6,
          sourceAddress: "10.0.0.1",
          destinationAddress: "192.0.2.80",
          sourcePort: 1029,
          destinationPort: 80,
        },
        rewrite: { sourceAddress: "198.51.100.1" },
        egress: { vnic: "02:00:00:00:00:02", nextHop: SERVER_MAC, mtuBytes: 1400 },
      },
      reply: {
        match: {
          vnic: "02:00:00:00:00:02",
          protocol: 6,
          sourceAddress: "192.0.2.80",
          destinationAddress: "198.51.100.1",
          sourcePort: 80,
          destinationPort: 1029,
        },
        rewrite: { destinationAddress: "10.0.0.1" },
        egress: { vnic: "02:00:00:00:00:01", nextHop: CLIENT_MAC, mtuBytes: 1500 },
      },
      idleTimeoutMs: 60_000,
      version: 1n,
    },
  ]);
  expect(world.count("pending")).toBe(1);
  world.activateAll();
  expect(world.count("active")).toBe(1);
});

test.each([
  ["not worthy", makeEntry(1, { mark: 0 })],
  ["TCP that is not assured", makeEntry(1, { status: IPS_SEEN_REPLY })],
  ["UDP without a reply", makeUdp(1, { status: 0 })],
  ["with a helper", makeEntry(1, { helper: "ftp" })],
  ["with sequence adjustment", makeEntry(1, { hasSequenceAdjustment: true })],
  ["closing", makeEntry(1, { mark: makeEntry(1).mark | 0x10 })],
  ["TCP in TIME_WAIT", makeEntry(1, { tcpState: 7 })],
  ["ICMP", makeEntry(1, { original: { ...makeEntry(1).original, protocol: 1 } })],
])("a flow is not requested when it is %s", (_, entry) => {
  const world = new World();
  world.connect();
  world.update(entry);
  world.work();
  expect(world.requests("request-offload")).toEqual([]);
  expect(world.flowCount).toBe(0);
});

test("UDP needs a reply, not to be assured", () => {
  const world = new World();
  world.connect();
  world.update(makeUdp(1, { status: IPS_SEEN_REPLY }));
  world.work();
  expect(world.requests("request-offload")).toHaveLength(1);
});

test("an entry that vanished before it was made ready is not requested and leaves nothing", () => {
  const world = new World();
  world.connect();
  world.conntrack({ kind: "update", entry: makeEntry(1) });
  world.work();
  expect(world.requests("request-offload")).toEqual([]);
  expect(world.flowCount).toBe(0);
});

test("closing withdraws, then settles the entry, and leaves nothing", () => {
  const world = new World();
  world.connect();
  const entry = makeEntry(1);
  world.offload(entry);
  world.closing(entry);
  expect(world.count("withdrawing")).toBe(1);
  expect(world.changes).toEqual([]);
  world.work();
  expect(world.changes).toEqual([{ key: keyOf(entry), timeoutSec: 10 }]);
  expect(world.flowCount).toBe(0);
  expect(world.controller.held.size).toBe(0);
});

test("pitfall 1: a withdrawal before the grant is answered follows the request and is not lost", () => {
  const world = new World();
  world.connect();
  const entry = makeEntry(1);
  world.update(entry);
  world.closing(entry);
  expect(world.controller.inbox.map(({ request }) => request.kind)).toEqual([
    "request-offload",
    "withdraw-offload",
  ]);
  world.work();
  world.activateAll();
  world.work();
  expect(world.controller.held.size).toBe(0);
  expect(world.flowCount).toBe(0);
});

test("pitfall 1: a grant that comes after its withdrawal was answered is withdrawn again", () => {
  const world = new World();
  world.connect();
  const entry = makeEntry(1);
  world.update(entry);
  const request = world.controller.inbox.shift();
  world.closing(entry);
  world.work();
  expect(world.flowCount).toBe(0);
  if (request === undefined) throw new Error("nothing was requested");
  world.controller.inbox.push(request);
  world.work();
  expect(world.controller.held.size).toBe(0);
  expect(world.requests("withdraw-offload")).toHaveLength(2);
});

test("pitfall 2: a reused tuple is not requested before the old flow's end is answered", () => {
  const world = new World();
  world.connect();
  const entry = makeEntry(1);
  world.offload(entry);
  world.destroy(entry);
  world.update({ ...entry, id: 99 });
  expect(world.requests("request-offload")).toHaveLength(1);
  expect(world.count("withdrawing")).toBe(1);
  world.work();
  expect(world.requests("request-offload")).toHaveLength(2);
  world.activateAll();
  expect(world.count("active")).toBe(1);
  expect(world.flowCount).toBe(1);
});

test("pitfall 2: no entry is deleted while the controller holds its flow", () => {
  const world = new World();
  world.connect();
  world.offload(makeEntry(1), makeEntry(2));
  world.onDelete = () => expect(world.controller.held.size).toBe(0);
  world.handle({
    kind: "policy",
    token: 1,
    judge: () => ({ ...ALLOW, allowed: false }),
    policyEpoch: 2n,
    deadlineMs: 2000,
  });
  world.handle({ kind: "policy-entries", token: 1, entries: [...world.kernel.values()] });
  world.handle({ kind: "policy-entries-end", token: 1 });
  expect(world.deleted).toEqual([]);
  expect(world.policies.size).toBe(0);
  world.work();
  expect(world.deleted).toHaveLength(2);
  expect(world.policies.get(1)).toEqual({ cutFlows: 2, cutOffloadedFlows: 2, late: [] });
});

test("pitfall 10: an active flow that is never heard of again is withdrawn", () => {
  const world = new World();
  world.connect();
  world.offload(makeUdp(1));
  for (let seconds = 0; seconds < 90; seconds++) {
    world.advance(1000);
    world.work();
  }
  expect(world.flowCount).toBe(0);
  expect(world.controller.held.size).toBe(0);
  expect(world.engine.getState().counts["active-too-long"]).toBe(1);
});

test("an idle close restores what is left of the timeout that a later policy has set", () => {
  const world = new World();
  world.connect();
  const entry = makeUdp(1);
  world.offload(entry);
  const [holding] = world.controller.held.values();
  if (holding === undefined) throw new Error("nothing is held");
  holding.counters = counters(9n, 30_000n);
  world.handle({ kind: "conntrack-timeouts", timeouts: { tcpSec: 432_000, udpSec: 50 } });
  world.notify([world.controller.close(holding, "idle")]);
  expect(world.changes).toEqual([{ key: keyOf(entry), timeoutSec: 20 }]);
});

test("an idle close restores what is left of the timeout and lets new packets earn the flow again", () => {
  const world = new World();
  world.connect();
  const entry = makeUdp(1);
  world.offload(entry);
  const [holding] = world.controller.held.values();
  if (holding === undefined) throw new Error("nothing is held");
  holding.counters = counters(9n, 30_000n);
  world.notify([world.controller.close(holding, "idle")]);
  expect(world.changes).toEqual([{ key: keyOf(entry), timeoutSec: 90 }]);
  expect((world.kernel.get(keyOf(entry))?.mark ?? -1) & MARK_WORTHY).toBe(0);
  expect(world.flowCount).toBe(0);
  world.work();
  world.update(entry);
  world.work();
  expect(world.requests("request-offload")).toHaveLength(2);
});

test("an event that is repeated is settled once, and acknowledged", () => {
  const world = new World();
  world.connect();
  const entry = makeEntry(1);
  world.offload(entry);
  const [holding] = world.controller.held.values();
  if (holding === undefined) throw new Error("nothing is held");
  holding.counters = counters(10n);
  const closed = world.controller.close(holding, "evicted");
  world.notify([closed]);
  world.notify([closed]);
  world.work();
  world.advance(ACKNOWLEDGE_AFTER_MS);
  world.work();
  expect(world.controller.unacknowledged).toEqual([]);
  expect(world.engine.getState().closesByCause).toEqual({ evicted: 1 });
  expect(world.engine.getState().rules).toEqual([
    { attachment: "inside", direction: "ingress", name: "web", fastPackets: 20n, fastBytes: 2000n },
  ]);
});
