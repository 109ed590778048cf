/** The contract's half about the table: slots, withdrawal, refusals, bounds, topology. */
import { expect, test } from "vitest";
import type { FastPathDriver } from "../../src/fast-path/driver.ts";
import {
  expectedOf,
  type Fixture,
  frameOf,
  GENERATION,
  INSIDE_PORT,
  LEASE_MS,
  LIMITS,
  makeFlow,
  makePorts,
  OUTSIDE_PORT,
  SLOT,
  VNICS,
} from "./contract-subject.ts";
import { ip, mac, TCP_ACK } from "./frames.ts";

/** Registers the tests. */
export function testTable(fixture: Fixture): void {
  test("setSlot() with another generation or a lease of 0 stops every flow at once", async () => {
    const flow = makeFlow(1);
    await fixture.driver().install([flow]);
    expect(fixture.playOriginal(flow)).toBe("forwarded");
    await fixture.driver().setSlot(SLOT, GENERATION + 1, LEASE_MS);
    expect(fixture.playOriginal(flow)).toBe("passed");
    await fixture.driver().setSlot(SLOT, GENERATION, LEASE_MS);
    expect(fixture.playOriginal(flow)).toBe("forwarded");
    await fixture.driver().setSlot(SLOT, GENERATION, 0);
    expect(fixture.playOriginal(flow)).toBe("passed");
  });

  test("a lease that is not renewed ends by itself", async () => {
    const flow = makeFlow(1);
    await fixture.driver().install([flow]);
    await fixture.driver().setSlot(SLOT, GENERATION, 40);
    expect(fixture.playOriginal(flow)).toBe("forwarded");
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(fixture.playOriginal(flow)).toBe("passed");
  });

  test("withdraw() ends the flow and returns its final counters", async () => {
    const flow = makeFlow(1);
    await fixture.driver().install([flow]);
    fixture.playOriginal(flow);
    fixture.playOriginal(flow, { tcpFlags: TCP_ACK | 1 });
    fixture.subject().play(OUTSIDE_PORT, { bytes: frameOf(flow.reply!) });
    const [outcome, unknown, again] = await fixture.driver().withdraw([1, 99, 1]);
    expect(outcome).toMatchObject({
      handle: 1,
      outcome: "withdrawn",
      counters: {
        original: { fastPackets: 1n, fastBytes: 51n, passedPackets: 1n, passedBytes: 51n },
        reply: { fastPackets: 1n, fastBytes: 51n, passedPackets: 0n, passedBytes: 0n },
      },
    });
    expect(unknown).toEqual({ handle: 99, outcome: "unknown" });
    expect(again).toEqual({ handle: 1, outcome: "unknown" });
    expect(fixture.playOriginal(flow)).toBe("passed");
    expect(await fixture.driver().readCounters("all")).toEqual([]);
  });

  test("a flow that is installed again starts with counters at zero", async () => {
    const flow = makeFlow(1);
    await fixture.driver().install([flow]);
    fixture.playOriginal(flow);
    await fixture.driver().withdraw([1]);
    await fixture.driver().install([flow]);
    const [counters] = await fixture.driver().readCounters("all");
    expect(counters?.counters.original.fastPackets).toBe(0n);
    expect(fixture.playOriginal(flow)).toBe("forwarded");
  });

  test("totals() are the sum of what went fast and what was passed, tracked or not", async () => {
    const flow = makeFlow(1);
    await fixture.driver().install([flow]);
    fixture.playOriginal(flow);
    fixture.playOriginal(flow, { ttl: 1 });
    fixture.playOriginal(flow, { sourcePort: 9 });
    const { flows, slots, drops } = await fixture.driver().totals();
    expect(flows).toBe(1);
    expect(slots.find(({ vmSlot }) => vmSlot === SLOT)).toEqual({
      vmSlot: SLOT,
      fastPackets: 1n,
      fastBytes: 51n,
      passedPackets: 2n,
      passedBytes: 102n,
    });
    expect(Object.values(drops).every((count) => count === 0n)).toBe(true);
  });

  test("lastUsedMsAgo counts from the installation, then from the last packet", async () => {
    const flow = makeFlow(1);
    await fixture.driver().install([flow]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const [idle] = await fixture.driver().readCounters([1]);
    expect(Number(idle?.counters.lastUsedMsAgo)).toBeGreaterThanOrEqual(45);
    expect(Number(idle?.counters.lastUsedMsAgo)).toBeLessThan(5000);
    fixture.playOriginal(flow);
    const [used] = await fixture.driver().readCounters([1]);
    expect(Number(used?.counters.lastUsedMsAgo)).toBeLessThan(Number(idle?.counters.lastUsedMsAgo));
  });

  test("install() refuses what is held already: handle, match, reply equal to another's", async () => {
    const flow = makeFlow(1);
    const sameHandle = makeFlow(1, { sourcePort: 50_000 });
    const sameMatch = { ...makeFlow(2), original: flow.original };
    const sameReply = { ...makeFlow(3), reply: flow.reply! };
    const twice = { ...makeFlow(4), reply: makeFlow(4).original };
    const outcomes = await fixture
      .driver()
      .install([flow, sameHandle, sameMatch, sameReply, twice]);
    expect(outcomes.map((outcome) => ("reason" in outcome ? outcome.reason : "installed"))).toEqual(
      ["installed", "duplicate", "duplicate", "duplicate", "duplicate"],
    );
    // Nothing of a refused flow stays: its other direction is free.
    const other = { ...makeFlow(5), original: sameReply.original };
    expect(await fixture.driver().install([other])).toEqual([{ handle: 5, outcome: "installed" }]);
  });

  test.each([
    ["another protocol", { protocol: 132 }],
    ["two families", { newSourceAddress: ip("2001:db8::1") }],
    ["an egress port out of range", { egressPortId: LIMITS.portsMax + 1 }],
    ["an MTU below 68", { mtuBytes: 67 }],
    ["a port that is no port", { newSourcePort: 65_536 }],
  ])("install() refuses %s as unsupported and programs nothing of it", async (_, change) => {
    const flow = makeFlow(1);
    const broken = { ...flow, reply: { ...flow.reply!, ...change } };
    const [outcome] = await fixture.driver().install([broken]);
    expect(outcome).toEqual({ handle: 1, outcome: "refused", reason: "unsupported-by-driver" });
    expect(fixture.playOriginal(flow)).toBe("passed");
  });

  test("flowsMax holds: one less and equal are installed, one more is table-full, a freed place serves", async () => {
    const flows = Array.from({ length: LIMITS.flowsMax + 1 }, (_, index) => makeFlow(index));
    const outcomes = await fixture.driver().install(flows);
    expect(outcomes.map(({ outcome }) => outcome)).toEqual([
      ...Array.from({ length: LIMITS.flowsMax }, () => "installed"),
      "refused",
    ]);
    expect(outcomes.at(-1)).toMatchObject({ reason: "table-full" });
    for (const flow of flows.slice(0, -1)) expect(fixture.playOriginal(flow)).toBe("forwarded");
    await fixture.driver().withdraw([3]);
    const [late] = await fixture.driver().install(flows.slice(-1));
    expect(late).toMatchObject({ outcome: "installed" });
    expect(fixture.playOriginal(flows.at(-1)!)).toBe("forwarded");
    expect(fixture.playOriginal(flows[3]!)).toBe("passed");
  });

  test("update() changes next hop, MTU and egress port of one direction in place", async () => {
    const flow = makeFlow(1);
    await fixture.driver().install([flow]);
    fixture.playOriginal(flow);
    const newDestinationMac = mac("02:00:00:00:00:77");
    await fixture.driver().update(1, "original", { newDestinationMac, mtuBytes: 900 });
    const verdict = fixture.subject().play(INSIDE_PORT, { bytes: frameOf(flow.original) });
    expect(verdict).toMatchObject({
      kind: "forwarded",
      bytes: expectedOf({ ...flow.original, newDestinationMac }),
    });
    expect(fixture.playOriginal(flow, { payloadBytes: 861 })).toBe("passed");
    await fixture.driver().update(1, "reply", { egressPortId: OUTSIDE_PORT });
    const reply = fixture.subject().play(OUTSIDE_PORT, { bytes: frameOf(flow.reply!) });
    expect(reply.kind).toBe("forwarded");
    const [counters] = await fixture.driver().readCounters([1]);
    expect(counters?.counters.original).toMatchObject({ fastPackets: 2n, passedPackets: 1n });
    await expect(fixture.driver().update(9, "original", {})).rejects.toMatchObject({
      name: "FlowliftError",
    });
  });

  test("an egress port that is not there sends the packets to the VM", async () => {
    const flow = makeFlow(1);
    await fixture.driver().install([flow]);
    const ports = makePorts(fixture.subject().interfaceNames).filter(
      ({ portId }) => portId !== OUTSIDE_PORT,
    );
    await fixture.driver().configure({ ports, vnics: VNICS });
    expect(fixture.playOriginal(flow)).toBe("passed");
    await fixture
      .driver()
      .configure({ ports: makePorts(fixture.subject().interfaceNames), vnics: VNICS });
    expect(fixture.playOriginal(flow)).toBe("forwarded");
  });

  test("configure() takes vNICs away and gives them back; it is idempotent", async () => {
    const flow = makeFlow(1);
    await fixture.driver().install([flow]);
    const ports = makePorts(fixture.subject().interfaceNames);
    await fixture.driver().configure({ ports, vnics: VNICS.slice(1) });
    expect(fixture.playOriginal(flow)).toBe("not-ours");
    await fixture.driver().configure({ ports, vnics: VNICS });
    await fixture.driver().configure({ ports, vnics: VNICS });
    expect(fixture.playOriginal(flow)).toBe("forwarded");
  });

  test.each([
    ["ports", LIMITS.portsMax],
    ["segments", LIMITS.segmentsMax],
    ["vnics", LIMITS.vnicsMax],
  ] as const)("configure() holds the bound of %s: one less, equal, one more", async (what, max) => {
    const outcomes: string[] = [];
    for (const count of [max - 1, max, max + 1]) {
      const outcome = await fixture
        .driver()
        .configure(makeTopology(what, count))
        .then(
          () => "configured",
          (error: Error) => error.message,
        );
      outcomes.push(outcome);
    }
    expect(outcomes.slice(0, 2)).toEqual(["configured", "configured"]);
    expect(outcomes[2]).toMatch(/^Cannot configure: \d+ \w+ are more than \d+$/);
  });

  test("slots hold their bound: 0 and slotsMax are refused, 1 and slotsMax - 1 are not", async () => {
    const outcomes: boolean[] = [];
    for (const slot of [0, 1, LIMITS.slotsMax - 1, LIMITS.slotsMax]) {
      const outcome = await fixture
        .driver()
        .setSlot(slot, 1, 1000)
        .then(
          () => true,
          () => false,
        );
      outcomes.push(outcome);
    }
    expect(outcomes).toEqual([false, true, true, false]);
  });

  test("listFlows() returns what was installed, updates included", async () => {
    const flows = [makeFlow(1), makeFlow(2, { family: 6, protocol: 17 })];
    await fixture.driver().install(flows);
    await fixture.driver().update(2, "reply", { mtuBytes: 1280 });
    const listed = await fixture.driver().listFlows?.();
    const updated = { ...flows[1]!, reply: { ...flows[1]!.reply!, mtuBytes: 1280 } };
    expect([...(listed ?? [])].sort((a, b) => a.handle - b.handle)).toEqual([flows[0], updated]);
  });
}

function makeTopology(
  what: "ports" | "segments" | "vnics",
  count: number,
): Parameters<FastPathDriver["configure"]>[0] {
  const numbers = Array.from({ length: count }, (_, index) => index);
  if (what === "vnics") {
    const vnics = numbers.map((index) => ({
      segmentId: 1,
      mac: mac(`02:00:00:00:01:0${index}`),
      vmSlot: 1,
    }));
    return { ports: [], vnics };
  }
  const ports = numbers.map((index) => ({
    portId: index,
    interfaceName: `absent${index}`,
    segmentId: what === "segments" ? index : 1,
    isVmPort: false,
  }));
  return { ports, vnics: [] };
}
