/**
 * What a session can do, whatever protocol it speaks: the one way to the datastores.
 *
 *     const operations = server.operations;                    // ManagementServer
 *     const data = await operations.read(session, { datastore: "running" });
 *     const done = await operations.edit(session, { target: "running", edits, … });
 *     const answer = await operations.call(session, "flowlift-history:rollback", { steps: 1 });
 *
 * Effect: changes the datastores. Each operation looks at locks and at the session's rights to data;
 * the right to run an operation is looked at by `call` and by NETCONF's dispatcher.
 * Expected refusals are values: one error type, which lib/netconf/rpc-error.ts writes as rpc-error.
 */
import { err, ok, type Result } from "../../lib/base/result.ts";
import { protocolError, type RpcError } from "../../lib/netconf/rpc-error.ts";
import type { ConfigStore } from "../config-store.ts";
import { type DataRoot, EMPTY_ROOT } from "../data-node.ts";
import type { DatastoreName } from "../locks.ts";
import type { OperationalState } from "../operational.ts";
import type { SessionEntry } from "../session-registry.ts";
import type { Access } from "./access.ts";
import type { Candidate } from "./candidate.ts";
import { withDefaults } from "./defaults.ts";
import { diffRoots } from "./diff.ts";
import type { Actor } from "./journal-record.ts";
import type {
  CommitRequest,
  EditRequest,
  OperationHandler,
  ReadRequest,
} from "./operation-types.ts";
import { type CommitResult, NOTHING_DONE } from "./running.ts";

export interface OperationsOptions {
  readonly store: ConfigStore;
  readonly operational: OperationalState;
  readonly accessOf: (session: SessionEntry) => Access;
}

export class Operations {
  readonly store: ConfigStore;
  readonly #options: OperationsOptions;
  readonly #private = new Map<number, Candidate>();
  readonly #handlers = new Map<string, OperationHandler>();

  constructor(options: OperationsOptions) {
    this.#options = options;
    this.store = options.store;
  }

  /** Adds an operation of a module; a name has one handler. */
  register(name: string, handler: OperationHandler): void {
    this.#handlers.set(name, handler);
  }

  handlerOf(name: string): OperationHandler | undefined {
    return this.#handlers.get(name);
  }

  accessOf(session: SessionEntry): Access {
    return this.#options.accessOf(session);
  }

  /** Who this is, for history and events. */
  actorOf(session: SessionEntry): Actor {
    const { id, username, sourceHost, transport } = session;
    return { user: username, sessionId: id, sourceHost, protocol: transport };
  }

  /** The session's own candidate when it asked for one, otherwise the shared one. */
  candidateOf(session: SessionEntry): Candidate {
    if (session.hasPrivateCandidate !== true) return this.store.candidate;
    const own = this.#private.get(session.id) ?? this.store.makeCandidate(true);
    this.#private.set(session.id, own);
    return own;
  }

  /** Ends what a session holds: its locks, its candidate, its unconfirmed commit. */
  sessionEnded(session: SessionEntry): void {
    this.#private.delete(session.id);
    const released = this.store.locks.releaseAll(session.id);
    if (released.includes("candidate")) this.store.candidate.discard();
    this.store.sessionEnded(session.id);
  }

  /** Returns what the session may see of a datastore. */
  async read(session: SessionEntry, request: ReadRequest): Promise<Result<DataRoot, RpcError>> {
    const { datastore, hint, withDefaults: mode = "explicit" } = request;
    const { schema, yang } = this.store;
    const root =
      datastore === "operational"
        ? await this.#options.operational.read(hint)
        : ok(this.rootOf(session, datastore));
    const whole = root.ok ? withDefaults(yang, schema, root.value, mode) : root;
    return whole.ok ? ok(this.accessOf(session).prune(whole.value)) : whole;
  }

  /** The datastore itself, with all that is in it. */
  rootOf(session: SessionEntry, datastore: DatastoreName): DataRoot {
    return datastore === "candidate" ? this.candidateOf(session).root : this.store.read(datastore);
  }

  async edit(session: SessionEntry, request: EditRequest): Promise<Result<CommitResult, RpcError>> {
    const { target, edits, defaultOperation, precondition } = request;
    const edited = (base: DataRoot): Result<DataRoot, RpcError> => {
      const refusal = precondition?.(base);
      return refusal === undefined
        ? this.store.edited(base, edits, defaultOperation)
        : err(refusal);
    };
    if (target === "running") {
      if (request.testOption === "test-only") return this.#testOnly(session, edited);
      return this.#changeRunning(session, "edit", edited, request.comment);
    }
    const locked = this.#refuseLocked(session, [target]);
    if (locked !== undefined) return err(locked);
    const base = this.rootOf(session, target);
    const next = edited(base);
    if (!next.ok) return next;
    const denied = this.#refuseChanges(session, base, next.value);
    if (denied !== undefined) return err(denied);
    const { testOption = "unchecked" } = request;
    if (testOption === "test-then-set" || testOption === "test-only") {
      const problem = this.store.validate(next.value);
      if (problem !== undefined) return err(problem);
    }
    if (testOption === "test-only") return ok(NOTHING_DONE);
    if (target === "startup") return this.#saveStartup(session, next.value);
    const isSaid = edits.length > 0 || defaultOperation === "replace";
    if (isSaid) this.candidateOf(session).set(next.value);
    return ok(NOTHING_DONE);
  }

