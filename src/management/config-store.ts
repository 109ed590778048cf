/**
 * The datastores of a server, and the ways to them.
 *
 * Effect: calls libyang, the applier and the log. core/commits.ts keeps changes in their order,
 * core/running.ts carries them out: validate, prepare, apply, store durably, and only then answer.
 */
import type { Log } from "../lib/base/log.ts";
import { err, ok, type Result } from "../lib/base/result.ts";
import { applicationError, type RpcError, rpcErrorOf } from "../lib/netconf/rpc-error.ts";
import type { ConfigData } from "../lib/service/provider.ts";
import type { YangContext } from "../lib/yang/yang-context.ts";
import type { Applier } from "./applier.ts";
import { Candidate } from "./core/candidate.ts";
import type { StoreListener } from "./core/commit-events.ts";
import { CommitLog } from "./core/commit-log.ts";
import { type CommitOptions, Commits } from "./core/commits.ts";
import { formatEdit } from "./core/edit-text.ts";
import { type Actor, SERVER_ACTOR } from "./core/journal-record.ts";
import { makeJsonWriter } from "./core/json-of.ts";
import type { PendingCommit } from "./core/pending-commit.ts";
import { type ChangeRequest, type CommitResult, Running } from "./core/running.ts";
import { Validator } from "./core/validator.ts";
import type { JsonWriter } from "./data-json.ts";
import { type DataRoot, EMPTY_ROOT } from "./data-node.ts";
import { applyEdit } from "./edit-engine.ts";
import type { DefaultOperation, EditNode } from "./edit-node.ts";
import { readCanonicalXml, readConfigJson } from "./edit-payload.ts";
import { type DatastoreName, Locks } from "./locks.ts";
import type { Schema } from "./schema.ts";

export interface ConfigStoreOptions {
  readonly yang: YangContext;
  readonly schema: Schema;
  readonly applier: Applier;
  readonly stateDirectory: string;
  readonly bootId: string;
  /** Whether a commit of this configuration also becomes startup. */
  readonly savesStartup: (config: ConfigData) => boolean;
  readonly log: Log;
}

export class ConfigStore {
  readonly locks: Locks = new Locks();
  readonly candidate: Candidate;
  readonly json: JsonWriter;
  readonly log: CommitLog;
  readonly schema: Schema;
  readonly yang: YangContext;
  readonly #validator: Validator;
  readonly #running: Running;
  readonly #commits: Commits;

  constructor(options: ConfigStoreOptions) {
    this.schema = options.schema;
    this.yang = options.yang;
    this.#validator = new Validator(options.yang);
    this.json = makeJsonWriter(options.yang);
    this.log = new CommitLog({
      directory: options.stateDirectory,
      bootId: options.bootId,
      parseSnapshot: (json) => this.#parseValid(json),
      formatSnapshot: (root) => this.formatJson(root),
      applyEdit: (base, xml) => this.applyEditText(base, xml),
      log: options.log,
    });
    this.#running = new Running({
      applier: options.applier,
      log: this.log,
      json: this.json,
      validate: (root) => this.validate(root),
      savesStartup: options.savesStartup,
      output: options.log,
    });
    this.#commits = new Commits(this.#running, this.log, options.log);
    this.candidate = this.makeCandidate(false);
  }

  /** A commit that waits to be confirmed. */
  get pending(): PendingCommit | undefined {
    return this.#commits.pending;
  }

  /** Changes with running; for entity tags. */
  get lastCommitId(): number {
    return this.log.lastId;
  }

  get lastCommitAt(): Date {
    return this.#running.lastCommitAt;
  }

  get hasStartup(): boolean {
    return this.#running.startup !== undefined;
  }

  listen(listener: StoreListener): void {
    this.#running.listen(listener);
  }

  /** Returns an empty candidate; a private one belongs to one session. */
  makeCandidate(isPrivate: boolean): Candidate {
    return new Candidate({
      running: () => this.#running.root,
      applyEdit: (base, xml) => this.applyEditText(base, xml),
      isPrivate,
    });
  }

  /** A startup that does not exist reads as empty. `candidate` is the shared one. */
  read(name: DatastoreName): DataRoot {
    if (name === "running") return this.#running.root;
    return name === "candidate" ? this.candidate.root : (this.#running.startup ?? EMPTY_ROOT);
  }

  /** Sets what was loaded at start. Running is applied later, by reapply(). */
  initialize(running: DataRoot, startup: DataRoot | undefined): void {
    this.#running.root = running;
    this.#running.startup = startup;
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
    return this.#commits.commit(this.candidate, options);
  }

  commitCandidate(
    candidate: Candidate,
    options: CommitOptions,
  ): Promise<Result<CommitResult, RpcError>> {
    return this.#commits.commit(candidate, options);
  }

  /** Changes running at once: `compute` gets what running is when the turn has come. */
  change(
    compute: (running: DataRoot) => Result<DataRoot, RpcError>,
    request: ChangeRequest,
  ): Promise<Result<CommitResult, RpcError>> {
    return this.#commits.change(compute, request);
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
    return this.#commits.cancel(actor, persistId);
  }

  /** A session is over: its unconfirmed commit, too. */
  sessionEnded(sessionId: number): void {
    this.#commits.sessionEnded(sessionId);
  }

  /** Makes `root` startup. */
  saveStartup(root: DataRoot, actor: Actor): Promise<RpcError | undefined> {
    return this.#commits.alone(async () => {
      const problem = this.validate(root);
      if (problem !== undefined) return problem;
      const isRunning = root === this.#running.root;
      const content = isRunning ? ("running" as const) : { xml: formatEdit(EMPTY_ROOT, root) };
      return this.#setStartup(root, content, actor);
    });
  }

  deleteStartup(actor: Actor): Promise<RpcError | undefined> {
    return this.#commits.alone(async () => {
      if (this.hasStartup) return this.#setStartup(undefined, "none", actor);
      return applicationError("data-missing", "There is no startup datastore");
    });
  }

  async #setStartup(
    root: DataRoot | undefined,
    content: "running" | "none" | { readonly xml: string },
    actor: Actor,
  ): Promise<RpcError | undefined> {
    const failed = await this.#running.append({ kind: "startup", content });
    if (failed !== undefined) return failed;
    this.#running.startup = root;
    this.#running.tellStartup(actor);
    return undefined;
  }

  /** Returns running as it was after a commit of the history (0: before the oldest one that is kept). */
  async rootOf(commitId: number): Promise<Result<DataRoot, RpcError>> {
    const commits = this.log.listCommits();
    const isKnown = commits.some(({ id }) => id === commitId || id === commitId + 1);
    if (!isKnown && commitId !== this.log.lastId) {
      return err(applicationError("invalid-value", `Commit ${commitId} is not in the history`));
    }
    let root = this.#running.root;
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
    return this.#commits.alone(() => this.#running.reapply());
  }

  /** Stores both datastores whole, as of this boot. */
  storeAll(): Promise<void> {
    return this.#commits.alone(() => this.log.snapshot(this.#running.root, this.#running.startup));
  }

  /** Records that a start made running what it is, out of `before`; nothing is applied yet. */
  async recordStart(before: DataRoot, how: "restarted" | "booted"): Promise<void> {
    const now = this.#running.root;
    this.#running.root = before;
    await this.#commits.alone(() =>
      this.#running.become(now, { actor: SERVER_ACTOR, how }, false, true),
    );
    this.#running.root = now;
  }

  async close(): Promise<void> {
    await this.#commits.close();
    this.#validator.forget();
  }
}
