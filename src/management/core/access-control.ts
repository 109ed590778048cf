/**
 * Who has which rights now: the rules of running, compiled when they change.
 *
 * Pure state. Recovery users, and everybody while access control is off, have all rights.
 */
import type { DataNode, DataRoot } from "../data-node.ts";
import type { SessionEntry } from "../session-registry.ts";
import { type Access, FULL_ACCESS } from "./access.ts";
import { type DeniedCounters, UserAccess } from "./nacm.ts";
import { type AccessConfig, readAccessConfig } from "./nacm-rules.ts";
import { childNamed } from "./tree-reading.ts";

/** Users whose compiled rights are kept; more are compiled anew. */
export const USERS_KEPT_MAX = 256;

export class AccessControl {
  readonly counters: DeniedCounters = { operations: 0, writes: 0, notifications: 0 };
  readonly #running: () => DataRoot;
  readonly #isRecovery: (username: string) => boolean;
  readonly #users = new Map<string, Access>();
  #source: DataNode | undefined;
  #config: AccessConfig | undefined;

  constructor(running: () => DataRoot, isRecovery: (username: string) => boolean) {
    this.#running = running;
    this.#isRecovery = isRecovery;
  }

  accessOf({ groups = [], username }: Pick<SessionEntry, "groups" | "username">): Access {
    if (this.#isRecovery(username)) return FULL_ACCESS;
    const config = this.#current();
    if (!config.isEnabled) return FULL_ACCESS;
    const name = [username, ...groups].join("\u0000");
    const known = this.#users.get(name);
    if (known !== undefined) return known;
    if (this.#users.size >= USERS_KEPT_MAX) this.#users.clear();
    const access = new UserAccess(config, username, groups, this.counters);
    this.#users.set(name, access);
    return access;
  }

  /** Trees share what did not change, so a commit that leaves the rules alone costs nothing here. */
  #current(): AccessConfig {
    const source = childNamed(this.#running(), "nacm");
    if (this.#config === undefined || source !== this.#source) {
      this.#source = source;
      this.#config = readAccessConfig(this.#running());
      this.#users.clear();
    }
    return this.#config;
  }
}
