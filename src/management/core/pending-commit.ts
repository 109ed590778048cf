/**
 * A commit that somebody has to confirm.
 *
 * Pure state, but for its timer. Source: RFC 6241 §8.4.
 */
import { inUse, protocolError, type RpcError } from "../../lib/netconf/rpc-error.ts";
import type { DataRoot } from "../data-node.ts";
import type { Actor } from "./journal-record.ts";

/** RFC 6241 §8.4.1. */
export const CONFIRM_TIMEOUT_SEC_DEFAULT = 600;
/** Longer waits do not fit into a timer of Node. */
export const CONFIRM_TIMEOUT_SEC_MAX = 2_000_000;

export interface ConfirmRequest {
  readonly timeoutSec: number;
  /** Lets any session confirm that knows it, and outlives this one. */
  readonly persist: string | undefined;
}

export class PendingCommit {
  /** What running was before the first of these commits. */
  readonly base: DataRoot;
  readonly #expire: () => void;
  #owner: Actor;
  #persist: string | undefined;
  #timer: NodeJS.Timeout;
  deadline: Date;

  constructor(base: DataRoot, owner: Actor, request: ConfirmRequest, expire: () => void) {
    this.base = base;
    this.#owner = owner;
    this.#persist = request.persist;
    this.#expire = expire;
    this.#timer = setTimeout(expire, request.timeoutSec * 1000);
    this.deadline = new Date(Date.now() + request.timeoutSec * 1000);
  }

  get owner(): Actor {
    return this.#owner;
  }

  extend(owner: Actor, request: ConfirmRequest): void {
    clearTimeout(this.#timer);
    this.#owner = owner;
    this.#persist = request.persist;
    this.#timer = setTimeout(this.#expire, request.timeoutSec * 1000);
    this.deadline = new Date(Date.now() + request.timeoutSec * 1000);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** Whether the end of this session takes the commit back. */
  endsWith(sessionId: number): boolean {
    return this.#persist === undefined && this.#owner.sessionId === sessionId;
  }

  /** Whether a commit or cancel-commit of this session is about this one. */
  refuse(sessionId: number, persistId: string | undefined): RpcError | undefined {
    if (this.#persist !== undefined) {
      if (persistId === this.#persist) return undefined;
      if (persistId !== undefined) return wrongPersistId();
      const text = "A commit waits for its confirmation by persist-id";
      return inUse(this.#owner.sessionId, text);
    }
    if (persistId !== undefined) return wrongPersistId();
    if (this.#owner.sessionId === sessionId) return undefined;
    const text = `Session ${this.#owner.sessionId} has a commit that waits for its confirmation`;
    return inUse(this.#owner.sessionId, text);
  }
}

function wrongPersistId(): RpcError {
  return protocolError("invalid-value", "No commit waits for this persist-id", {
    info: [{ name: "bad-element", text: "persist-id" }],
  });
}

/** A persist-id although nothing waits. */
export function refuseNeedlessPersistId(persistId: string | undefined): RpcError | undefined {
  return persistId === undefined ? undefined : wrongPersistId();
}
