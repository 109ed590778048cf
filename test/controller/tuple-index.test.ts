import fc from "fast-check";
import { expect, test } from "vitest";
import { TupleIndex } from "../../src/controller/tuple-index.ts";
import type { FastPathDirection } from "../../src/fast-path/driver.ts";
import type { MacAddress } from "../../src/lib/inet/address.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";
import { ip } from "./world.ts";

/** Random cases; `flowlift test --full` runs many more. */
const RUNS = campaignSize(60, 5000);

/** One of a few directions, so that the same ones come again. */
function direction(number: number): FastPathDirection {
  const mac = `02:00:00:00:00:0${number % 3}` as MacAddress;
  return {
    segmentId: 1 + (number % 2),
    destinationMac: mac,
    protocol: number % 5 === 0 ? 6 : 17,
    sourceAddress: ip(`10.0.${number % 7}.1`),
    destinationAddress: ip(number % 4 === 0 ? "2001:db8::1" : "198.51.100.7"),
    sourcePort: 1000 + number,
    destinationPort: 53,
    newSourceAddress: ip("10.0.0.1"),
    newDestinationAddress: ip("10.0.0.2"),
    newSourcePort: 1,
    newDestinationPort: 2,
    newSourceMac: mac,
    newDestinationMac: mac,
    egressPortId: 1,
    mtuBytes: 1500,
  };
}

test(`TupleIndex holds what a map would hold (${RUNS} cases)`, campaignOptions(), () => {
  const step = fc.tuple(fc.boolean(), fc.nat(400));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 600 }), (steps) => {
      const index = new TupleIndex<number>();
      const model = new Map<number, number>();
      for (const [adds, number] of steps) {
        if (adds && !model.has(number)) {
          index.add(direction(number), number);
          model.set(number, number);
        } else if (!adds && model.delete(number)) index.delete(direction(number));
      }
      expect(index.count).toBe(model.size);
      for (let number = 0; number <= 400; number++) {
        expect(index.get(direction(number))).toBe(model.get(number));
      }
    }),
    { numRuns: RUNS },
  );
});

test("TupleIndex grows, and shrinks to nothing", () => {
  const index = new TupleIndex<number>();
  for (let number = 0; number < 5000; number++) index.add(direction(number), number);
  for (let number = 0; number < 5000; number++) expect(index.get(direction(number))).toBe(number);
  expect(() => index.add(direction(7), 7)).toThrow("a tuple has one holder");
  for (let number = 0; number < 5000; number++) index.delete(direction(number));
  expect(index.count).toBe(0);
  for (let number = 0; number < 5000; number++)
    expect(index.get(direction(number))).toBeUndefined();
  expect(() => index.delete(direction(7))).toThrow("is held");
});
