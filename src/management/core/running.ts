/**
 * running and startup: what they are, how a change of running is carried out, and that it is stored.
 *
 * Effect: calls libyang, the applier and the log. Its callers see to it that one change at a time
 * is under way. Invariant: a change that fails leaves running, startup and the applier as they were.
 */
import type { Log } from "../../lib/base/log.ts";
import { err, ok, type Result } from "../../lib/base/result.ts";
import { type RpcError, rpcErrorOf } from "../../lib/netconf/rpc-error.ts";
import type { ConfigData } from "../../lib/service/provider.ts";
import type { Applier, ApplyOutcome } from "../applier.ts";
import type { JsonWriter } from "../data-json.ts";
import { type DataRoot, EMPTY_ROOT } from "../data-node.ts";
import type { ConfirmEvent, StoreListener } from "./commit-events.ts";
import type { CommitLog } from "./commit-log.ts";
import { type Change, diffRoots } from "./diff.ts";
import { formatEdit } from "./edit-text.ts";
import type { Actor, CommitCause, CommitMeta, NewRecord } from "./journal-record.ts";
import { applyPlan } from "./two-phase.ts";

/** Who changes running, and why. */
export interface ChangeRequest {
  readonly actor: Actor;
  readonly how: CommitCause;
  readonly comment?: string;
  /** Looked at when the change's turn has come: locks, and rights to what it changes. */
  readonly refuse?: (changes: readonly Change[]) => RpcError | undefined;
}

/** What a commit did; `commitId` is absent when nothing changed. */
export interface CommitResult extends ApplyOutcome {
  readonly commitId: number | undefined;
}

export interface RunningOptions {
  readonly applier: Applier;
  readonly log: CommitLog;
  readonly json: JsonWriter;
  readonly validate: (root: DataRoot) => RpcError | undefined;
  readonly savesStartup: (config: ConfigData) => boolean;
  readonly output: Log;
}

export const NOTHING_DONE: CommitResult = { late: [], commitId: undefined };

export class Running {
  root: DataRoot = EMPTY_ROOT;
  startup: DataRoot | undefined;
  lastCommitAt: Date = new Date();
  readonly #options: RunningOptions;
  readonly #listeners: StoreListener[] = [];

  constructor(options: RunningOptions) {
    this.#options = options;
  }

  listen(listener: StoreListener): void {
    this.#listeners.push(listener);
  }

  tellConfirm(event: ConfirmEvent, who: Actor, timeoutSec?: number): void {
    for (const listener of this.#listeners) listener.confirm?.(event, who, timeoutSec);
  }

  tellStartup(who: Actor): void {
    for (const listener of this.#listeners) listener.startupChanged?.(who);
  }

  /** Whether startup follows running as it is now. */
  get savesStartup(): boolean {
    const { json, savesStartup } = this.#options;
    return savesStartup(json.write(this.root));
  }

  /**
   * Makes `after` running. `isLasting`: startup may follow. `isForced`: it is stored and adopted
   * although it is not applied.
   */
  async become(
    after: DataRoot,
    request: ChangeRequest,
    isLasting: boolean,
    isForced = false,
  ): Promise<Result<CommitResult, RpcError>> {
    const before = this.root;
    const changes = diffRoots(before, after);
    const refusal = request.refuse?.(changes);
    if (refusal !== undefined) return err(refusal);
    if (changes.length === 0) {
      this.root = after;
      return ok(NOTHING_DONE);
    }
    const { applier, json, log, output, savesStartup, validate } = this.#options;
    const problem = validate(after);
    if (problem !== undefined) return err(problem);
    const data = json.write(after);
    const startup = isLasting && savesStartup(data);
    const meta = makeMeta(log.lastId + 1, request, changes.length);
    const store = async (): Promise<void> => {
      const forward = formatEdit(before, after);
      const backward = formatEdit(after, before);
      await log.append({ kind: "commit", ...meta, startup, forward, backward });
      this.root = after;
      if (startup) this.startup = after;
    };
    const applied = await applyPlan(isForced ? undefined : applier, data, store, output);
    if (!applied.ok) return applied;
    this.lastCommitAt = new Date(meta.time);
    for (const listener of this.#listeners) {
      listener.committed?.({ meta, changes, before, after });
    }
    return ok({ ...applied.value, commitId: meta.id });
  }

  async append(record: NewRecord): Promise<RpcError | undefined> {
    try {
      await this.#options.log.append(record);
      return undefined;
    } catch (error) {
      return rpcErrorOf(error);
    }
  }

  /** Gives running to the applier once more. */
  async reapply(): Promise<RpcError | undefined> {
    const { applier, json, output, validate } = this.#options;
    const problem = validate(this.root);
    if (problem !== undefined) return problem;
    const applied = await applyPlan(applier, json.write(this.root), async () => {}, output);
    return applied.ok ? undefined : applied.error;
  }

  /** Shortens the journal when it is time. */
  async compact(): Promise<void> {
    const { log, output } = this.#options;
    if (!log.isCompactionDue) return;
    try {
      await log.snapshot(this.root, this.startup);
    } catch (error) {
      output.error("The journal stays long", { reason: rpcErrorOf(error).message });
    }
  }
}

function makeMeta(id: number, request: ChangeRequest, changes: number): CommitMeta {
  const { actor, comment = "", how } = request;
  return { ...actor, id, time: new Date().toISOString(), how, comment, changes };
}
