/**
 * A helper program of the isolation claim that talks in lines of JSON.
 *
 * Effect: a child process, which ends with `stop()` or with this process. Limit: ERRORS_CHARACTERS_MAX kept.
 */
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { FlowliftError } from "../../lib/base/errors.ts";

const ERRORS_CHARACTERS_MAX = 2000;

interface Waiter {
  readonly isOver: () => boolean;
  readonly settle: (error?: FlowliftError) => void;
}

export class LineProgram {
  onLine: (line: string) => void = () => {};
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #waiters = new Set<Waiter>();
  #errors = "";
  #isStopping = false;
  #isGone = false;

  constructor(name: string, child: ChildProcess) {
    this.#name = name;
    this.#child = child;
    child.stderr?.on("data", (text: Buffer) => {
      this.#errors = (this.#errors + text.toString()).slice(-ERRORS_CHARACTERS_MAX);
    });
    child.stdin?.on("error", () => {}); // Its end is told by "close".
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on("line", (line) => {
        this.onLine(line);
        this.#look();
      });
    }
    const end = (): void => {
      this.#isGone = true;
      for (const { settle } of this.#waiters) settle(this.#failure());
    };
    child.on("error", end);
    child.on("close", end);
  }

  send(value: unknown): void {
    this.#child.stdin?.write(`${JSON.stringify(value)}\n`);
  }

  /** Resolves when the condition holds; it is looked at after each line. Throws LAB_FAILED. */
  until(what: string, isOver: () => boolean, timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (isOver()) return resolve();
      if (this.#isGone) return reject(this.#failure());
      const waiter: Waiter = {
        isOver,
        settle: (error) => {
          clearTimeout(timer);
          this.#waiters.delete(waiter);
          if (error === undefined) resolve();
          else reject(error);
        },
      };
      const timer = setTimeout(() => {
        const text = `${this.#name}: ${what} did not come within ${timeoutMs} ms`;
        waiter.settle(new FlowliftError("LAB_FAILED", text));
      }, timeoutMs);
      this.#waiters.add(waiter);
    });
  }

  /** Ends the program; resolves when it is gone. */
  stop(): Promise<void> {
    this.#isStopping = true;
    return new Promise((resolve) => {
      if (this.#isGone) return resolve();
      this.#child.once("close", () => resolve());
      this.#child.kill("SIGKILL");
    });
  }

  #look(): void {
    for (const waiter of this.#waiters) if (waiter.isOver()) waiter.settle();
  }

  #failure(): FlowliftError {
    const why = this.#isStopping ? "it was stopped" : this.#errors.trim() || "it ended";
    return new FlowliftError("LAB_FAILED", `${this.#name}: ${why}`);
  }
}
