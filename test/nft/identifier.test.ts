import fc from "fast-check";
import { expect, test } from "vitest";
import { contentChain } from "../../src/lib/nft/chain.ts";
import {
  digestName,
  INTERFACE_NAME_CHARACTERS_MAX,
  OBJECT_NAME_CHARACTERS_MAX,
  objectName,
  parseInterfaceName,
} from "../../src/lib/nft/identifier.ts";
import { ACCEPT, DROP } from "../../src/lib/nft/nodes.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";

/** Random cases; `flowlift test --full` runs many more. */
const RUNS = campaignSize(100, 50_000);

test(`digestName() makes a harmless name of any text (${RUNS} cases)`, campaignOptions(), () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "binary" })), (parts) => {
      expect(digestName("acl", parts)).toMatch(/^acl-[0-9a-f]{20}$/);
    }),
    { numRuns: RUNS },
  );
});

test("digestName() tells apart lists whose joined text is equal", () => {
  expect(digestName("a", ["ab", "c"])).not.toBe(digestName("a", ["a", "bc"]));
  expect(digestName("a", ["1:a"])).not.toBe(digestName("a", ["1", "a"]));
});

test.each([
  ["eth0", true],
  ["wan.100", true],
  ["a".repeat(INTERFACE_NAME_CHARACTERS_MAX - 1), true],
  ["a".repeat(INTERFACE_NAME_CHARACTERS_MAX), true],
  ["a".repeat(INTERFACE_NAME_CHARACTERS_MAX + 1), false],
  ["eth*", false],
  ["@set", false],
  ["", false],
  [".", false],
  ["a b", false],
  ["a/b", false],
  ['a"b', false],
  ["a\nb", false],
])("parseInterfaceName(%j) accepts: %s", (name, accepted) => {
  expect(parseInterfaceName(name) !== undefined).toBe(accepted);
});

test.each([
  [OBJECT_NAME_CHARACTERS_MAX - 1, true],
  [OBJECT_NAME_CHARACTERS_MAX, true],
  [OBJECT_NAME_CHARACTERS_MAX + 1, false],
])("objectName() of %d characters is possible: %s", (length, possible) => {
  if (possible) expect(objectName("a".repeat(length))).toHaveLength(length);
  else expect(() => objectName("a".repeat(length))).toThrow("short");
});

test("contentChain() names equal content equally and different content differently", () => {
  expect(contentChain("a", [[ACCEPT]]).name).toBe(contentChain("a", [[ACCEPT]]).name);
  expect(contentChain("a", [[ACCEPT]]).name).not.toBe(contentChain("a", [[DROP]]).name);
});
