/**
 * Runs a program of the system to its end.
 *
 * Effect: starts processes. Throws LAB_FAILED with the program's own words, or ENVIRONMENT_LACKS.
 * Limit: COMMAND_TIMEOUT_MS for each program, OUTPUT_BYTES_MAX of what it writes.
 */
import { execFile } from "node:child_process";
import { FlowliftError } from "../lib/base/errors.ts";

export const COMMAND_TIMEOUT_MS = 30_000;
export const OUTPUT_BYTES_MAX: number = 16 * 1024 * 1024;
/** How many programs run at the same time. */
export const COMMANDS_AT_ONCE_MAX = 4;

/** Runs `argv` with `input` on its standard input; returns its standard output. */
export function runCommand(argv: readonly string[], input = ""): Promise<string> {
  const [file = "", ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = execFile(
      file,
      args,
      { timeout: COMMAND_TIMEOUT_MS, maxBuffer: OUTPUT_BYTES_MAX },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(commandError(argv, error, stderr));
      },
    );
    child.stdin?.on("error", () => {}); // It may end before it has read everything.
    child.stdin?.end(input);
  });
}

function commandError(
  argv: readonly string[],
  error: Error & { readonly code?: unknown },
  stderr: string,
): FlowliftError {
  if (error.code === "ENOENT") {
    return new FlowliftError(
      "ENVIRONMENT_LACKS",
      `The program "${argv[0]}" is missing; ./flowlift doctor names its package`,
    );
  }
  const words = stderr.trim().split("\n").slice(0, 4).join("; ") || error.message;
  return new FlowliftError("LAB_FAILED", `Cannot run "${argv.slice(0, 6).join(" ")}": ${words}`);
}

/** Calls `work` for each item, COMMANDS_AT_ONCE_MAX at the same time. */
export async function forEachAtOnce<T>(
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const worker = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: COMMANDS_AT_ONCE_MAX }, worker));
}
