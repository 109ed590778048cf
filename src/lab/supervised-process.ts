/**
 * One child that is kept running: started, found ready, restarted with growing pauses, stopped.
 *
 * Effect: starts a process. A child prints one line READY on its standard output when it serves; its
 * standard error goes to a log file.
 * Limit: pauses grow from RESTART_PAUSE_MIN_MS to RESTART_PAUSE_MAX_MS; LOG_BYTES_MAX for each log.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, statSync, truncateSync } from "node:fs";
import { assert } from "../lib/base/assert.ts";
import { describeError, FlowliftError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import { type ProcessRecord, recordProcess } from "./process-record.ts";

export const READY_TIMEOUT_MS = 30_000;
export const RESTART_PAUSE_MIN_MS = 100;
export const RESTART_PAUSE_MAX_MS = 5_000;
/** A child that ran this long starts again without having to wait. */
export const STABLE_MS = 10_000;
export const STOP_TIMEOUT_MS = 5_000;
export const LOG_BYTES_MAX: number = 64 * 1024 * 1024;
const LOG_TAIL_LINES = 6;

export interface ProcessSpec {
  readonly name: string;
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly logFile: string;
  /** Inherited as descriptors 3 and following. */
  readonly listenFds?: readonly number[];
  /** Resolves when the child serves. Default: when it has printed READY. */
  readonly untilServing?: (signal: AbortSignal) => Promise<void>;
  /** Default: READY_TIMEOUT_MS. */
  readonly readyTimeoutMs?: number;
  /** Gets what the child prints. */
  readonly onOutput?: (chunk: Buffer) => void;
  /** Words for the message when the child fails, besides its log's last lines. */
  readonly readTail?: () => string;
}

export type ProcessState = "stopped" | "starting" | "ready" | "waiting";

/** Returns the pause before the next start; `failures` counts ends shortly after a start. */
export function planRestartPause(failures: number): number {
  return Math.min(RESTART_PAUSE_MAX_MS, RESTART_PAUSE_MIN_MS * 2 ** Math.min(failures, 16));
}

export class SupervisedProcess {
  readonly spec: ProcessSpec;
  readonly #log: Log;
  readonly #onChange: () => void;
  #child: ChildProcess | undefined;
  #record: ProcessRecord | undefined;
  #state: ProcessState = "stopped";
  #wanted = false;
  #failures = 0;
  #restartCount = 0;
  #timer: NodeJS.Timeout | undefined;
  #waiters: { resolve(): void; reject(error: Error): void }[] = [];
  #serving: AbortController | undefined;

  constructor(spec: ProcessSpec, log: Log, onChange: () => void) {
    this.spec = spec;
    this.#log = log;
    this.#onChange = onChange;
  }

  get state(): ProcessState {
    return this.#state;
  }

  /** The running child, or undefined. */
  get record(): ProcessRecord | undefined {
    return this.#record;
  }

  /** Starts by the supervisor itself after an unexpected end. */
  get restartCount(): number {
    return this.#restartCount;
  }

  /**
   * Starts the child and resolves when it is ready. Rejects when it ends before it ever was. `moreWords`
   * are for this one start.
   */
  async start(moreWords: readonly string[] = []): Promise<void> {
    this.launch(moreWords);
    await this.waitReady();
  }

  /** Starts the child; whether it becomes ready is for `waitReady()`. */
  launch(moreWords: readonly string[] = []): void {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#failures = 0;
    this.#spawn(moreWords);
  }

