/**
 * The datastores, and the one way in which running changes: validate, prepare, apply, store durably,
 * and only then answer.
 *
 * Effect: calls libyang, the applier and the log. Changes run one after the other.
 * Invariant: a change that fails leaves running, startup and the applier as they were.
 */
import type { Log } from "../lib/base/log.ts";
import { err, ok, type Result } from "../lib/base/result.ts";
import { applicationError, type RpcError, rpcErrorOf } from "../lib/netconf/rpc-error.ts";
import type { ConfigData } from "../lib/service/provider.ts";
import type { YangContext } from "../lib/yang/yang-context.ts";
import type { Applier, ApplyOutcome } from "./applier.ts";
import { Candidate } from "./core/candidate.ts";
import type { StoreListener } from "./core/commit-events.ts";
import { CommitLog } from "./core/commit-log.ts";
import { type Change, diffRoots, formatEdit } from "./core/diff.ts";
import {
  type Actor,
  type CommitCause,
  type CommitMeta,
  SERVER_ACTOR,
} from "./core/journal-record.ts";
import { makeJsonWriter } from "./core/json-of.ts";
import {
  type ConfirmRequest,
  PendingCommit,
  refuseNeedlessPersistId,
} from "./core/pending-commit.ts";
import { type ApplyPlan, applyPlan } from "./core/two-phase.ts";
import { Validator } from "./core/validator.ts";
import type { JsonWriter } from "./data-json.ts";
import { type DataRoot, EMPTY_ROOT } from "./data-node.ts";
import type { DatastoreFiles } from "./datastore-files.ts";
import { applyEdit } from "./edit-engine.ts";
import type { DefaultOperation, EditNode } from "./edit-node.ts";
import { readCanonicalXml, readConfigJson } from "./edit-payload.ts";
import { type DatastoreName, Locks } from "./locks.ts";
import type { Schema } from "./schema.ts";
import { SerialQueue } from "./serial-queue.ts";

export interface ConfigStoreOptions {
  readonly yang: YangContext;
  readonly schema: Schema;
  readonly applier: Applier;
  readonly stateDirectory: string;
  readonly bootId: string;
  /** Whether a commit of this configuration also becomes startup. */
  readonly savesStartup: (config: ConfigData) => boolean;
  readonly log: Log;
  /** For tests. */
  readonly files?: DatastoreFiles;
}

/** Who changes running, and why. */
export interface ChangeRequest {
  readonly actor: Actor;
  readonly how: CommitCause;
  readonly comment?: string;
  /** Looked at when the change's turn has come: locks, and rights to what it changes. */
  readonly refuse?: (changes: readonly Change[]) => RpcError | undefined;
}

export interface CommitOptions extends Omit<ChangeRequest, "how"> {
  readonly confirm?: ConfirmRequest;
  readonly persistId?: string;
}

/** What a commit did; `commitId` is absent when nothing changed. */
export interface CommitResult extends ApplyOutcome {
  readonly commitId: number | undefined;
}

const NOTHING_DONE: CommitResult = { late: [], commitId: undefined };
/** The server's own changes that the applier refuses are given to it again so often. */
const REAPPLY_MS = 1_000;

export class ConfigStore {
  readonly locks: Locks = new Locks();
  readonly candidate: Candidate;
  readonly json: JsonWriter;
  readonly log: CommitLog;
  readonly #options: ConfigStoreOptions;
  readonly #queue = new SerialQueue();
  readonly #validator: Validator;
  readonly #listeners: StoreListener[] = [];
  #running: DataRoot = EMPTY_ROOT;
  #startup: DataRoot | undefined;
  #pending: PendingCommit | undefined;
  #reapplying: NodeJS.Timeout | undefined;
  #lastCommitAt: Date = new Date();

  constructor(options: ConfigStoreOptions) {
    this.#options = options;
    this.#validator = new Validator(options.yang);
    this.candidate = this.makeCandidate(false);
    this.json = makeJsonWriter(options.yang);
    this.log = new CommitLog({
      directory: options.stateDirectory,
      bootId: options.bootId,
      parseSnapshot: (json) => this.#parseValid(json),
      formatSnapshot: (root) => this.formatJson(root),
      applyEdit: (base, xml) => this.applyEditText(base, xml),
      log: options.log,
      ...(options.files === undefined ? {} : { files: options.files }),
    });
  }

  get schema(): Schema {
    return this.#options.schema;
  }

  get yang(): YangContext {
    return this.#options.yang;
  }

