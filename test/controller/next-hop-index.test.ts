import { expect, test } from "vitest";
import type { FlowRecord } from "../../src/controller/flow-record.ts";
import { locationKey } from "../../src/controller/location.ts";
import { natFlow, RED_CLIENT, RED_SERVER, World } from "./world.ts";

function worldWith(flows: number): World {
  const world = new World();
  const wanted = Array.from({ length: flows }, (_, index) => natFlow(BigInt(index + 1)));
  for (let at = 0; at < flows; at += 1000) world.request(wanted.slice(at, at + 1000));
  world.installAll();
  return world;
}

function through(world: World): readonly FlowRecord[] {
  const [record] = world.core.table.list();
  if (record === undefined) return [];
  return world.core.table.throughNextHop(locationKey(record.egressSegmentIds[0], RED_SERVER));
}

test("flows that have gone are found through no next hop, and forgotten in time", () => {
  const world = worldWith(500);
  expect(through(world)).toHaveLength(500);
  for (const record of [...world.core.table.list()].slice(0, 470)) {
    world.core.withdraw(record, "operator", world.nowMs);
  }
  world.withdrawAll();
  expect(through(world)).toEqual([...world.core.table.list()]);
  expect(through(world)).toHaveLength(30);
});

test("a flow whose egress is updated there and back is found once", () => {
  const world = worldWith(3);
  const [record] = world.core.table.list();
  if (record === undefined) throw new Error("flows are held");
  const { original } = record.fast;
  const elsewhere = { ...record.fast, original: { ...original, newDestinationMac: RED_CLIENT } };
  const back = record.fast;
  world.core.table.replaceEgress(record, elsewhere);
  expect(through(world)).not.toContain(record);
  world.core.table.replaceEgress(record, back);
  expect(through(world).filter((each) => each === record)).toHaveLength(1);
  expect(through(world)).toHaveLength(3);
});