  /** Resolves when the child is ready, now or later. */
  waitReady(timeoutMs: number = this.spec.readyTimeoutMs ?? READY_TIMEOUT_MS): Promise<void> {
    if (this.#state === "ready") return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(this.#failure(`was not ready within ${timeoutMs} ms`)),
        timeoutMs,
      );
      const settle = (action: () => void) => (): void => {
        clearTimeout(timer);
        action();
      };
      this.#waiters.push({
        resolve: settle(resolve),
        reject: (error) => settle(() => reject(error))(),
      });
    });
  }

  /** Ends the child for good; SIGKILL follows when it takes too long. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    await this.endBy((child) => void child.kill(signal), STOP_TIMEOUT_MS);
  }

  /** Lets `ask` end the child for good. Returns false when it took too long and was killed. */
  async endBy(
    ask: (child: ChildProcess) => void | Promise<void>,
    timeoutMs: number,
  ): Promise<boolean> {
    this.#wanted = false;
    clearTimeout(this.#timer);
    const child = this.#child;
    if (child === undefined) {
      this.#setState("stopped");
      return true;
    }
    const ended = new Promise<void>((resolve) => {
      child.once("close", () => resolve());
    });
    let killed = false;
    const timer = setTimeout(() => {
      killed = true;
      child.kill("SIGKILL");
    }, timeoutMs);
    try {
      await ask(child);
      await ended;
    } finally {
      clearTimeout(timer);
    }
    return !killed;
  }

  /** Sends a signal and lets the supervisor react, as if it had come from outside. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  #spawn(moreWords: readonly string[] = []): void {
    assert(this.#child === undefined, "a supervised process runs once");
    const { argv, environment, logFile, listenFds, onOutput, untilServing } = this.spec;
    const [file = "", ...args] = [...argv, ...moreWords];
    const logFd = openLog(logFile);
    const child = spawn(file, args, {
      env: environment,
      cwd: "/",
      detached: true,
      stdio: ["ignore", "pipe", logFd, ...(listenFds ?? [])],
    });
    closeSync(logFd);
    this.#child = child;
    this.#record = child.pid === undefined ? undefined : recordProcess(child.pid);
    this.#setState("starting");
    const startedMs = performance.now();
    child.stdout?.on("data", (chunk: Buffer) => {
      onOutput?.(chunk);
      const says = untilServing === undefined && /^READY/m.test(chunk.toString());
      if (this.#state === "starting" && says) this.#becomeReady();
    });
    if (untilServing !== undefined) this.#awaitServing(untilServing);
    child.once("error", (error) => this.#log.error("cannot start", { reason: error.message }));
    child.once("close", (code, signal) => this.#ended(startedMs, code, signal));
  }

  #awaitServing(untilServing: (signal: AbortSignal) => Promise<void>): void {
    const serving = new AbortController();
    this.#serving = serving;
    untilServing(serving.signal).then(
      () => {
        if (!serving.signal.aborted && this.#state === "starting") this.#becomeReady();
      },
      (error: unknown) => {
        if (serving.signal.aborted) return; // The child ended, which tells more.
        this.#rejectWaiters(`does not serve: ${describeError(error)}`);
      },
    );
  }

  #becomeReady(): void {
    this.#setState("ready");
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.resolve();
  }

  #ended(startedMs: number, code: number | null, signal: NodeJS.Signals | null): void {
    const wasReady = this.#state === "ready";
    this.#serving?.abort();
    this.#child = undefined;
    this.#record = undefined;
    if (!this.#wanted) {
      this.#setState("stopped");
      this.#rejectWaiters("was stopped");
      return;
    }
    const reason = signal ?? `exit code ${code}`;
    this.#log.warn("a process ended", { process: this.spec.name, reason });
    if (!wasReady) this.#rejectWaiters(`ended before it was ready (${reason})`);
    if (performance.now() - startedMs >= STABLE_MS) this.#failures = 0;
    const pauseMs = planRestartPause(this.#failures++);
    this.#setState("waiting");
    this.#timer = setTimeout(() => {
      this.#restartCount++;
      this.#spawn();
    }, pauseMs);
  }

  #rejectWaiters(reason: string): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.reject(this.#failure(reason));
  }

  #failure(reason: string): FlowliftError {
    const tail = [readLogTail(this.spec.logFile), this.spec.readTail?.() ?? ""]
      .filter((text) => text !== "")
      .join(" | ");
    const words = tail === "" ? "" : `; its last words: ${tail}`;
    return new FlowliftError("LAB_FAILED", `Process "${this.spec.name}" ${reason}${words}`);
  }

  #setState(state: ProcessState): void {
    this.#state = state;
    this.#onChange();
  }
}

function openLog(file: string): number {
  const fd = openSync(file, "a", 0o640);
  if (statSync(file).size > LOG_BYTES_MAX) truncateSync(file);
  return fd;
}

function readLogTail(file: string): string {
  const text = readFileSync(file, "utf8").trim();
  return text.split("\n").slice(-LOG_TAIL_LINES).join(" | ");
}
