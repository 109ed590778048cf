/**
 * HTTP Basic authentication, with a short memory of what was right.
 *
 * Effect: asks the authenticator, whose password hashes are slow on purpose.
 * Source: RFC 7617; RFC 8040 §2.5. Limit: MEMORY_MAX right answers, each for MEMORY_MS.
 */
import { createHmac, randomBytes } from "node:crypto";
import type { Clock } from "../../lib/base/clock.ts";
import type { Authenticator } from "../authenticator.ts";

export const MEMORY_MAX = 256;
/** A password that was changed is right this long at most. */
export const MEMORY_MS = 10_000;

export class BasicAuthentication {
  readonly #authenticator: Authenticator;
  readonly #clock: Clock;
  readonly #key = randomBytes(32);
  readonly #right = new Map<string, number>();

  constructor(authenticator: Authenticator, clock: Clock) {
    this.#authenticator = authenticator;
    this.#clock = clock;
  }

  /** Returns the user that the header names rightly. */
  async check(header: string | undefined, sourceHost: string): Promise<string | undefined> {
    const credentials = parseBasic(header);
    if (credentials === undefined) return undefined;
    const { username, password } = credentials;
    const digest = createHmac("sha256", this.#key).update(`${username}\0${password}`).digest("hex");
    const now = this.#clock.nowMs();
    const until = this.#right.get(digest);
    if (until !== undefined && until > now) return username;
    this.#right.delete(digest);
    if (!(await this.#authenticator.checkPassword(username, password, sourceHost)))
      return undefined;
    this.#right.set(digest, now + MEMORY_MS);
    const [oldest] = this.#right.keys();
    if (this.#right.size > MEMORY_MAX && oldest !== undefined) this.#right.delete(oldest);
    return username;
  }
}

function parseBasic(header: string | undefined) {
  const match = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(header ?? "");
  if (match === null) return undefined;
  const text = Buffer.from(match[1] ?? "", "base64").toString("utf8");
  const colon = text.indexOf(":");
  if (colon < 1) return undefined;
  return { username: text.slice(0, colon), password: text.slice(colon + 1) };
}
