/**
 * Commits in their order: each waits for the one before; one may wait to be confirmed.
 *
 * Effect: changes running. Source: RFC 6241 §8.3.4, §8.4.
 * Invariant: that a commit must be confirmed is on the disk before it is applied, so that a restart
 * in between goes back.
 */
import type { Log } from "../../lib/base/log.ts";
import { err, type Result } from "../../lib/base/result.ts";
import { applicationError, type RpcError } from "../../lib/netconf/rpc-error.ts";
import type { DataRoot } from "../data-node.ts";
import { SerialQueue } from "../serial-queue.ts";
import type { Candidate } from "./candidate.ts";
import type { CommitLog } from "./commit-log.ts";
import { type Actor, SERVER_ACTOR } from "./journal-record.ts";
import { type ConfirmRequest, PendingCommit, refuseNeedlessPersistId } from "./pending-commit.ts";
import type { ChangeRequest, CommitResult, Running } from "./running.ts";

export interface CommitOptions extends Omit<ChangeRequest, "how"> {
  readonly confirm?: ConfirmRequest;
  readonly persistId?: string;
}

/** What the applier refused although the server must have it is given to it again after so long. */
const REAPPLY_MS = 1_000;
/** Timers may be early by so much. */
const TIMER_SLACK_MS = 50;

export class Commits {
  readonly #running: Running;
  readonly #log: CommitLog;
  readonly #output: Log;
  readonly #queue = new SerialQueue();
  #pending: PendingCommit | undefined;
  #reapplying: NodeJS.Timeout | undefined;

  constructor(running: Running, log: CommitLog, output: Log) {
    this.#running = running;
    this.#log = log;
    this.#output = output;
  }

  get pending(): PendingCommit | undefined {
    return this.#pending;
  }

