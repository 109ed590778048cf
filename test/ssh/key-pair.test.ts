/** Key pairs that can be read again, whatever the library draws. */
import ssh2 from "ssh2";
import { expect, test } from "vitest";
import { DRAWS_MAX, makeSshKeyPair } from "../../src/lib/ssh/key-pair.ts";
import { campaignSize } from "../support/campaign.ts";

const count = campaignSize(500, 20_000);

test(`every pair of ${count} can be read, and its halves belong together`, () => {
  for (let index = 0; index < count; index++) {
    const pair = makeSshKeyPair("c");
    const secret = ssh2.utils.parseKey(pair.private);
    const shown = ssh2.utils.parseKey(pair.public);
    if (secret instanceof Error || shown instanceof Error) throw new Error("a key is spoiled");
    expect(secret.getPublicSSH().equals(shown.getPublicSSH())).toBe(true);
  }
}, 60_000);

test.each([
  [DRAWS_MAX - 2, true],
  [DRAWS_MAX - 1, true],
  [DRAWS_MAX, false],
])("after %i spoiled keys a good one is found: %s", (spoiled, isFound) => {
  const good = makeSshKeyPair("c");
  let drawn = 0;
  const draw = () => (drawn++ < spoiled ? { ...good, private: "spoiled" } : good);
  if (isFound) expect(makeSshKeyPair("c", draw)).toBe(good);
  else expect(() => makeSshKeyPair("c", draw)).toThrow();
});
