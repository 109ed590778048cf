/**
 * The serial console of a VM, kept in a file that does not grow for ever.
 *
 * Effect: writes the file; when it is full it becomes `FILE.1` and a new one begins.
 * Limit: CONSOLE_BYTES_MAX for each of the two files, CONSOLE_TAIL_LINES lines in a message.
 */
import { appendFileSync, existsSync, readFileSync, renameSync, statSync } from "node:fs";

export const CONSOLE_BYTES_MAX: number = 1024 * 1024;
export const CONSOLE_TAIL_LINES = 12;
const TAIL_LINE_BYTES_MAX = 160;

export class ConsoleLog {
  readonly file: string;
  #bytes: number;

  constructor(file: string) {
    this.file = file;
    this.#bytes = existsSync(file) ? statSync(file).size : 0;
  }

  append(chunk: Buffer): void {
    // A flood may come in one piece.
    const kept = chunk.subarray(Math.max(0, chunk.length - CONSOLE_BYTES_MAX));
    if (this.#bytes + kept.length > CONSOLE_BYTES_MAX) {
      if (existsSync(this.file)) renameSync(this.file, `${this.file}.1`);
      this.#bytes = 0;
    }
    appendFileSync(this.file, kept, { mode: 0o600 });
    this.#bytes += kept.length;
  }

  /** Returns all that is kept, the oldest first. */
  read(): string {
    return [`${this.file}.1`, this.file]
      .filter((file) => existsSync(file))
      .map((file) => readFileSync(file, "latin1"))
      .join("");
  }

  /** Returns the last lines for an error message: without what moves a terminal's cursor. */
  readTail(): string {
    return formatConsoleTail(this.read());
  }
}

/** Returns the last lines of a console as one line of plain text. */
export function formatConsoleTail(text: string): string {
  const plain = text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed.
    .replace(/\u001b\[[0-9;?]*[ -/]*[@-~]|\u001b[@-_]/g, "")
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed.
    .replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u00ff]/g, "");
  return plain
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .slice(-CONSOLE_TAIL_LINES)
    .map((line) => line.slice(0, TAIL_LINE_BYTES_MAX))
    .join(" | ");
}
