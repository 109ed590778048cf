/**
 * Who did what: one JSON line for each attempt to log in, session, change and refusal.
 *
 * Effect: appends to a file; an old half is kept beside it. A disk that refuses stops nothing:
 * the log's reader is told by the process's own log.
 * Limit: AUDIT_BYTES_MAX for each of the two files; AUDIT_QUEUE_MAX lines wait.
 */
import { appendFile, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { describeError } from "../../lib/base/errors.ts";
import type { Log } from "../../lib/base/log.ts";

export const AUDIT_BYTES_MAX: number = 4 * 1024 * 1024;
export const AUDIT_QUEUE_MAX = 10_000;

export interface AuditEntry {
  readonly event: "login" | "session" | "operation" | "commit";
  readonly user: string;
  readonly from: string;
  readonly session?: number;
  readonly what: string;
  readonly outcome: string;
}

export class AuditLog {
  readonly #path: string;
  readonly #output: Log;
  #queue: string[] = [];
  #bytes: number | undefined;
  #isWriting = false;
  #hasComplained = false;

  constructor(directory: string, output: Log) {
    this.#path = join(directory, "audit.log");
    this.#output = output;
  }

  add(entry: AuditEntry): void {
    if (this.#queue.length >= AUDIT_QUEUE_MAX) return;
    this.#queue.push(`${JSON.stringify({ time: new Date().toISOString(), ...entry })}\n`);
    if (!this.#isWriting) void this.#write();
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    while (this.#queue.length > 0) {
      const text = this.#queue.join("");
      this.#queue = [];
      try {
        await this.#makeRoom(text.length);
        await appendFile(this.#path, text, { mode: 0o600 });
        this.#hasComplained = false;
      } catch (error) {
        if (!this.#hasComplained) {
          this.#output.error("The audit log cannot be written", { reason: describeError(error) });
        }
        this.#hasComplained = true;
      }
    }
    this.#isWriting = false;
  }

  async #makeRoom(bytes: number): Promise<void> {
    this.#bytes ??= await stat(this.#path).then(
      ({ size }) => size,
      () => 0,
    );
    if (this.#bytes + bytes > AUDIT_BYTES_MAX && this.#bytes > 0) {
      await rename(this.#path, `${this.#path}.old`);
      this.#bytes = 0;
    }
    this.#bytes += bytes;
  }
}
