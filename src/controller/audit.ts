/**
 * The audit trail: the newest decisions in memory, every one as a line of a file that is turned over.
 *
 * Effect: appends to one file. Limit: AUDIT_ENTRIES_MAX entries in memory; AUDIT_BYTES_MAX for each of two
 * files; AUDIT_LINES_PER_SEC_MAX lines a second, what is above is counted in one line.
 */
import { closeSync, fstatSync, openSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";
import { TokenBucket } from "./token-bucket.ts";

export const AUDIT_NAME = "audit.jsonl";
export const AUDIT_ENTRIES_MAX = 4096;
export const AUDIT_BYTES_MAX: number = 64 * 1024 * 1024;
export const AUDIT_LINES_PER_SEC_MAX = 2_000;

export interface AuditEntry {
  /** RFC 3339. */
  readonly time: string;
  readonly what: string;
  readonly tenant?: string;
  readonly vm?: string;
  readonly host?: string;
  readonly epoch?: string;
  readonly flowId?: string;
  readonly reason?: string;
  readonly detail?: string;
  readonly tuple?: string;
  readonly count?: number;
}

/** Where entries go; without a directory they stay in memory. */
export class AuditTrail {
  readonly #entries: AuditEntry[] = [];
  readonly #path: string | undefined;
  #file: number | undefined;
  #bytes = 0;
  #suppressed = 0;
  readonly #bucket: TokenBucket;
  #total = 0;

  constructor(stateDirectory: string | undefined, nowMs: number) {
    this.#bucket = new TokenBucket(AUDIT_LINES_PER_SEC_MAX, AUDIT_LINES_PER_SEC_MAX, nowMs);
    if (stateDirectory === undefined) return;
    this.#path = join(stateDirectory, AUDIT_NAME);
    this.#open();
  }

  /** Entries ever added. */
  get total(): number {
    return this.#total;
  }

  add(entry: Omit<AuditEntry, "time">, nowMs: number): void {
    this.#total++;
    if (this.#bucket.take(1, nowMs) === 0) {
      this.#suppressed++;
      return;
    }
    if (this.#suppressed > 0) {
      this.#write({ time: now(), what: "suppressed", count: this.#suppressed });
      this.#suppressed = 0;
    }
    this.#write({ time: now(), ...entry });
  }

  /** Returns the newest entries, newest last. */
  list(countMax: number): readonly AuditEntry[] {
    return this.#entries.slice(-Math.max(1, countMax));
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #write(entry: AuditEntry): void {
    this.#entries.push(entry);
    if (this.#entries.length >= 2 * AUDIT_ENTRIES_MAX) {
      this.#entries.splice(0, this.#entries.length - AUDIT_ENTRIES_MAX);
    }
    if (this.#file === undefined) return;
    this.#bytes += writeSync(this.#file, `${JSON.stringify(entry)}\n`);
    if (this.#bytes > AUDIT_BYTES_MAX) this.#turnOver();
  }

  #open(): void {
    if (this.#path === undefined) return;
    this.#file = openSync(this.#path, "a", 0o600);
    this.#bytes = fstatSync(this.#file).size;
  }

  #turnOver(): void {
    if (this.#path === undefined) return;
    this.close();
    renameSync(this.#path, `${this.#path}.1`);
    this.#open();
  }
}

function now(): string {
  return new Date().toISOString();
}
