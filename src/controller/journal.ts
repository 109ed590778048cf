/**
 * The journal file: append, and compaction now and then.
 *
 * Effect: writes one file, synchronously, into the kernel's page cache: what was written survives the
 * death of this process, not that of the machine (nor does the fast path). Compaction writes another file
 * beside it in slices, with every new record in both, and then takes its place.
 * Limit: the file is compacted when it is JOURNAL_GROWTH times as long as after the last compaction.
 */
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { FlowliftError } from "../lib/base/errors.ts";
import { CborWriter, SIZE_BYTES } from "../offload-protocol/cbor-writer.ts";
import {
  applyJournalRecord,
  compactJournal,
  decodeJournalRecord,
  type JournalledVm,
  type JournalRecord,
  writeJournalRecord,
} from "./journal-record.ts";

export const JOURNAL_NAME = "flows.journal";
/** What the file begins with: a name and the version of what follows. */
export const JOURNAL_HEAD: Buffer = Buffer.from("flowjrn\u0002", "latin1");
export const JOURNAL_GROWTH = 4;
/** A journal shorter than this is left alone. */
export const JOURNAL_BYTES_MIN: number = 16 * 1024 * 1024;
/** This much may wait for a write. */
const FLUSH_BYTES: number = 256 * 1024;
/** Records written in one turn of a compaction. */
export const SLICE_RECORDS = 512;

/** The file that is to take the journal's place. */
interface Compaction {
  readonly file: number;
  readonly records: Iterator<JournalRecord>;
  bytes: number;
}

/** An open journal. */
export class Journal {
  readonly #path: string;
  readonly #pending: CborWriter = new CborWriter();
  #file: number;
  #bytes = 0;
  #bytesAtCompaction = 0;
  #compaction: Compaction | undefined;

  private constructor(path: string) {
    this.#path = path;
    this.#file = openSync(path, "a", 0o600);
  }

  /** Opens the journal of a directory and returns what it says. Throws STATE_FILE_UNREADABLE. */
  static open(stateDirectory: string): {
    readonly journal: Journal;
    readonly vms: ReadonlyMap<string, JournalledVm>;
    /** Records that are not whole: the last one, when the process died while it wrote. */
    readonly tornRecords: number;
  } {
    const path = join(stateDirectory, JOURNAL_NAME);
    try {
      const { vms, tornRecords } = readJournal(path);
      const journal = new Journal(path);
      journal.compact(compactJournal(vms));
      return { journal, vms, tornRecords };
    } catch (cause) {
      if (cause instanceof FlowliftError) throw cause;
      throw new FlowliftError("STATE_FILE_UNREADABLE", `Cannot open the journal "${path}"`, {
        cause,
      });
    }
  }

  /** Appends; `flush` makes it lasting. */
  append(record: JournalRecord): void {
    writeJournalRecord(this.#pending, record);
    if (this.#pending.length > FLUSH_BYTES) this.flush();
  }

  flush(): void {
    if (this.#pending.length === 0) return;
    const bytes = this.#pending.view();
    writeAll(this.#file, bytes);
    this.#bytes += bytes.length;
    if (this.#compaction !== undefined) {
      writeAll(this.#compaction.file, bytes);
      this.#compaction.bytes += bytes.length;
    }
    this.#pending.begin();
  }

  /** Whether the journal has become long for what it says. */
  get isLong(): boolean {
    return (
      this.#compaction === undefined &&
      this.#bytes > JOURNAL_BYTES_MIN &&
      this.#bytes > JOURNAL_GROWTH * this.#bytesAtCompaction
    );
  }

  /** Replaces the whole content at once; the old one stays until the new one is complete. */
  compact(records: Iterable<JournalRecord>): void {
    this.#pending.begin();
    this.#begin([], records);
    while (this.#writeSlice());
  }

  /**
   * Replaces the content while the journal goes on: `first` at once, since events come in order, then `rest`
   * in turns, where each record says how things are when it is asked for. Does nothing while an earlier
   * compaction goes on.
   */
  compactInSlices(first: Iterable<JournalRecord>, rest: Iterable<JournalRecord>): void {
    if (this.#compaction !== undefined) return;
    this.flush();
    this.#begin(first, rest);
    const turn = (): void => {
      if (this.#compaction === undefined) return; // Closed, or another one was quicker.
      if (this.#writeSlice()) setImmediate(turn);
    };
    setImmediate(turn);
  }

  close(): void {
    this.flush();
    this.#abandon();
    closeSync(this.#file);
  }

  #begin(first: Iterable<JournalRecord>, rest: Iterable<JournalRecord>): void {
    this.#abandon();
    const file = openSync(`${this.#path}.new`, "w", 0o600);
    const writer = new CborWriter();
    for (const record of first) writeJournalRecord(writer, record);
    writeAll(file, JOURNAL_HEAD);
    writeAll(file, writer.view());
    const bytes = JOURNAL_HEAD.length + writer.length;
    this.#compaction = { file, records: rest[Symbol.iterator](), bytes };
  }

  #abandon(): void {
    if (this.#compaction !== undefined) closeSync(this.#compaction.file);
    this.#compaction = undefined;
  }

  /** Returns whether there is more; after the last slice the new file takes its place. */
  #writeSlice(): boolean {
    const compaction = this.#compaction;
    if (compaction === undefined) return false;
    const writer = new CborWriter();
    for (let count = 0; count < SLICE_RECORDS; count++) {
      const next = compaction.records.next();
      if (next.done === true) {
        this.#finish(compaction, writer);
        return false;
      }
      writeJournalRecord(writer, next.value);
    }
    writeAll(compaction.file, writer.view());
    compaction.bytes += writer.length;
    return true;
  }

  #finish(compaction: Compaction, writer: CborWriter): void {
    writeAll(compaction.file, writer.view());
    renameSync(`${this.#path}.new`, this.#path);
    closeSync(this.#file);
    this.#file = compaction.file;
    this.#bytes = compaction.bytes + writer.length;
    this.#bytesAtCompaction = this.#bytes;
    this.#compaction = undefined;
  }
}

function writeAll(file: number, bytes: Buffer): void {
  let at = 0;
  while (at < bytes.length) at += writeSync(file, bytes, at);
}

function readJournal(path: string): {
  readonly vms: Map<string, JournalledVm>;
  readonly tornRecords: number;
} {
  const vms = new Map<string, JournalledVm>();
  const bytes = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
  if (bytes.length === 0) return { vms, tornRecords: 0 };
  if (!bytes.subarray(0, JOURNAL_HEAD.length).equals(JOURNAL_HEAD)) {
    const what = `"${path}" is no journal of this version`;
    const advice = "remove it to begin without: flows that are offloaded are then asked for again";
    throw new FlowliftError("STATE_FILE_UNREADABLE", `${what}; ${advice}`);
  }
  let tornRecords = 0;
  let at = JOURNAL_HEAD.length;
  while (at < bytes.length) {
    const start = at + SIZE_BYTES;
    const end = start <= bytes.length ? start + bytes.readUInt32BE(at) : start;
    const record = end > bytes.length ? undefined : decodeJournalRecord(bytes.subarray(start, end));
    if (record === undefined) tornRecords++;
    else applyJournalRecord(vms, record);
    at = end;
  }
  return { vms, tornRecords };
}

/** Writes a small file so that it is either the old or the new one. */
export function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
