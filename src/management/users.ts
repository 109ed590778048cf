/**
 * The users of the management plane, and the lock-out of those who guess.
 *
 * Effect: reads the first boot's key file at each login; its users are recovery users, whom access
 * control does not bind. All others are in the configuration (ietf-system). Nobody has a password
 * or a key that nobody gave them.
 * Limit: FAILURES_MAX failures lock a user out for LOCKED_OUT_MS from where they came;
 * LOCKOUTS_MAX such places are remembered.
 */
import type { ParsedKey } from "ssh2";
import type { Clock } from "../lib/base/clock.ts";
import type { Log } from "../lib/base/log.ts";
import { matchesHash } from "../lib/crypt/libcrypt.ts";
import type { Authenticator, AuthMethod } from "./authenticator.ts";
import { findAuthorizedKey, readAuthorizedKeys } from "./ssh-keys.ts";

export const FAILURES_MAX = 5;
export const LOCKED_OUT_MS = 60_000;
export const LOCKOUTS_MAX = 4_096;
/** Checked when there is no such user, so that both take the same time. */
const NOBODY_HASH =
  "$6$flowliftnobody$Jf6kVh0mIvDQ8mSbnq0mM1Uo1xQm0Vd6y5u0uUq1VQm0m1rYwT8m1oJx3tq0b2YH9G3c6T4b5b0l0Zb0wQ2y1/";

/** A user of the configuration. */
export interface ConfiguredUser {
  readonly keys: readonly ParsedKey[];
  /** As crypt(5) writes it. */
  readonly passwordHash: string | undefined;
}

export interface UserDirectoryOptions {
  readonly recoveryUsers: readonly string[];
  readonly recoveryKeysFile: string;
  readonly configured: () => ReadonlyMap<string, ConfiguredUser>;
  readonly clock: Clock;
  readonly log: Log;
  /** Told about each attempt that ended, for the audit log. */
  readonly onAttempt?: (username: string, sourceHost: string, outcome: AttemptOutcome) => void;
}

export type AttemptOutcome = "accepted" | "refused" | "locked-out";

interface Failures {
  count: number;
  lockedUntilMs: number;
}

export class UserDirectory implements Authenticator {
  readonly #options: UserDirectoryOptions;
  readonly #failures = new Map<string, Failures>();

  constructor(options: UserDirectoryOptions) {
    this.#options = options;
  }

  /** Whether access control does not bind this user (RFC 8341 §3.4.3). */
  isRecovery(username: string): boolean {
    return this.#options.recoveryUsers.includes(username);
  }

  methods(): readonly AuthMethod[] {
    for (const user of this.#options.configured().values()) {
      if (user.passwordHash !== undefined) return ["publickey", "password"];
    }
    return ["publickey"];
  }

  findKey(username: string, shown: Uint8Array, sourceHost: string): ParsedKey | undefined {
    if (this.#isLockedOut(username, sourceHost)) return undefined;
    const { configured, recoveryKeysFile } = this.#options;
    const own = configured().get(username)?.keys ?? [];
    const first = this.isRecovery(username) ? readAuthorizedKeys(recoveryKeysFile) : [];
    return findAuthorizedKey([...own, ...first], shown);
  }

  async checkPassword(username: string, password: string, sourceHost: string): Promise<boolean> {
    if (this.#isLockedOut(username, sourceHost)) return false;
    const hash = this.#options.configured().get(username)?.passwordHash;
    const isRight = (await matchesHash(password, hash ?? NOBODY_HASH)) && hash !== undefined;
    this.report(username, sourceHost, isRight);
    return isRight;
  }

  report(username: string, sourceHost: string, isAuthentic: boolean): void {
    const place = placeOf(username, sourceHost);
    this.#options.onAttempt?.(username, sourceHost, isAuthentic ? "accepted" : "refused");
    if (isAuthentic) {
      this.#failures.delete(place);
      return;
    }
    const failures = this.#failures.get(place) ?? { count: 0, lockedUntilMs: 0 };
    failures.count++;
    if (failures.count >= FAILURES_MAX) {
      failures.count = 0;
      failures.lockedUntilMs = this.#options.clock.nowMs() + LOCKED_OUT_MS;
      this.#options.log.warn("A user is locked out", { username, sourceHost });
    }
    this.#failures.delete(place);
    this.#failures.set(place, failures);
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > LOCKOUTS_MAX && oldest !== undefined) this.#failures.delete(oldest);
  }

  #isLockedOut(username: string, sourceHost: string): boolean {
    const failures = this.#failures.get(placeOf(username, sourceHost));
    const isLocked = failures !== undefined && failures.lockedUntilMs > this.#options.clock.nowMs();
    if (isLocked) this.#options.onAttempt?.(username, sourceHost, "locked-out");
    return isLocked;
  }
}

function placeOf(username: string, sourceHost: string): string {
  return `${username}\u0000${sourceHost}`;
}
