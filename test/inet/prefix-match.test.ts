import fc from "fast-check";
import { expect, test } from "vitest";
import {
  familyOf,
  formatIpBytes,
  type IpAddress,
  type IpPrefix,
  ipToBytes,
  maskAddress,
} from "../../src/lib/inet/address.ts";
import { ipv4Bits, prefixContains } from "../../src/lib/inet/prefix-match.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";

/** Random cases; `flowlift test --full` runs many more. */
const RUNS = campaignSize(1000, 100_000);

/** The definition: the masked address is the prefix's. */
function containsByText(prefix: IpPrefix, address: IpAddress): boolean {
  if (familyOf(prefix.address) !== familyOf(address)) return false;
  return maskAddress(address, prefix.lengthBits) === prefix.address;
}

const bytes4 = fc.uint8Array({ minLength: 4, maxLength: 4 });
/** Zeros are frequent, so that every place of "::" occurs. */
const bytes6 = fc
  .array(fc.oneof(fc.constant(0), fc.constant(0), fc.integer({ min: 0, max: 255 })), {
    minLength: 16,
    maxLength: 16,
  })
  .map((bytes) => Uint8Array.from(bytes));
const address = fc.oneof(bytes4, bytes6).map(formatIpBytes);
const lengthBits = (of: IpAddress) => fc.integer({ min: 0, max: familyOf(of) === 4 ? 32 : 128 });

test(
  `a prefix contains what lies in it by the texts' definition (${RUNS} cases)`,
  campaignOptions(),
  () => {
    const other = fc.record({ base: address, flip: fc.nat(200), address });
    fc.assert(
      fc.property(
        other.chain((drawn) => fc.tuple(fc.constant(drawn), lengthBits(drawn.base))),
        ([{ base, flip, address: stranger }, length]) => {
          const prefix = { address: maskAddress(base, length), lengthBits: length };
          const bytes = ipToBytes(base).slice();
          const at = flip % (8 * bytes.length);
          bytes[at >> 3] = (bytes[at >> 3] ?? 0) ^ (0x80 >> (at & 7));
          for (const candidate of [base, formatIpBytes(bytes), stranger, prefix.address]) {
            const expected = containsByText(prefix, candidate);
            expect(prefixContains(prefix, candidate)).toBe(expected);
            expect(prefixContains(prefix, candidate)).toBe(expected); // Again, from memory.
          }
        },
      ),
      { numRuns: RUNS },
    );
  },
);

test("a prefix with bits below its length contains nothing", () => {
  const prefix = { address: "10.0.0.1" as IpAddress, lengthBits: 24 };
  expect(prefixContains(prefix, "10.0.0.1" as IpAddress)).toBe(false);
});

test.each([
  ["0.0.0.0", 0],
  ["0.0.0.1", 1],
  ["127.255.255.255", 0x7fff_ffff],
  ["255.255.255.255", -1],
])("%s is the number %d", (text, bits) => {
  expect(ipv4Bits(text as IpAddress)).toBe(bits);
});
