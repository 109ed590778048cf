/**
 * The journal on disk: appended to and synced before anything is answered.
 *
 * Effect: one file. A failed append is cut off again, so that the next one stands on whole lines; if
 * even that fails, the journal refuses until it is opened anew. Compaction writes a new file beside.
 * Limit: JOURNAL_BYTES_MAX; HISTORY_MAX commits are kept for going back.
 */
import { type FileHandle, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { FlowliftError } from "../../lib/base/errors.ts";
import { makeFolder } from "../../lib/base/folders.ts";
import {
  type CommitRecord,
  decodeJournal,
  decodeLine,
  encodeRecord,
  type JournalRecord,
  type NewRecord,
  type PlacedRecord,
} from "./journal-record.ts";

/** Commits that one can go back to. */
export const HISTORY_MAX = 50;
/** More bytes than this are not read at start. */
export const JOURNAL_BYTES_MAX: number = 1024 * 1024 * 1024;
/** A compaction is due when so many records are superfluous, or so many bytes must be replayed. */
export const SUPERFLUOUS_RECORDS_MAX = 200;
export const REPLAY_BYTES_MAX: number = 8 * 1024 * 1024;
const FILE_NAME = "journal";

/** What was found at start. */
export interface JournalContents {
  readonly records: readonly JournalRecord[];
  /** Bytes at the end were torn off; `isDamaged`: good lines among them, which were put aside. */
  readonly tornBytes: number;
  readonly isDamaged: boolean;
}

export class Journal {
  readonly #path: string;
  #file: FileHandle | undefined;
  #lengthBytes = 0;
  #sequence = 0;
  #isBroken = false;
  #commits: (PlacedRecord & { readonly record: CommitRecord })[] = [];
  #recordCount = 0;
  /** Bytes since the last snapshot. */
  #replayBytes = 0;

  constructor(directory: string) {
    this.#path = join(directory, FILE_NAME);
  }

  get sequence(): number {
    return this.#sequence;
  }

  get isCompactionDue(): boolean {
    const superfluous = this.#recordCount - this.#commits.length;
    return superfluous > SUPERFLUOUS_RECORDS_MAX || this.#replayBytes > REPLAY_BYTES_MAX;
  }

  /** Reads everything and makes the file ready. Throws STATE_FILE_UNREADABLE. */
  async open(): Promise<JournalContents> {
    try {
      makeFolder(dirname(this.#path), 0o700);
      const bytes = await this.#read();
      const decoded = decodeJournal(bytes);
      if (decoded.isDamaged) await this.#putAside(bytes);
      this.#file = await open(this.#path, "a+", 0o600);
      const tornBytes = bytes.length - decoded.goodBytes;
      if (tornBytes > 0) await this.#file.truncate(decoded.goodBytes);
      await this.#file.sync();
      await syncDirectory(dirname(this.#path));
      this.#lengthBytes = decoded.goodBytes;
      for (const placed of decoded.records) this.#remember(placed);
      const records = decoded.records.map(({ record }) => record);
      return { records, tornBytes, isDamaged: decoded.isDamaged };
    } catch (cause) {
      const text = `Cannot open the journal "${this.#path}"`;
      throw new FlowliftError("STATE_FILE_UNREADABLE", text, { cause });
    }
  }

  async #read(): Promise<Buffer> {
    try {
      const { size } = await stat(this.#path);
      if (size > JOURNAL_BYTES_MAX) throw new Error(`it has more than ${JOURNAL_BYTES_MAX} bytes`);
      return await readFile(this.#path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return Buffer.alloc(0);
      throw error;
    }
  }

  async #putAside(bytes: Buffer): Promise<void> {
    const file = await open(`${this.#path}.unusable`, "w", 0o600);
    await file.writeFile(bytes).finally(() => file.close());
  }

  /** Appends durably; returns the sequence number. Throws STATE_FILE_UNWRITABLE, and nothing stays. */
  async append(record: NewRecord): Promise<number> {
    const file = this.#file;
    if (file === undefined || this.#isBroken) {
      throw new FlowliftError("STATE_FILE_UNWRITABLE", `The journal "${this.#path}" is not usable`);
    }
    const whole = { ...record, sequence: this.#sequence + 1 } as JournalRecord;
    const bytes = encodeRecord(whole);
    try {
      if (this.#lengthBytes + bytes.length > JOURNAL_BYTES_MAX) {
        throw new Error(`it would have more than ${JOURNAL_BYTES_MAX} bytes`);
      }
      const { bytesWritten } = await file.write(bytes);
      if (bytesWritten < bytes.length) throw new Error("the disk is full");
      await file.datasync();
    } catch (cause) {
      await this.#cutOff(file);
      const text = `Cannot write to the journal "${this.#path}"`;
      throw new FlowliftError("STATE_FILE_UNWRITABLE", text, { cause });
    }
    const offset = this.#lengthBytes;
    this.#lengthBytes += bytes.length;
    this.#remember({ record: whole, offset, lengthBytes: bytes.length });
    return whole.sequence;
  }

  async #cutOff(file: FileHandle): Promise<void> {
    try {
      await file.truncate(this.#lengthBytes);
      await file.sync();
    } catch {
      this.#isBroken = true; // A half line may stand there; nothing may follow it.
    }
  }

  #remember(placed: PlacedRecord): void {
    const { record, offset, lengthBytes } = placed;
    this.#sequence = record.sequence;
    this.#recordCount++;
    this.#replayBytes += lengthBytes;
    if (record.kind !== "commit") return;
    // The edits stay on disk until somebody goes back.
    const light: CommitRecord = { ...record, forward: "", backward: "" };
    this.#commits.push({ record: light, offset, lengthBytes });
    if (this.#commits.length > HISTORY_MAX) this.#commits.shift();
  }

  /** The last commits, oldest first, without their edits. */
  listCommits(): CommitRecord[] {
    return this.#commits.map(({ record }) => record);
  }

  /** Reads one of them again, edits included. Throws STATE_FILE_UNREADABLE. */
  async readCommit(id: number): Promise<CommitRecord> {
    const placed = this.#commits.find(({ record }) => record.id === id);
    const bytes = Buffer.alloc(placed?.lengthBytes ?? 0);
    if (placed !== undefined) await this.#file?.read(bytes, 0, bytes.length, placed.offset);
    const record = decodeLine(bytes.subarray(0, -1));
    if (record?.kind === "commit" && record.id === id) return record;
    throw new FlowliftError("STATE_FILE_UNREADABLE", `Commit ${id} is not in the journal any more`);
  }

  /** Keeps the last commits only; all that is needed for a start must be in a snapshot by now. */
  async compact(): Promise<void> {
    const temporary = `${this.#path}.new`;
    const kept: CommitRecord[] = [];
    for (const { record } of this.#commits) kept.push(await this.readCommit(record.id));
    try {
      const file = await open(temporary, "w", 0o600);
      try {
        for (const record of kept) await file.write(encodeRecord(record));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, this.#path);
      await syncDirectory(dirname(this.#path));
    } catch (cause) {
      await rm(temporary, { force: true }).catch(() => undefined);
      const text = `Cannot compact the journal "${this.#path}"`;
      throw new FlowliftError("STATE_FILE_UNWRITABLE", text, { cause });
    }
    const sequence = this.#sequence;
    await this.#file?.close();
    this.#commits = [];
    this.#recordCount = 0;
    await this.open();
    this.#replayBytes = 0;
    // Snapshots name sequence numbers: they must never be given twice.
    this.#sequence = Math.max(sequence, this.#sequence);
  }

  /** Numbers go on from here at least: a snapshot may know more than a shortened journal. */
  startAfter(sequence: number): void {
    this.#sequence = Math.max(sequence, this.#sequence);
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  await directory.sync().finally(() => directory.close());
}