  /** Runs work when everything before it is done. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    return this.#queue.run(work);
  }

  /** Makes a candidate running; an edit that comes in meanwhile stays in it. */
  commit(candidate: Candidate, options: CommitOptions): Promise<Result<CommitResult, RpcError>> {
    const { confirm, persistId, ...request } = options;
    return this.#queue.run(async () => {
      const pending = this.#pending;
      const refusal =
        pending === undefined
          ? refuseNeedlessPersistId(persistId)
          : pending.refuse(request.actor.sessionId, persistId);
      if (refusal !== undefined) return err(refusal);
      const next = candidate.merged();
      if (!next.ok) return next;
      const done =
        confirm === undefined
          ? await this.#commitLasting(next.value, request)
          : await this.#commitConfirmed(next.value, request, confirm);
      if (done.ok) candidate.committed();
      this.#compactLater();
      return done;
    });
  }

  /** Changes running at once: `compute` gets what running is when the turn has come. */
  change(
    compute: (running: DataRoot) => Result<DataRoot, RpcError>,
    request: ChangeRequest,
  ): Promise<Result<CommitResult, RpcError>> {
    return this.#queue.run(async () => {
      const refusal = this.#pending?.refuse(request.actor.sessionId, undefined);
      if (refusal !== undefined) return err(refusal);
      const next = compute(this.#running.root);
      if (!next.ok) return next;
      const done = await this.#running.become(next.value, request, this.#pending === undefined);
      this.#compactLater();
      return done;
    });
  }

  async #commitLasting(
    next: DataRoot,
    request: Omit<ChangeRequest, "how">,
  ): Promise<Result<CommitResult, RpcError>> {
    const done = await this.#running.become(next, { ...request, how: "commit" }, true);
    const pending = this.#pending;
    if (!done.ok || pending === undefined) return done;
    const startup = this.#running.savesStartup;
    const problem = await this.#running.append({ kind: "settled", startup });
    if (problem !== undefined) return err(problem);
    pending.stop();
    this.#pending = undefined;
    if (startup) this.#running.startup = this.#running.root;
    this.#running.tellConfirm("complete", request.actor);
    return done;
  }

  async #commitConfirmed(
    next: DataRoot,
    request: Omit<ChangeRequest, "how">,
    confirm: ConfirmRequest,
  ): Promise<Result<CommitResult, RpcError>> {
    const base = this.#running.root;
    const isFirst = this.#pending === undefined;
    if (isFirst) {
      const baseId = this.#log.lastId;
      const problem = await this.#running.append({ kind: "pending", baseId });
      if (problem !== undefined) return err(problem);
    }
    const done = await this.#running.become(next, { ...request, how: "confirmed" }, false);
    if (!done.ok) {
      if (isFirst) await this.#running.append({ kind: "settled", startup: false });
      return done;
    }
    const { actor } = request;
    if (this.#pending === undefined) {
      this.#pending = new PendingCommit(base, actor, confirm, () => this.#expire("timeout"));
    } else this.#pending.extend(actor, confirm);
    this.#running.tellConfirm(isFirst ? "start" : "extend", actor, confirm.timeoutSec);
    return done;
  }

  /** Takes back what waits for its confirmation. */
  cancel(actor: Actor, persistId: string | undefined): Promise<RpcError | undefined> {
    return this.#queue.run(async () => {
      const pending = this.#pending;
      if (pending === undefined) {
        const needless = refuseNeedlessPersistId(persistId);
        return needless ?? applicationError("operation-failed", "No commit waits to be confirmed");
      }
      const refusal = pending.refuse(actor.sessionId, persistId);
      if (refusal !== undefined) return refusal;
      await this.#takeBack(pending, actor, "cancelled");
      this.#running.tellConfirm("cancel", actor);
      return undefined;
    });
  }

  /** The session's unconfirmed commit ends with it, unless it named a persist-id. */
  sessionEnded(sessionId: number): void {
    if (this.#pending?.endsWith(sessionId) === true) this.#expire("cancel");
  }

  #expire(event: "cancel" | "timeout"): void {
    void this.#queue.run(async () => {
      const pending = this.#pending;
      if (pending === undefined) return;
      // A confirmation or an extension came before this had its turn.
      const leftMs = pending.deadline.getTime() - Date.now();
      if (event === "timeout" && leftMs > TIMER_SLACK_MS) return;
      await this.#takeBack(pending, SERVER_ACTOR, "timed-out");
      this.#running.tellConfirm(event, SERVER_ACTOR);
    });
  }

  /** This must come about: what the applier refuses now is given to it again later. */
  async #takeBack(
    pending: PendingCommit,
    actor: Actor,
    how: "cancelled" | "timed-out",
  ): Promise<void> {
    pending.stop();
    this.#pending = undefined;
    const done = await this.#running.become(pending.base, { actor, how }, false);
    if (!done.ok) {
      this.#output.error("A commit is taken back, but not applied yet", {
        reason: done.error.message,
      });
      const stored = await this.#running.become(pending.base, { actor, how }, false, true);
      if (!stored.ok) this.#running.root = pending.base;
      this.#reapplyLater();
    }
    const problem = await this.#running.append({ kind: "settled", startup: false });
    if (problem !== undefined) {
      this.#output.error("An end is not stored", { reason: problem.message });
    }
  }

  #reapplyLater(): void {
    clearTimeout(this.#reapplying);
    this.#reapplying = setTimeout(() => {
      void this.alone(() => this.#running.reapply()).then((problem) => {
        if (problem !== undefined) this.#reapplyLater();
      });
    }, REAPPLY_MS);
  }

  #compactLater(): void {
    if (!this.#log.isCompactionDue || this.#pending !== undefined) return;
    void this.#queue.run(async () => {
      if (this.#pending === undefined) await this.#running.compact();
    });
  }

  async close(): Promise<void> {
    this.#pending?.stop();
    clearTimeout(this.#reapplying);
    await this.#queue.run(() => this.#log.close());
  }
}
