/**
 * running and startup on disk: snapshots, and the journal of what came after them.
 *
 * Effect: files below one directory. Invariant: what was answered can be found again after any
 * power cut: snapshot, then each record behind it.
 */
import { describeError } from "../../lib/base/errors.ts";
import type { Log } from "../../lib/base/log.ts";
import type { Result } from "../../lib/base/result.ts";
import type { RpcError } from "../../lib/netconf/rpc-error.ts";
import { type DataRoot, EMPTY_ROOT } from "../data-node.ts";
import { DatastoreFiles } from "../datastore-files.ts";
import { Journal } from "./journal.ts";
import type { CommitRecord, JournalRecord, NewRecord } from "./journal-record.ts";

export interface CommitLogOptions {
  readonly directory: string;
  readonly bootId: string;
  /** Reads a snapshot; the tree must be valid. */
  readonly parseSnapshot: (json: string) => Result<DataRoot, RpcError>;
  /** Writes one; the tree is valid. */
  readonly formatSnapshot: (root: DataRoot) => string;
  /** Applies an edit of the journal. */
  readonly applyEdit: (base: DataRoot, xml: string) => Result<DataRoot, RpcError>;
  readonly files?: DatastoreFiles;
  readonly log: Log;
}

/** What the disk says at start. */
export interface Loaded {
  /** Absent: there was none, or none that can be used. */
  readonly running: DataRoot | undefined;
  readonly startup: DataRoot | undefined;
  /** running was stored in this boot. */
  readonly isSameBoot: boolean;
  /** A commit was not confirmed: this was running before it. */
  readonly unconfirmedBase: DataRoot | undefined;
}

interface Snapshot {
  readonly root: DataRoot;
  readonly bootId: string;
  readonly sequence: number;
  readonly isRunning: boolean;
}

const NO_SNAPSHOT: Snapshot = { root: EMPTY_ROOT, bootId: "", sequence: 0, isRunning: false };

export class CommitLog {
  readonly #options: CommitLogOptions;
  readonly #files: DatastoreFiles;
  readonly #journal: Journal;
  #lastId = 0;

  constructor(options: CommitLogOptions) {
    this.#options = options;
    this.#files = options.files ?? new DatastoreFiles(options.directory);
    this.#journal = new Journal(options.directory);
  }

  /** The number of the commit that running is. */
  get lastId(): number {
    return this.#lastId;
  }

  get isCompactionDue(): boolean {
    return this.#journal.isCompactionDue;
  }

  listCommits(): CommitRecord[] {
    return this.#journal.listCommits();
  }

  readCommit(id: number): Promise<CommitRecord> {
    return this.#journal.readCommit(id);
  }

  async load(): Promise<Loaded> {
    const records = await this.#openJournal();
    const startup = await this.#readSnapshot("startup");
    const own = await this.#readSnapshot("running");
    // A startup that is running helps when running's own snapshot cannot be used.
    // A journal that was never shortened helps by itself.
    const fromStart = records[0]?.sequence === 1 ? NO_SNAPSHOT : undefined;
    const running = own ?? (startup?.isRunning === true ? startup : fromStart);
    this.#journal.startAfter(Math.max(own?.sequence ?? 0, startup?.sequence ?? 0));
    const replayed = this.#replay(records, running, startup);
    return { ...replayed, isSameBoot: own?.bootId === this.#options.bootId };
  }

  async #openJournal(): Promise<readonly JournalRecord[]> {
    const { log } = this.#options;
    try {
      const { records, tornBytes, isDamaged } = await this.#journal.open();
      if (isDamaged) log.error("The journal is damaged: what follows the damage is put aside");
      else if (tornBytes > 0) log.warn("The journal's last line was cut off", { tornBytes });
      for (const record of records) if (record.kind === "commit") this.#lastId = record.id;
      return records;
    } catch (error) {
      // The configuration is still good; commits will say that they cannot be stored.
      log.error("The journal cannot be used", { reason: describeError(error) });
      return [];
    }
  }

  async #readSnapshot(name: "running" | "startup"): Promise<Snapshot | undefined> {
    const { log, parseSnapshot } = this.#options;
    const stored = await this.#files.read(name);
    let reason = "";
    if (!stored.ok) reason = stored.error.message;
    else if (stored.value === undefined) return undefined;
    else {
      const { configJson, bootId, sequence, isRunning, lastId } = stored.value;
      this.#lastId = Math.max(this.#lastId, lastId);
      const root = parseSnapshot(configJson);
      if (root.ok) return { root: root.value, bootId, sequence, isRunning };
      reason = `${root.error.path ?? ""} ${root.error.message}`.trim();
    }
    log.error("A stored datastore cannot be used", { name, reason });
    await this.#files.setAside(name).catch(() => undefined);
    return undefined;
  }

  #replay(
    records: readonly JournalRecord[],
    from: Snapshot | undefined,
    startupFrom: Snapshot | undefined,
  ): Omit<Loaded, "isSameBoot"> {
    let running = from?.root;
    let startup = startupFrom?.root;
    let unconfirmedBase: DataRoot | undefined;
    for (const record of records) {
      const isNew = from !== undefined && record.sequence > from.sequence;
      if (isNew && record.kind === "commit" && running !== undefined) {
        running = this.#redo(running, record);
        if (running === undefined) return { running, startup, unconfirmedBase: undefined };
      }
      if (isNew && record.kind === "pending") unconfirmedBase ??= running;
      if (isNew && record.kind === "settled") unconfirmedBase = undefined;
      if (record.sequence <= (startupFrom?.sequence ?? 0)) continue;
      if ((record.kind === "commit" || record.kind === "settled") && record.startup) {
        startup = running ?? startup;
      }
      if (record.kind === "startup") startup = this.#redoStartup(record.content, running, startup);
    }
    return { running, startup, unconfirmedBase };
  }

  #redo(running: DataRoot, record: CommitRecord): DataRoot | undefined {
    const next = this.#options.applyEdit(running, record.forward);
    if (next.ok) return next.value;
    const reason = `${next.error.path ?? ""} ${next.error.message}`.trim();
    this.#options.log.error("A commit of the journal cannot be applied", { id: record.id, reason });
    return undefined;
  }

  #redoStartup(
    content: "running" | "none" | { readonly xml: string },
    running: DataRoot | undefined,
    startup: DataRoot | undefined,
  ): DataRoot | undefined {
    if (content === "none") return undefined;
    if (content === "running") return running ?? startup;
    const root = this.#options.applyEdit(EMPTY_ROOT, content.xml);
    return root.ok ? root.value : startup;
  }

  /** Appends durably. Throws STATE_FILE_UNWRITABLE. */
  async append(record: NewRecord): Promise<void> {
    await this.#journal.append(record);
    if (record.kind === "commit") this.#lastId = record.id;
  }

  /** Writes both datastores whole, durably, and shortens the journal. */
  async snapshot(running: DataRoot, startup: DataRoot | undefined): Promise<void> {
    const { bootId, formatSnapshot } = this.#options;
    const { sequence } = this.#journal;
    const isRunning = running === startup;
    const configJson = formatSnapshot(running);
    const common = { bootId, sequence, lastId: this.#lastId };
    if (startup !== undefined) {
      const json = isRunning ? configJson : formatSnapshot(startup);
      await this.#files.write(["startup"], { ...common, isRunning, configJson: json });
    } else await this.#files.delete("startup");
    await this.#files.write(["running"], { ...common, isRunning, configJson });
    await this.#journal.compact();
  }

  close(): Promise<void> {
    return this.#journal.close();
  }
}
