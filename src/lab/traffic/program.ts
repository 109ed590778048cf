/**
 * One program on a machine: says READY when it serves, lines meanwhile, and its result as the last line.
 *
 * Effect: owns a child process, which ends with the process that started it.
 * Limit: ERROR_CHARS_MAX characters of what it complained about are kept.
 */
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { FlowliftError } from "../../lib/base/errors.ts";
import type { ExecOptions } from "../machine-exec.ts";

export const ERROR_CHARS_MAX = 2_000;
const READY = "READY";

/** A lab, or whatever else runs programs on machines. */
export interface ProgramPlace {
  /** Starts a program on a machine. */
  exec(machine: string, argv: readonly string[], options: ExecOptions): ChildProcess;
  /** Returns the words that run a file of the built program. */
  nodeWords(entry: string): string[];
}

export class RunningProgram {
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #lines: string[] = [];
  readonly #waiters: (() => void)[] = [];
  #errors = "";
  #ended = false;
  #isStopped = false;
  /**
   * The last line that nobody has read, once it has ended; undefined when it was stopped before it had one.
   * Rejects with LAB_FAILED when it failed.
   */
  readonly result: Promise<string | undefined>;

  /** `name`: what a person calls it. */
  constructor(child: ChildProcess, name: string) {
    this.#child = child;
    this.#name = name;
    child.stdin?.on("error", () => {}); // It may end before it has read everything.
    child.stderr?.on("data", (chunk: Buffer) => {
      this.#errors = (this.#errors + chunk.toString()).slice(-ERROR_CHARS_MAX);
    });
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on("line", (line) => this.#receive(line));
    }
    this.result = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => {
        this.#ended = true;
        this.#wake();
        const last = this.#lines.at(-1);
        const isWhole = code === 0 && last !== undefined && last !== READY;
        if (isWhole) resolve(last);
        else if (this.#isStopped) resolve(undefined);
        else reject(this.#failure(`ended with ${code ?? "a signal"}`));
      });
    });
    this.result.catch(() => {}); // Whoever asks for it sees the failure; nobody has to ask.
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  /** Waits for the next line that is not read yet. Throws LAB_FAILED when there will be none. */
  async nextLine(): Promise<string> {
    for (;;) {
      const line = this.#ended ? undefined : this.#lines.shift();
      if (line !== undefined) return line;
      if (this.#ended) throw this.#failure("ended");
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  /** Waits until it serves. Throws LAB_FAILED. */
  async waitReady(): Promise<void> {
    const line = await this.nextLine();
    if (line !== READY) throw this.#failure(`said "${line}" in place of ${READY}`);
  }

  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** Ends it: by closing its input behind `farewell`, or by SIGTERM where it has none. */
  stop(farewell?: string): void {
    if (this.#ended) return;
    this.#isStopped = true;
    const input = this.#child.stdin;
    if (input === null || farewell === undefined) this.#child.kill("SIGTERM");
    else input.end(farewell);
  }

  /** Ends it at once. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }

  #receive(line: string): void {
    this.#lines.push(line);
    this.#wake();
  }

  #wake(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }

  #failure(what: string): FlowliftError {
    const words = this.#errors.trim();
    const text = `${this.#name} ${what}${words === "" ? "" : `: ${words}`}`;
    return new FlowliftError("LAB_FAILED", text);
  }
}

/** Starts a file of the built program on a machine. */
export function startProgram(
  place: ProgramPlace,
  machine: string,
  words: readonly string[],
  name: string,
  options: ExecOptions = {},
): RunningProgram {
  return new RunningProgram(place.exec(machine, words, options), `${name} on ${machine}`);
}
