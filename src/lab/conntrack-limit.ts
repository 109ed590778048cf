/**
 * The machine's limit of conntrack entries, which only the root namespace can set.
 *
 * Effect: raises net.netfilter.nf_conntrack_max while labs run, and restores what was found before the
 * first of them. The record is written before the change, so that a killed lab leaves a trace.
 * Invariant: record and limit change under one lock, so that labs that start together see each other.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { withDirectoryLock } from "./directory-lock.ts";

export const CONNTRACK_MAX_FILE = "/proc/sys/net/netfilter/nf_conntrack_max";
/** Entries for all tenants of a machine together; about 320 bytes each, when used. */
export const CONNTRACK_ENTRIES_WANTED = 1_048_576;

interface LimitRecord {
  readonly original: number;
  readonly raisedTo: number;
  readonly labs: readonly string[];
}

/** Where the limit is read and written; tests give another file. */
export interface ConntrackLimit {
  readonly runDirectory: string;
  readonly limitFile: string;
}

function recordPath(limit: ConntrackLimit): string {
  return join(limit.runDirectory, "conntrack-max.json");
}

function readRecord(limit: ConntrackLimit): LimitRecord | undefined {
  try {
    return JSON.parse(readFileSync(recordPath(limit), "utf8")) as LimitRecord;
  } catch {
    return undefined;
  }
}

function writeRecord(limit: ConntrackLimit, record: LimitRecord): void {
  mkdirSync(limit.runDirectory, { recursive: true, mode: 0o755 });
  const draft = `${recordPath(limit)}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(record));
  renameSync(draft, recordPath(limit));
}

function readLimit(limit: ConntrackLimit): number {
  return Number(readFileSync(limit.limitFile, "utf8"));
}

/** Raises the limit for `labName` where it is too low; returns a line to announce, or undefined. */
export function raiseConntrackLimit(limit: ConntrackLimit, labName: string): string | undefined {
  if (!existsSync(limit.limitFile)) return undefined; // The kernel's conntrack is not loaded yet.
  return withDirectoryLock(lockedDirectory(limit), () => raiseLocked(limit, labName));
}

/** The run directory itself comes and goes with its labs. */
function lockedDirectory(limit: ConntrackLimit): string {
  return dirname(limit.runDirectory);
}

function raiseLocked(limit: ConntrackLimit, labName: string): string | undefined {
  const present = readLimit(limit);
  const record = readRecord(limit);
  if (record !== undefined) {
    writeRecord(limit, { ...record, labs: [...new Set([...record.labs, labName])] });
  }
  if (present >= CONNTRACK_ENTRIES_WANTED) return undefined;
  if (record === undefined) {
    const labs = [labName];
    writeRecord(limit, { original: present, raisedTo: CONNTRACK_ENTRIES_WANTED, labs });
  }
  writeFileSync(limit.limitFile, String(CONNTRACK_ENTRIES_WANTED));
  return (
    `net.netfilter.nf_conntrack_max raised from ${present} to ${CONNTRACK_ENTRIES_WANTED} ` +
    "for the whole machine; restored when the last lab ends"
  );
}

/** Forgets `labName`; with the last lab the limit is restored, unless somebody else changed it. */
export function restoreConntrackLimit(limit: ConntrackLimit, labName: string): void {
  if (!existsSync(recordPath(limit))) return;
  withDirectoryLock(lockedDirectory(limit), () => restoreLocked(limit, labName));
}

function restoreLocked(limit: ConntrackLimit, labName: string): void {
  const record = readRecord(limit);
  if (record === undefined) return;
  const labs = record.labs.filter((name) => name !== labName);
  if (labs.length > 0) {
    writeRecord(limit, { ...record, labs });
    return;
  }
  if (readLimit(limit) === record.raisedTo) writeFileSync(limit.limitFile, String(record.original));
  rmSync(recordPath(limit), { force: true });
}
