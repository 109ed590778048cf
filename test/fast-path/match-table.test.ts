/** The table of matches against a plain map, and at its bounds. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { MatchTable } from "../../src/fast-path/bpf/match-table.ts";

const KEY_WORDS = 2;
const ENTRIES = 16;

function makeTable(seed: number, entriesMax = ENTRIES): { table: MatchTable; words: Int32Array } {
  const words = new Int32Array(entriesMax * 3);
  return {
    table: new MatchTable({ entriesMax, words, strideWords: 3, keyWords: KEY_WORDS, seed }),
    words,
  };
}

test("it takes exactly the indexes whose keys nobody holds, whatever comes and goes", () => {
  const step = fc.record({ index: fc.nat(ENTRIES - 1), key: fc.nat(5), isAdd: fc.boolean() });
  fc.assert(
    fc.property(fc.integer(), fc.array(step, { maxLength: 80 }), (seed, steps) => {
      const { table, words } = makeTable(seed);
      const held = new Map<number, number>();
      for (const { index, key, isAdd } of steps) {
        if (!isAdd && held.has(index)) {
          table.remove(index);
          held.delete(index);
        } else if (isAdd && !held.has(index)) {
          words[index * 3 + 1] = key;
          words[index * 3 + 2] = index; // Behind the key: it is no part of it.
          const isNew = ![...held.values()].includes(key);
          expect(table.add(index)).toBe(isNew);
          if (isNew) held.set(index, key);
        }
        expect(table.count).toBe(held.size);
      }
    }),
  );
});

test("it holds every index up to its bound, and gives each back", () => {
  for (const count of [ENTRIES - 1, ENTRIES]) {
    const { table, words } = makeTable(7);
    for (let index = 0; index < count; index++) {
      words[index * 3] = index + 1;
      expect(table.add(index)).toBe(true);
    }
    for (let index = 0; index < count; index++) table.remove(index);
    expect(table.count).toBe(0);
  }
  const { table, words } = makeTable(7, 2);
  words[3] = 1;
  expect([table.add(0), table.add(1)]).toEqual([true, true]);
  expect(() => table.add(1)).toThrow("room for every index");
  table.remove(0);
  expect(() => table.remove(0)).toThrow("an index that is removed is held");
});
