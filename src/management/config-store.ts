/**
 * The datastores, and the commit: validate, prepare, apply, store, and only then answer.
 *
 * Effect: calls libyang, the applier and the files it is given. Changes run one after the other.
 * Invariant: a commit that fails leaves running, startup and the applier as they were.
 */
import { randomUUID } from "node:crypto";
import { describeError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import { err, ok, type Result } from "../lib/base/result.ts";
import { applicationError, type RpcError, rpcErrorOf } from "../lib/netconf/rpc-error.ts";
import { rpcErrorOfYang } from "../lib/netconf/yang-error.ts";
import type { ConfigData } from "../lib/service/provider.ts";
import type { YangContext } from "../lib/yang/yang-context.ts";
import type { Applier, ApplyOutcome } from "./applier.ts";
import { type DataRoot, EMPTY_ROOT } from "./data-node.ts";
import { formatRoot } from "./data-xml.ts";
import type { DatastoreFiles } from "./datastore-files.ts";
import { applyEdit } from "./edit-engine.ts";
import type { DefaultOperation, EditNode } from "./edit-node.ts";
import { readConfigJson } from "./edit-payload.ts";
import { type DatastoreName, Locks } from "./locks.ts";
import type { Schema } from "./schema.ts";
import { SerialQueue } from "./serial-queue.ts";

export interface ConfigStoreOptions {
  readonly yang: YangContext;
  readonly schema: Schema;
  readonly applier: Applier;
  readonly files: DatastoreFiles;
  readonly bootId: string;
  /** Whether a commit of this configuration also becomes startup. */
  readonly savesStartup: (config: ConfigData) => boolean;
  readonly log: Log;
}

/** A valid configuration in the two forms that leave this process. */
export interface ValidConfig {
  readonly json: string;
  readonly data: ConfigData;
}

/** The three datastores of one server. */
export class ConfigStore {
  readonly locks: Locks = new Locks();
  readonly #options: ConfigStoreOptions;
  readonly #queue = new SerialQueue();
  #running: DataRoot = EMPTY_ROOT;
  #candidate: DataRoot = EMPTY_ROOT;
  #startup: DataRoot | undefined;

  constructor(options: ConfigStoreOptions) {
    this.#options = options;
  }

  get schema(): Schema {
    return this.#options.schema;
  }

  get yang(): YangContext {
    return this.#options.yang;
  }

  /** A startup that does not exist reads as empty. */
  read(name: DatastoreName): DataRoot {
    if (name === "running") return this.#running;
    return name === "candidate" ? this.#candidate : (this.#startup ?? EMPTY_ROOT);
  }

  get isCandidateModified(): boolean {
    return this.#candidate !== this.#running;
  }

  discardChanges(): void {
    this.#candidate = this.#running;
  }

  /** Sets what was loaded at start. Running is applied later, by reapply(). */
  initialize(running: DataRoot, startup: DataRoot | undefined): void {
    this.#running = running;
    this.#candidate = running;
    this.#startup = startup;
  }

  /** Returns the tree that these edits make of `base`. */
  edited(
    base: DataRoot,
    edits: readonly EditNode[],
    defaultOperation: DefaultOperation,
  ): Result<DataRoot, RpcError> {
    return applyEdit(base, edits, defaultOperation);
  }

  setCandidate(next: DataRoot): void {
    this.#candidate = next;
  }

  /** Returns the data of a stored or shipped file as a tree. */
  parseJson(json: string): Result<DataRoot, RpcError> {
    const edits = readConfigJson(this.yang, this.schema, json, false);
    return edits.ok ? applyEdit(EMPTY_ROOT, edits.value, "merge") : edits;
  }

  /** Checks every constraint of the schema. */
  validate(root: DataRoot): Result<ValidConfig, RpcError> {
    const parsed = this.yang.parseConfig(formatRoot(root), "xml");
    if (!parsed.ok) return err(rpcErrorOfYang(parsed.error));
    const json = parsed.value.print("json");
    parsed.value.free();
    return ok({ json, data: JSON.parse(json) as ConfigData });
  }

  /** Makes candidate running. */
  commit(): Promise<Result<ApplyOutcome, RpcError>> {
    return this.#queue.run(async () => {
      const next = this.#candidate;
      if (next === this.#running) return ok({ late: [] });
      const valid = this.validate(next);
      if (!valid.ok) return valid;
      // An edit may come in while the applier works; it stays in candidate.
      return this.#apply(valid.value, async () => {
        const saves = this.#options.savesStartup(valid.value.data);
        await this.#store(saves ? ["running", "startup"] : ["running"], valid.value.json);
        this.#running = next;
        if (saves) this.#startup = next;
      });
    });
  }

  async load(json: string): Promise<RpcError | undefined> {
    const root = this.parseJson(json);
    if (!root.ok) return root.error;
    if (this.isCandidateModified) {
      return applicationError("in-use", "The candidate has changes that are not committed");
    }
    this.#candidate = root.value;
    const done = await this.commit();
    if (done.ok) return undefined;
    this.discardChanges();
    return done.error;
  }

  /** Makes `root` startup. */
  saveStartup(root: DataRoot): Promise<RpcError | undefined> {
    return this.#queue.run(async () => {
      const valid = this.validate(root);
      if (!valid.ok) return valid.error;
      try {
        await this.#store(["startup"], valid.value.json);
      } catch (error) {
        return rpcErrorOf(error);
      }
      this.#startup = root;
      return undefined;
    });
  }

  deleteStartup(): Promise<RpcError | undefined> {
    return this.#queue.run(async () => {
      if (this.#startup === undefined) {
        return applicationError("data-missing", "There is no startup datastore");
      }
      try {
        await this.#options.files.delete("startup");
      } catch (error) {
        return rpcErrorOf(error);
      }
      this.#startup = undefined;
      return undefined;
    });
  }

  /** Applies running again, after a start of this process or of the applier's. */
  reapply(): Promise<RpcError | undefined> {
    return this.#queue.run(async () => {
      const valid = this.validate(this.#running);
      if (!valid.ok) return valid.error;
      const applied = await this.#apply(valid.value, async () => {});
      return applied.ok ? undefined : applied.error;
    });
  }

  /** Stores running as of this boot, so that a restart of the process finds it. */
  storeRunning(alsoStartup: boolean): Promise<void> {
    return this.#queue.run(async () => {
      const valid = this.validate(this.#running);
      if (!valid.ok) return;
      await this.#store(alsoStartup ? ["running", "startup"] : ["running"], valid.value.json);
    });
  }

  async #store(names: readonly ("running" | "startup")[], configJson: string): Promise<void> {
    await this.#options.files.write(names, { bootId: this.#options.bootId, configJson });
  }

  async #apply(
    config: ValidConfig,
    finish: () => Promise<void>,
  ): Promise<Result<ApplyOutcome, RpcError>> {
    const { applier, log } = this.#options;
    const transactionId = randomUUID();
    try {
      const prepared = await applier.prepare(transactionId, config.data);
      if (!prepared.ok) {
        const { path, message } = prepared.error;
        return err(applicationError("operation-failed", message, path === "" ? {} : { path }));
      }
      const outcome = await applier.commit(transactionId);
      await finish();
      return ok(outcome);
    } catch (error) {
      log.warn("A transaction failed", { transactionId, reason: describeError(error) });
      await applier.abort(transactionId).catch((cause: unknown) => {
        // The applier gets running again as soon as it can be reached.
        log.warn("A transaction could not be aborted", { reason: describeError(cause) });
      });
      return err(rpcErrorOf(error));
    }
  }
}
