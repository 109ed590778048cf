/**
 * A supervisor that outlives the command that started it.
 *
 * Effect: starts a process that leaves the terminal's session; its log lies beside the lab until the
 * lab is removed.
 */
import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import type { Readable } from "node:stream";
import { FlowliftError } from "../lib/base/errors.ts";
import { supervisorLogFile } from "./layout.ts";

/** Lines for a person come before this word on the supervisor's standard output. */
export const READY_WORD = "READY";

export interface DetachedLab {
  readonly runDirectory: string;
  readonly name: string;
  /** The command that supervises: Node, the program, and its arguments. */
  readonly argv: readonly string[];
  readonly announce: (line: string) => void;
}

/** Starts the supervisor and waits until its lab runs. Returns the exit code and words of a failure. */
export async function startDetached(
  lab: DetachedLab,
): Promise<{ readonly exitCode: number; readonly words: string } | undefined> {
  mkdirSync(lab.runDirectory, { recursive: true, mode: 0o755 });
  const logFile = supervisorLogFile(lab.runDirectory, lab.name);
  const logFd = openSync(logFile, "a", 0o600);
  const readFd = openSync(logFile, "r"); // A lab that fails removes the file; we still want its words.
  const [file = "", ...args] = lab.argv;
  const child = spawn(file, args, { detached: true, stdio: ["ignore", "pipe", logFd], cwd: "/" });
  closeSync(logFd);
  let interrupted = false;
  const forward = (): void => {
    interrupted = true;
    child.kill("SIGTERM"); // It stops in order, then we see its end.
  };
  process.once("SIGINT", forward);
  process.once("SIGTERM", forward);
  const exitCode = await waitReady(
    child.stdout,
    lab.announce,
    () => interrupted,
    (settle) => {
      child.once("error", (cause) => {
        settle(new FlowliftError("LAB_FAILED", "Cannot start the lab's supervisor", { cause }));
      });
      child.once("close", (code) => settle(code ?? 1));
    },
  );
  process.off("SIGINT", forward);
  process.off("SIGTERM", forward);
  const words = exitCode === undefined ? "" : readFileSync(readFd, "utf8").trim();
  closeSync(readFd);
  if (exitCode === undefined) {
    child.stdout?.destroy();
    child.unref();
    return undefined;
  }
  rmSync(logFile, { force: true });
  removeEmptyDirectory(lab.runDirectory);
  return { exitCode, words };
}

function removeEmptyDirectory(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Other labs live there.
  }
}

/** Resolves with undefined at the ready word, or with what `onEnd` says first. */
function waitReady(
  stdout: Readable | null,
  announce: (line: string) => void,
  isInterrupted: () => boolean,
  onEnd: (settle: (end: number | Error) => void) => void,
): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    let rest = "";
    stdout?.on("data", (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line !== READY_WORD) announce(line);
        else if (!isInterrupted()) resolve(undefined);
      }
    });
    onEnd((end) => (typeof end === "number" ? resolve(end) : reject(end)));
  });
}
