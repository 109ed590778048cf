/**
 * What the journal holds, and its form: one line for each record.
 *
 *     CRC-32 of the rest in 8 hexadecimal digits, a blank, JSON, LF
 *
 * Pure. A line that was cut off, or whose sum is wrong, ends what can be believed.
 */
import { crc32 } from "node:zlib";

/** What made a change of running. */
export type CommitCause =
  | "commit"
  | "edit"
  | "copy"
  | "rollback"
  | "confirmed"
  | "cancelled"
  | "timed-out"
  | "restarted"
  | "booted";

/** Who asks, as history and events tell it. */
export interface Actor {
  readonly user: string;
  /** 0: the server itself. */
  readonly sessionId: number;
  readonly sourceHost: string;
  readonly protocol: string;
}

/** The server, when it acts on its own. */
export const SERVER_ACTOR: Actor = { user: "flowlift", sessionId: 0, sourceHost: "", protocol: "" };

/** A commit without its contents. */
export interface CommitMeta extends Actor {
  readonly id: number;
  /** RFC 3339. */
  readonly time: string;
  readonly how: CommitCause;
  readonly comment: string;
  readonly changes: number;
}

export interface CommitRecord extends CommitMeta {
  readonly kind: "commit";
  readonly sequence: number;
  /** startup follows running. */
  readonly startup: boolean;
  /** Edits as XML: to this commit from the one before, and back. */
  readonly forward: string;
  readonly backward: string;
}

/** startup without a commit: as running is, as given, or none. */
export interface StartupRecord {
  readonly kind: "startup";
  readonly sequence: number;
  readonly content: "running" | "none" | { readonly xml: string };
}

/** A commit that must be confirmed; until it is, a start goes back to `baseId`. */
export interface PendingRecord {
  readonly kind: "pending";
  readonly sequence: number;
  readonly baseId: number;
}

/** It was confirmed, or taken back. */
export interface SettledRecord {
  readonly kind: "settled";
  readonly sequence: number;
  /** startup follows running. */
  readonly startup: boolean;
}

export type JournalRecord = CommitRecord | StartupRecord | PendingRecord | SettledRecord;
/** A record whose place in the journal is not known yet. */
export type NewRecord =
  | Omit<CommitRecord, "sequence">
  | Omit<StartupRecord, "sequence">
  | Omit<PendingRecord, "sequence">
  | Omit<SettledRecord, "sequence">;

/** Returns the line with its end. */
export function encodeRecord(record: JournalRecord): Buffer {
  const json = JSON.stringify(record);
  const sum = crc32(json).toString(16).padStart(8, "0");
  return Buffer.from(`${sum} ${json}\n`);
}

/** Where a record stands in its file. */
export interface PlacedRecord {
  readonly record: JournalRecord;
  readonly offset: number;
  readonly lengthBytes: number;
}

export interface DecodedJournal {
  readonly records: readonly PlacedRecord[];
  /** What follows is torn or damaged. */
  readonly goodBytes: number;
  /** A whole line follows the damage: not a power cut, but a bad disk or a careless hand. */
  readonly isDamaged: boolean;
}

const LF = 10;

/** Reads as far as everything is right. */
export function decodeJournal(bytes: Buffer): DecodedJournal {
  const records: PlacedRecord[] = [];
  let offset = 0;
  let sequence = 0;
  while (offset < bytes.length) {
    const end = bytes.indexOf(LF, offset);
    if (end < 0) break;
    const record = decodeLine(bytes.subarray(offset, end));
    if (record === undefined || record.sequence <= sequence) {
      return { records, goodBytes: offset, isDamaged: bytes.indexOf(LF, end + 1) >= 0 };
    }
    sequence = record.sequence;
    records.push({ record, offset, lengthBytes: end + 1 - offset });
    offset = end + 1;
  }
  return { records, goodBytes: offset, isDamaged: false };
}

/** Returns the record of a line without its end, or undefined. */
export function decodeLine(line: Buffer): JournalRecord | undefined {
  const text = line.toString("utf8");
  const json = text.slice(9);
  if (text[8] !== " " || crc32(json).toString(16).padStart(8, "0") !== text.slice(0, 8)) {
    return undefined;
  }
  try {
    const record = JSON.parse(json) as JournalRecord;
    return Number.isSafeInteger(record.sequence) ? record : undefined;
  } catch {
    return undefined;
  }
}
