/** Locks on datastores. Pure state. Source: RFC 6241 §7.5, §7.6, §8.3.5. */
import { inUse, lockDenied, protocolError, type RpcError } from "../lib/netconf/rpc-error.ts";

export type DatastoreName = "running" | "candidate" | "startup";
export const DATASTORE_NAMES: readonly DatastoreName[] = ["running", "candidate", "startup"];

export interface Lock {
  readonly sessionId: number;
  readonly since: Date;
}

/** Who holds which datastore. */
export class Locks {
  readonly #held = new Map<DatastoreName, Lock>();

  holderOf(name: DatastoreName): Lock | undefined {
    return this.#held.get(name);
  }

  /** `isModified`: the candidate differs from running, so nobody may lock it. */
  lock(
    name: DatastoreName,
    sessionId: number,
    since: Date,
    isModified: boolean,
  ): RpcError | undefined {
    const holder = this.#held.get(name);
    if (holder !== undefined) {
      const text = `Session ${holder.sessionId} holds the lock of ${name}`;
      return lockDenied(holder.sessionId, text);
    }
    if (isModified) {
      return lockDenied(0, `The ${name} has changes that nobody committed or discarded`);
    }
    this.#held.set(name, { sessionId, since });
    return undefined;
  }

  unlock(name: DatastoreName, sessionId: number): RpcError | undefined {
    const holder = this.#held.get(name);
    if (holder?.sessionId === sessionId) {
      this.#held.delete(name);
      return undefined;
    }
    const text =
      holder === undefined
        ? `Nobody holds the lock of ${name}`
        : `Session ${holder.sessionId} holds the lock of ${name}`;
    return protocolError("operation-failed", text);
  }

  /** Returns the datastores that this session had locked. */
  releaseAll(sessionId: number): DatastoreName[] {
    const released: DatastoreName[] = [];
    for (const [name, lock] of this.#held) {
      if (lock.sessionId !== sessionId) continue;
      this.#held.delete(name);
      released.push(name);
    }
    return released;
  }

  /** Returns `in-use` when another session has locked one of these. */
  refuse(names: readonly DatastoreName[], sessionId: number): RpcError | undefined {
    for (const name of names) {
      const holder = this.#held.get(name);
      if (holder === undefined || holder.sessionId === sessionId) continue;
      return inUse(holder.sessionId, `Session ${holder.sessionId} holds the lock of ${name}`);
    }
    return undefined;
  }
}