  get pending(): PendingCommit | undefined {
    return this.#pending;
  }

  /** Changes with running; for entity tags. */
  get lastCommitId(): number {
    return this.log.lastId;
  }

  get lastCommitAt(): Date {
    return this.#lastCommitAt;
  }

  /** Returns an empty candidate; a private one belongs to one session. */
  makeCandidate(isPrivate: boolean): Candidate {
    return new Candidate({
      running: () => this.#running,
      applyEdit: (base, xml) => this.applyEditText(base, xml),
      isPrivate,
    });
  }

  listen(listener: StoreListener): void {
    this.#listeners.push(listener);
  }

  /** A startup that does not exist reads as empty. `candidate` is the shared one. */
  read(name: DatastoreName): DataRoot {
    if (name === "running") return this.#running;
    return name === "candidate" ? this.candidate.root : (this.#startup ?? EMPTY_ROOT);
  }

  get hasStartup(): boolean {
    return this.#startup !== undefined;
  }

  /** Sets what was loaded at start. Running is applied later, by reapply(). */
  initialize(running: DataRoot, startup: DataRoot | undefined): void {
    this.#running = running;
    this.#startup = startup;
    this.candidate.discard();
  }

  /** Returns the tree that these edits make of `base`. */
  edited(
    base: DataRoot,
    edits: readonly EditNode[],
    defaultOperation: DefaultOperation,
  ): Result<DataRoot, RpcError> {
    return applyEdit(base, edits, defaultOperation);
  }

  /** Applies an edit that this program wrote itself. */
  applyEditText(base: DataRoot, xml: string): Result<DataRoot, RpcError> {
    const edits = readCanonicalXml(this.schema, xml);
    return edits.ok ? applyEdit(base, edits.value, "merge") : edits;
  }

  /** Returns the data of a stored or shipped file as a tree. */
  parseJson(json: string): Result<DataRoot, RpcError> {
    const edits = readConfigJson(this.yang, this.schema, json, false);
    return edits.ok ? applyEdit(EMPTY_ROOT, edits.value, "merge") : edits;
  }

  #parseValid(json: string): Result<DataRoot, RpcError> {
    const root = this.parseJson(json);
    if (!root.ok) return root;
    const problem = this.validate(root.value);
    return problem === undefined ? root : err(problem);
  }

  /** Checks every constraint of the schema. */
  validate(root: DataRoot): RpcError | undefined {
    const valid = this.#validator.validate(root);
    return valid.ok ? undefined : valid.error;
  }

  /** Returns a tree as RFC 7951 text. */
  formatJson(root: DataRoot): string {
    return JSON.stringify(this.json.write(root));
  }

  /** Makes the shared candidate running, or confirms. */
  commit(options: CommitOptions): Promise<Result<CommitResult, RpcError>> {
    return this.commitCandidate(this.candidate, options);
  }

  /** Makes a candidate running; an edit that comes in meanwhile stays in it. */
  commitCandidate(
    candidate: Candidate,
    options: CommitOptions,
  ): Promise<Result<CommitResult, RpcError>> {
    const { confirm, persistId, ...request } = options;
    return this.#queue.run(async () => {
      const refusal =
        this.#pending?.refuse(request.actor.sessionId, persistId) ??
        (this.#pending === undefined ? refuseNeedlessPersistId(persistId) : undefined);
      if (refusal !== undefined) return err(refusal);
      const next = candidate.merged();
      if (!next.ok) return next;
      const how = confirm === undefined ? "commit" : "confirmed";
      const done = await this.#change(next.value, { ...request, how }, confirm);
      if (done.ok) candidate.committed();
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
      const next = compute(this.#running);
      return next.ok ? this.#change(next.value, request, undefined, true) : next;
    });
  }

