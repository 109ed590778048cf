import { describe, expect, test } from "vitest";
import type { FlowRecord } from "../../src/controller/flow-record.ts";
import type { MacAddress } from "../../src/lib/inet/address.ts";
import { EPOCH, natFlow, RED_SERVER, World } from "./world.ts";

function only(world: World): FlowRecord {
  const [record] = [...world.core.table.list()];
  if (record === undefined) throw new Error("one flow is held");
  return record;
}

describe("a neighbour", () => {
  const place = (world: World, interfaceName: string, mac: MacAddress) => {
    const port = world.model.hosts
      .get("host-1")
      ?.ports.find((candidate) => candidate.interfaceName === interfaceName);
    if (port === undefined) throw new Error(`${interfaceName} is a port`);
    return { segmentId: port.segment.id, mac, portId: port.portId };
  };

  test("that moves takes its flows off the fast path", () => {
    const world = new World();
    world.request([natFlow(1n)]);
    world.installAll();
    world.core.takeNeighbour(place(world, "red-server", RED_SERVER), world.nowMs);
    expect(only(world).phase.kind).toBe("active");
    const gone = { ...place(world, "red-server", RED_SERVER), portId: undefined };
    world.core.takeNeighbour(gone, world.nowMs);
    world.withdrawAll();
    expect(world.vm().events.listUnacked().at(-1)?.what).toMatchObject({
      kind: "closed",
      cause: "neighbour-moved",
    });
  });

  test("cannot take a virtual machine's own address away", () => {
    const world = new World();
    const vnic = world.vm().vm.vnics.values().next().value;
    if (vnic === undefined) throw new Error("red has a vNIC");
    const before = world.core.locations.portOf(vnic.segment.id, vnic.mac);
    world.core.takeNeighbour(place(world, "red-client", vnic.mac), world.nowMs);
    expect(world.core.locations.portOf(vnic.segment.id, vnic.mac)).toBe(before);
  });

  test("of another segment's port is not believed", () => {
    const world = new World();
    const mac = "02:77:00:00:00:01" as MacAddress;
    const lie = {
      ...place(world, "blue-server", mac),
      segmentId: place(world, "red-server", mac).segmentId,
    };
    world.core.takeNeighbour(lie, world.nowMs);
    expect(world.core.locations.portOf(lie.segmentId, mac)).toBeUndefined();
  });
});

describe("update-offload", () => {
  const update = { kind: "update-offload", epoch: EPOCH, flowId: 1n, expectedVersion: 1n } as const;

  test("compares the version, then sets", () => {
    const world = new World();
    world.request([natFlow(1n)]);
    world.installAll();
    const wrong = world.send({ ...update, expectedVersion: 2n, idleTimeoutMs: 5000 });
    expect(wrong.reply).toMatchObject({
      outcome: "refused",
      reason: "version-conflict",
      version: 1n,
    });
    const right = world.send({ ...update, idleTimeoutMs: 5000 });
    expect(right.reply).toMatchObject({
      outcome: "updated",
      version: 2n,
      effectiveIdleTimeoutMs: 5000,
    });
    expect(only(world).flow.idleTimeoutMs).toBe(5000);
  });

  test("authorises the next hop like a request does", () => {
    const world = new World();
    world.request([natFlow(1n)]);
    world.installAll();
    const nextHop = "02:00:00:0b:02:01" as MacAddress;
    const { reply } = world.send({ ...update, originalEgress: { nextHop } });
    expect(reply).toMatchObject({ outcome: "refused", reason: "location-unknown", version: 1n });
    const zero = world.send({ ...update, idleTimeoutMs: 0 });
    expect(zero.reply).toMatchObject({ reason: "idle-timeout-out-of-range" });
  });
});
