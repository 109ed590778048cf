/**
 * Who may log in, as the transports see it.
 *
 * Pure: types only. users.ts answers from the configuration and the first boot's key file.
 */
import type { ParsedKey } from "ssh2";

export type AuthMethod = "publickey" | "password";

export interface Authenticator {
  /** What a client may try. */
  methods(): readonly AuthMethod[];
  /** The key of this user that a client shows; undefined: it is not theirs, or they are locked out. */
  findKey(username: string, shown: Uint8Array, sourceHost: string): ParsedKey | undefined;
  /** Counts the attempt by itself. */
  checkPassword(username: string, password: string, sourceHost: string): Promise<boolean>;
  /** Tells how an attempt with a key ended. */
  report(username: string, sourceHost: string, isAuthentic: boolean): void;
}
