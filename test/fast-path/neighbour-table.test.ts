import { expect, test } from "vitest";
import type { NeighbourLocation } from "../../src/fast-path/driver.ts";
import { NeighbourTable } from "../../src/fast-path/neighbour-table.ts";
import { mac } from "./frames.ts";

const A = mac("02:00:00:00:00:0a");
const B = mac("02:00:00:00:00:0b");
const C = mac("02:00:00:00:00:0c");

function makeTable(neighboursMax?: number): { table: NeighbourTable; told: NeighbourLocation[] } {
  const told: NeighbourLocation[] = [];
  return { table: new NeighbourTable((location) => told.push(location), neighboursMax), told };
}

test("learn() tells new places and moves, and keeps silent about what is known", () => {
  const { table, told } = makeTable();
  table.learn(1, A, 5);
  table.learn(1, A, 5);
  table.learn(1, A, 6);
  table.learn(2, A, 7);
  expect(told.map(({ segmentId, portId }) => [segmentId, portId])).toEqual([
    [1, 5],
    [1, 6],
    [2, 7],
  ]);
  expect(table.list()).toHaveLength(2);
});

test("forgetPort() takes exactly the addresses of that port", () => {
  const { table, told } = makeTable();
  table.learn(1, A, 5);
  table.learn(1, B, 5);
  table.learn(1, C, 6);
  told.length = 0;
  table.forgetPort(5);
  expect(told.map(({ mac: address, portId }) => [address, portId])).toEqual([
    [A, undefined],
    [B, undefined],
  ]);
  expect(table.list()).toEqual([{ segmentId: 1, mac: C, portId: 6 }]);
});

test("the table's bound holds: one less and equal are learned, one more is not, a move still is", () => {
  const { table } = makeTable(2);
  expect([table.learn(1, A, 5), table.learn(1, B, 5), table.learn(1, C, 5)]).toEqual([
    true,
    true,
    false,
  ]);
  expect(table.learn(1, A, 6)).toBe(true);
  table.forgetPort(5);
  expect(table.learn(1, C, 5)).toBe(true);
});
