/**
 * The journal file: append, and compaction now and then.
 *
 * Effect: writes one file, synchronously, into the kernel's page cache: what was written survives the
 * death of this process, not that of the machine (nor does the fast path).
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
import {
  applyJournalRecord,
  compactJournal,
  decodeJournalRecord,
  encodeJournalRecord,
  type JournalledVm,
  type JournalRecord,
} from "./journal-record.ts";

export const JOURNAL_NAME = "flows.journal";
export const JOURNAL_GROWTH = 4;
/** A journal shorter than this is left alone. */
export const JOURNAL_BYTES_MIN: number = 4 * 1024 * 1024;
/** Beside the flows held, this much may wait for a write. */
const FLUSH_CHARACTERS: number = 256 * 1024;

/** An open journal. */
export class Journal {
  readonly #path: string;
  #file: number;
  #pending = "";
  #bytes = 0;
  #bytesAtCompaction = 0;

  private constructor(path: string) {
    this.#path = path;
    this.#file = openSync(path, "a", 0o600);
  }

  /** Opens the journal of a directory and returns what it says. Throws STATE_FILE_UNREADABLE. */
  static open(stateDirectory: string): {
    readonly journal: Journal;
    readonly vms: ReadonlyMap<string, JournalledVm>;
    readonly tornLines: number;
  } {
    const path = join(stateDirectory, JOURNAL_NAME);
    try {
      const { vms, tornLines } = readJournal(path);
      const journal = new Journal(path);
      journal.compact(compactJournal(vms));
      return { journal, vms, tornLines };
    } catch (cause) {
      throw new FlowliftError("STATE_FILE_UNREADABLE", `Cannot open the journal "${path}"`, {
        cause,
      });
    }
  }

  /** Appends; `flush` makes it lasting. */
  append(record: JournalRecord): void {
    this.#pending += encodeJournalRecord(record);
    if (this.#pending.length > FLUSH_CHARACTERS) this.flush();
  }

  flush(): void {
    if (this.#pending === "") return;
    this.#bytes += writeAll(this.#file, this.#pending);
    this.#pending = "";
  }

  /** Whether the journal has become long for what it says. */
  get isLong(): boolean {
    return (
      this.#bytes > JOURNAL_BYTES_MIN && this.#bytes > JOURNAL_GROWTH * this.#bytesAtCompaction
    );
  }

  /** Replaces the whole content; the old one stays until the new one is complete. */
  compact(records: readonly JournalRecord[]): void {
    this.#pending = "";
    const next = `${this.#path}.new`;
    const file = openSync(next, "w", 0o600);
    let bytes = 0;
    for (let index = 0; index < records.length; index += 1024) {
      bytes += writeAll(
        file,
        records
          .slice(index, index + 1024)
          .map(encodeJournalRecord)
          .join(""),
      );
    }
    closeSync(file);
    renameSync(next, this.#path);
    closeSync(this.#file);
    this.#file = openSync(this.#path, "a", 0o600);
    this.#bytes = bytes;
    this.#bytesAtCompaction = bytes;
  }

  close(): void {
    this.flush();
    closeSync(this.#file);
  }
}

function writeAll(file: number, text: string): number {
  const bytes = Buffer.from(text);
  let at = 0;
  while (at < bytes.length) at += writeSync(file, bytes, at);
  return bytes.length;
}

function readJournal(path: string): {
  readonly vms: Map<string, JournalledVm>;
  readonly tornLines: number;
} {
  const vms = new Map<string, JournalledVm>();
  let tornLines = 0;
  if (!existsSync(path)) return { vms, tornLines };
  for (const line of readFileSync(path, "utf8").split("\n")) {
    if (line === "") continue;
    const record = decodeJournalRecord(line);
    if (record === undefined) tornLines++;
    else applyJournalRecord(vms, record);
  }
  return { vms, tornLines };
}

/** Writes a small file so that it is either the old or the new one. */
export function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
