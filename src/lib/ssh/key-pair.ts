/**
 * New Ed25519 key pairs in OpenSSH's form.
 *
 * Effect: draws randomness.
 * ssh2 1.17 writes about one key in 200 with a padding that neither it nor OpenSSH reads again (seen: 14 of
 * 3,000); such a one is drawn again. Limit: DRAWS_MAX.
 */
import ssh2 from "ssh2";
import { assert } from "../base/assert.ts";

/** All of them spoiled: once in 10^18. */
export const DRAWS_MAX = 8;

export interface SshKeyPair {
  readonly private: string;
  readonly public: string;
}

/** Returns a pair that can be read again; `draw` is for tests. */
export function makeSshKeyPair(
  comment: string,
  draw: (comment: string) => SshKeyPair = drawPair,
): SshKeyPair {
  for (let count = 0; count < DRAWS_MAX; count++) {
    const pair = draw(comment);
    if (!(ssh2.utils.parseKey(pair.private) instanceof Error)) return pair;
  }
  assert(false, `one key of ${DRAWS_MAX} can be read`);
}

function drawPair(comment: string): SshKeyPair {
  return ssh2.utils.generateKeyPairSync("ed25519", { comment });
}