  /** Replaces running by a document of RFC 7951 data, as a commit would; returns why that failed. */
  async load(json: string): Promise<RpcError | undefined> {
    const root = this.parseJson(json);
    if (!root.ok) return root.error;
    const done = await this.change(() => root, { actor: SERVER_ACTOR, how: "copy" });
    return done.ok ? undefined : done.error;
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
      const done = await this.#takeBack(pending, actor, "cancelled");
      if (done === undefined) this.#tellConfirm("cancel", actor, undefined);
      return done;
    });
  }

  /** A session is over: its shared changes stay, its unconfirmed commit does not. */
  sessionEnded(sessionId: number): void {
    if (this.#pending?.endsWith(sessionId) === true) this.#expire("cancel");
  }

  #expire(event: "cancel" | "timeout"): void {
    void this.#queue.run(async () => {
      const pending = this.#pending;
      if (pending === undefined) return;
      // A confirmation or an extension came before this had its turn.
      if (event === "timeout" && pending.deadline.getTime() > Date.now() + 50) return;
      await this.#takeBack(pending, SERVER_ACTOR, "timed-out");
      this.#tellConfirm(event, SERVER_ACTOR, undefined);
    });
  }

  /** The server does so on its own, and must: what the applier refuses is given to it again later. */
  async #takeBack(
    pending: PendingCommit,
    actor: Actor,
    how: CommitCause,
  ): Promise<RpcError | undefined> {
    pending.stop();
    this.#pending = undefined;
    const plan = this.#plan(this.#running, pending.base, { actor, how });
    const done = await this.#run(plan, false);
    if (!done.ok) {
      this.#options.log.error("A commit could not be taken back yet", {
        reason: done.error.message,
      });
      await this.#run(plan, false, true).catch(() => undefined);
      this.#reapplyLater();
    }
    try {
      await this.log.append({ kind: "settled", startup: false });
    } catch (error) {
      this.#options.log.error("An end is not stored", { reason: rpcErrorOf(error).message });
    }
    return undefined;
  }

  #reapplyLater(): void {
    clearTimeout(this.#reapplying);
    this.#reapplying = setTimeout(() => {
      void this.reapply().then((problem) => {
        if (problem !== undefined) this.#reapplyLater();
      });
    }, REAPPLY_MS);
  }

  async #change(
    next: DataRoot,
    request: ChangeRequest,
    confirm: ConfirmRequest | undefined,
    isInner = false,
  ): Promise<Result<CommitResult, RpcError>> {
    const plan = this.#plan(this.#running, next, request);
    const refusal = request.refuse?.(plan.changes);
    if (refusal !== undefined) return err(refusal);
    const before = this.#running;
    const wasPending = this.#pending !== undefined;
    const settles = confirm === undefined && wasPending && !isInner;
    if (confirm !== undefined && !wasPending) {
      const problem = await this.#append({ kind: "pending", baseId: this.log.lastId });
      if (problem !== undefined) return err(problem);
    }
    const isLasting = confirm === undefined && (settles || !wasPending);
    const done = await this.#run(plan, isLasting);
    if (!done.ok) {
      if (confirm !== undefined && !wasPending) {
        await this.#append({ kind: "settled", startup: false });
      }
      return done;
    }
    if (confirm !== undefined) this.#await(before, request.actor, confirm);
    if (!settles) return done;
    return this.#settle(done.value, request.actor);
  }

  #await(base: DataRoot, actor: Actor, confirm: ConfirmRequest): void {
    if (this.#pending === undefined) {
      this.#pending = new PendingCommit(base, actor, confirm, () => this.#expire("timeout"));
      this.#tellConfirm("start", actor, confirm.timeoutSec);
    } else {
      this.#pending.extend(actor, confirm);
      this.#tellConfirm("extend", actor, confirm.timeoutSec);
    }
  }

  async #settle(done: CommitResult, actor: Actor): Promise<Result<CommitResult, RpcError>> {
    const startup = this.#options.savesStartup(this.json.write(this.#running));
    const problem = await this.#append({ kind: "settled", startup });
    if (problem !== undefined) return err(problem);
    this.#pending?.stop();
    this.#pending = undefined;
    if (startup) this.#startup = this.#running;
    this.#tellConfirm("complete", actor, undefined);
    return ok(done);
  }

  #plan(before: DataRoot, after: DataRoot, request: ChangeRequest): ApplyPlan {
    const changes = diffRoots(before, after);
    return { before, after, changes, request };
  }

  /** `isForced`: stores and adopts it although it was not applied. */
  async #run(
    plan: ApplyPlan,
    isLasting: boolean,
    isForced = false,
  ): Promise<Result<CommitResult, RpcError>> {
    const { after, before, changes, request } = plan;
    if (changes.length === 0) {
      this.#running = after;
      return ok(NOTHING_DONE);
    }
    const problem = this.validate(after);
    if (problem !== undefined) return err(problem);
    const data = this.json.write(after);
    const startup = isLasting && this.#options.savesStartup(data);
    const meta: CommitMeta = {
      ...request.actor,
      id: this.log.lastId + 1,
      time: new Date().toISOString(),
      how: request.how,
      comment: request.comment ?? "",
      changes: changes.length,
    };
    const store = async (): Promise<void> => {
      await this.log.append({
        kind: "commit",
        ...meta,
        startup,
        forward: formatEdit(before, after),
        backward: formatEdit(after, before),
      });
      this.#running = after;
      if (startup) this.#startup = after;
    };
    const { applier, log } = this.#options;
    const applied = await applyPlan(isForced ? undefined : applier, data, store, log);
    if (!applied.ok) return applied;
    this.#lastCommitAt = new Date(meta.time);
    for (const listener of this.#listeners) {
      listener.committed?.({ meta, changes, before, after });
    }
    this.#compactLater();
    return ok({ ...applied.value, commitId: meta.id });
  }

  #compactLater(): void {
    if (!this.log.isCompactionDue || this.#pending !== undefined) return;
    void this.#queue.run(async () => {
      if (!this.log.isCompactionDue || this.#pending !== undefined) return;
      try {
        await this.log.snapshot(this.#running, this.#startup);
      } catch (error) {
        this.#options.log.error("The journal stays long", { reason: rpcErrorOf(error).message });
      }
    });
  }

  async #append(record: Parameters<CommitLog["append"]>[0]): Promise<RpcError | undefined> {
    try {
      await this.log.append(record);
      return undefined;
    } catch (error) {
      return rpcErrorOf(error);
    }
  }

  #tellConfirm(
    event: "start" | "cancel" | "timeout" | "extend" | "complete",
    who: Actor,
    sec: number | undefined,
  ): void {
    for (const listener of this.#listeners) listener.confirm?.(event, who, sec);
  }

  /** Makes `root` startup. */
  saveStartup(root: DataRoot, actor: Actor): Promise<RpcError | undefined> {
    return this.#queue.run(async () => {
      const problem = this.validate(root);
      if (problem !== undefined) return problem;
      const xml = formatEdit(EMPTY_ROOT, root);
      const content = root === this.#running ? ("running" as const) : { xml };
      const failed = await this.#append({ kind: "startup", content });
      if (failed === undefined) {
        this.#startup = root;
        for (const listener of this.#listeners) listener.startupChanged?.(actor);
      }
      return failed;
    });
  }

  deleteStartup(actor: Actor): Promise<RpcError | undefined> {
    return this.#queue.run(async () => {
      if (this.#startup === undefined) {
        return applicationError("data-missing", "There is no startup datastore");
      }
      const failed = await this.#append({ kind: "startup", content: "none" });
      if (failed === undefined) {
        this.#startup = undefined;
        for (const listener of this.#listeners) listener.startupChanged?.(actor);
      }
      return failed;
    });
  }

  /** Returns running as it was after a commit of the history (0: before the oldest one that is kept). */
  async rootOf(commitId: number): Promise<Result<DataRoot, RpcError>> {
    const commits = this.log.listCommits();
    const isKnown = commits.some(({ id }) => id === commitId || id === commitId + 1);
    if (!isKnown && commitId !== this.log.lastId) {
      return err(applicationError("invalid-value", `Commit ${commitId} is not in the history`));
    }
    let root = this.#running;
    try {
      for (const { id } of commits.reverse()) {
        if (id <= commitId) break;
        const { backward } = await this.log.readCommit(id);
        const earlier = this.applyEditText(root, backward);
        if (!earlier.ok) return earlier;
        root = earlier.value;
      }
    } catch (error) {
      return err(rpcErrorOf(error));
    }
    return ok(root);
  }

  /** Applies running again, after a start of this process or of the applier's. */
  reapply(): Promise<RpcError | undefined> {
    return this.#queue.run(async () => {
      const problem = this.validate(this.#running);
      if (problem !== undefined) return problem;
      const { applier, log } = this.#options;
      const data = this.json.write(this.#running);
      const applied = await applyPlan(applier, data, async () => {}, log);
      return applied.ok ? undefined : applied.error;
    });
  }

  /** Stores both datastores whole, as of this boot. */
  storeAll(): Promise<void> {
    return this.#queue.run(() => this.log.snapshot(this.#running, this.#startup));
  }

  /** Records a change of running that a start made; nothing is applied yet. */
  async recordStart(before: DataRoot, how: "restarted" | "booted"): Promise<void> {
    const plan = this.#plan(before, this.#running, { actor: SERVER_ACTOR, how });
    await this.#queue.run(() => this.#run(plan, false, true));
  }

  async close(): Promise<void> {
    this.#pending?.stop();
    clearTimeout(this.#reapplying);
    await this.#queue.run(() => this.log.close());
    this.#validator.forget();
  }
}
