import fc from "fast-check";
import { expect, test } from "vitest";
import type { Ace, AceMatch } from "../../src/firewall/ace.ts";
import { boxesOverlap, boxOf, boxText } from "../../src/firewall/ace-box.ts";
import { compileRun, RUN_ACES_MAX, RUN_ACES_MIN, splitRuns } from "../../src/firewall/ace-map.ts";
import type { CountedAce } from "../../src/firewall/ace-match.ts";
import { parseIpAddress } from "../../src/lib/inet/address.ts";
import { digestName } from "../../src/lib/nft/identifier.ts";
import { numberAddress } from "../../src/nat/pool.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";

/** Random cases; `flowlift test --full` runs many more. */
const RUNS = campaignSize(60, 5000);

function counted(index: number, match: Partial<AceMatch>): CountedAce {
  const name = `ace-${index}`;
  const ace: Ace = {
    name,
    action: index % 2 === 0 ? "accept" : "drop",
    log: false,
    match: { family: 4, protocol: 6, packetFields: [], ...match },
  };
  return { ace, counter: digestName("ace", [name]) };
}

function host(index: number) {
  return { address: numberAddress(0x0a00_0000 + index), lengthBits: 32 };
}

function hosts(count: number): CountedAce[] {
  return Array.from({ length: count }, (_, index) => counted(index, { source: host(index) }));
}

test.each([
  [RUN_ACES_MIN - 1, RUN_ACES_MIN - 1],
  [RUN_ACES_MIN, 1],
  [RUN_ACES_MIN + 1, 1],
  [RUN_ACES_MAX - 1, 1],
  [RUN_ACES_MAX, 1],
  [RUN_ACES_MAX + 1, 2],
])("%d ACEs of one shape become %d pieces", (count, pieces) => {
  expect(splitRuns(hosts(count))).toHaveLength(pieces);
});

test("an ACE that overlaps an earlier one starts the next run", () => {
  const aces = hosts(20);
  aces[10] = counted(10, { source: { address: numberAddress(0x0a00_0000), lengthBits: 24 } });
  expect(splitRuns(aces).map((run) => run.length)).toEqual([10, 1, 9]);
});

test.each([
  ["a per-packet field", { packetFields: [{ field: "ttl", value: 1 }] }],
  ["an interface", { ingressInterface: "lan" }],
  ["another family", { family: 6 }],
  ["another field", { destination: host(5) }],
  ["a negated port", { destinationPort: { first: 1, last: 1, negated: true } }],
] as const)("%s splits a run", (_, match) => {
  const aces = hosts(20);
  aces[10] = counted(10, { source: host(10), ...(match as Partial<AceMatch>) });
  expect(splitRuns(aces).map((run) => run.length)).toEqual([10, 1, 9]);
});

test("TCP and UDP share a run: the protocol is part of the key", () => {
  const aces = Array.from({ length: 20 }, (_, index) =>
    counted(index, { protocol: index % 2 === 0 ? 6 : 17, source: host(index >> 1) }),
  );
  expect(splitRuns(aces)).toHaveLength(1);
});

test("of ACEs with the same key only the first is in the map", () => {
  const aces = [...hosts(9), counted(9, { source: host(0) })];
  const [run] = splitRuns(aces);
  const rules = compileRun(run ?? [], (ace) => ({
    kind: ace.action === "drop" ? "drop" : "accept",
  }));
  const map = rules[1]?.at(-1);
  expect(map?.kind === "verdict-map" && map.entries).toHaveLength(9);
  expect(map?.kind === "verdict-map" && map.entries[0]?.[1]).toEqual({ kind: "accept" });
});

test(`runs, put together, are the ACEs in their order (${RUNS} cases)`, campaignOptions(), () => {
  const side = fc.record({
    index: fc.integer({ min: 0, max: 30 }),
    length: fc.constantFrom(32, 32, 30, 24),
  });
  fc.assert(
    fc.property(fc.array(side, { maxLength: 60 }), (sides) => {
      const aces = sides.map(({ index, length }, at) => {
        const address = numberAddress((0x0a00_0000 + index) & ~(2 ** (32 - length) - 1));
        return counted(at, { source: { address, lengthBits: length } });
      });
      const runs = splitRuns(aces);
      expect(runs.flat()).toEqual(aces);
      for (const run of runs) {
        const boxes = run.map(({ ace }) => boxOf(ace.match));
        for (const [at, left] of boxes.entries()) {
          for (const right of boxes.slice(at + 1)) {
            expect(boxText(left) === boxText(right) || !boxesOverlap(left, right)).toBe(true);
          }
        }
      }
    }),
    { numRuns: RUNS },
  );
});

test("boxes of IPv6 prefixes are exact", () => {
  const box = (text: string, lengthBits: number) => {
    const address = parseIpAddress(text);
    if (address === undefined) throw new Error(text);
    return boxOf({ family: 6, packetFields: [], source: { address, lengthBits } });
  };
  expect(boxesOverlap(box("fd00::", 64), box("fd00::1", 128))).toBe(true);
  expect(boxesOverlap(box("fd00::", 64), box("fd00:0:0:1::", 64))).toBe(false);
});