  #testOnly(
    session: SessionEntry,
    edited: (base: DataRoot) => Result<DataRoot, RpcError>,
  ): Result<CommitResult, RpcError> {
    const base = this.store.read("running");
    const next = edited(base);
    if (!next.ok) return next;
    const problem =
      this.#refuseChanges(session, base, next.value) ?? this.store.validate(next.value);
    return problem === undefined ? ok(NOTHING_DONE) : err(problem);
  }

  /** Replaces a datastore as a whole. */
  async copy(
    session: SessionEntry,
    root: DataRoot,
    target: DatastoreName,
  ): Promise<Result<CommitResult, RpcError>> {
    if (target === "running") return this.#changeRunning(session, "copy", () => ok(root), "");
    const locked = this.#refuseLocked(session, [target]);
    if (locked !== undefined) return err(locked);
    const denied = this.#refuseChanges(session, this.rootOf(session, target), root);
    if (denied !== undefined) return err(denied);
    if (target === "startup") return this.#saveStartup(session, root);
    this.candidateOf(session).set(root);
    return ok(NOTHING_DONE);
  }

  async deleteStartup(session: SessionEntry): Promise<RpcError | undefined> {
    return (
      this.#refuseLocked(session, ["startup"]) ??
      this.#refuseChanges(session, this.store.read("startup"), EMPTY_ROOT) ??
      (await this.store.deleteStartup(this.actorOf(session)))
    );
  }

  async commit(
    session: SessionEntry,
    request: CommitRequest = {},
  ): Promise<Result<CommitResult, RpcError>> {
    const { comment, confirm, persistId } = request;
    const access = this.accessOf(session);
    const names: DatastoreName[] =
      session.hasPrivateCandidate === true ? ["running"] : ["running", "candidate"];
    const locked = this.#refuseLocked(session, names);
    if (locked !== undefined) return err(locked);
    return this.store.commitCandidate(this.candidateOf(session), {
      actor: this.actorOf(session),
      refuse: (changes) => this.#refuseLocked(session, names) ?? access.refuseChanges(changes),
      ...(comment === undefined ? {} : { comment }),
      ...(confirm === undefined ? {} : { confirm }),
      ...(persistId === undefined ? {} : { persistId }),
    });
  }

  cancelCommit(
    session: SessionEntry,
    persistId: string | undefined,
  ): Promise<RpcError | undefined> {
    return this.store.cancel(this.actorOf(session), persistId);
  }

  discard(session: SessionEntry): RpcError | undefined {
    const locked = this.#refuseLocked(session, ["candidate"]);
    if (locked === undefined) this.candidateOf(session).discard();
    return locked;
  }

  lock(session: SessionEntry, name: DatastoreName): RpcError | undefined {
    const { locks, pending } = this.store;
    if (name === "running" && pending !== undefined && pending.owner.sessionId !== session.id) {
      const text = "A commit that waits for its confirmation holds running";
      return protocolError("lock-denied", text, {
        info: [{ name: "session-id", text: String(pending.owner.sessionId) }],
      });
    }
    const isModified = name === "candidate" && this.candidateOf(session).isModified;
    return locks.lock(name, session.id, new Date(), isModified);
  }

  unlock(session: SessionEntry, name: DatastoreName): RpcError | undefined {
    const problem = this.store.locks.unlock(name, session.id);
    // RFC 6241 §8.3.5.2: changes that were not committed end with the lock.
    if (problem === undefined && name === "candidate") this.candidateOf(session).discard();
    return problem;
  }

  /** Goes back to a commit of the history, at once or in the candidate. */
  async rollback(
    session: SessionEntry,
    commitId: number,
    target: "running" | "candidate",
    comment: string,
  ): Promise<Result<CommitResult, RpcError>> {
    const root = await this.store.rootOf(commitId);
    if (!root.ok) return root;
    if (target === "candidate") return this.copy(session, root.value, "candidate");
    return this.#changeRunning(session, "rollback", () => ok(root.value), comment);
  }

  /** Runs an operation of a module, by RFC 7951 values. */
  async call(
    session: SessionEntry,
    name: string,
    input: Readonly<Record<string, unknown>>,
  ): Promise<Result<Readonly<Record<string, unknown>> | undefined, RpcError>> {
    const handler = this.#handlers.get(name);
    const [module, local] = name.split(":");
    const schema = this.store.schema.operations?.find(
      (operation) => operation.module === module && operation.name === local,
    );
    if (handler === undefined || schema === undefined) {
      return err(protocolError("operation-not-supported", `There is no operation "${name}"`));
    }
    const denied = this.accessOf(session).refuseOperation(schema);
    return denied === undefined ? handler(session, input) : err(denied);
  }

  #changeRunning(
    session: SessionEntry,
    how: "edit" | "copy" | "rollback",
    compute: (running: DataRoot) => Result<DataRoot, RpcError>,
    comment: string | undefined,
  ): Promise<Result<CommitResult, RpcError>> {
    const access = this.accessOf(session);
    return this.store.change(compute, {
      actor: this.actorOf(session),
      how,
      ...(comment === undefined ? {} : { comment }),
      refuse: (changes) =>
        this.#refuseLocked(session, ["running"]) ?? access.refuseChanges(changes),
    });
  }

  async #saveStartup(
    session: SessionEntry,
    root: DataRoot,
  ): Promise<Result<CommitResult, RpcError>> {
    const problem = await this.store.saveStartup(root, this.actorOf(session));
    return problem === undefined ? ok(NOTHING_DONE) : err(problem);
  }

  #refuseLocked(session: SessionEntry, names: readonly DatastoreName[]): RpcError | undefined {
    const shared =
      session.hasPrivateCandidate === true ? names.filter((name) => name !== "candidate") : names;
    return this.store.locks.refuse(shared, session.id);
  }

  #refuseChanges(session: SessionEntry, before: DataRoot, after: DataRoot): RpcError | undefined {
    return this.accessOf(session).refuseChanges(diffRoots(before, after));
  }
}
