/**
 * Runs programs on the lab's machines, as nobody unless told otherwise.
 *
 * Effect: starts processes. They end with the process that started them.
 */
import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { FlowliftError } from "../lib/base/errors.ts";
import { formatSetpriv, NOBODY, type Privileges } from "./privileges.ts";

export const OUTPUT_BYTES_MAX: number = 64 * 1024 * 1024;

export interface ExecOptions {
  /** Default: nobody without any capability. */
  readonly privileges?: Privileges;
  /** Default: nothing to read, output to pipes. */
  readonly stdio?: StdioOptions;
  readonly environment?: Readonly<Record<string, string>>;
}

export interface RunOptions extends ExecOptions {
  readonly timeoutMs?: number;
  readonly input?: string;
}

export interface RunOutcome {
  /** The exit code, or the signal's name. */
  readonly code: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
}

const BASE_ENVIRONMENT = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8" };

/** Starts `argv` in the namespaces that `enterWords` name. */
export function execInside(
  enterWords: readonly string[],
  argv: readonly string[],
  options: ExecOptions,
): ChildProcess {
  const privileges = formatSetpriv(options.privileges ?? NOBODY);
  return spawn("nsenter", [...enterWords, "--", ...privileges, ...argv], {
    env: { ...BASE_ENVIRONMENT, ...options.environment },
    cwd: "/",
    detached: true,
    stdio: options.stdio ?? ["ignore", "pipe", "pipe"],
  });
}

/** Runs `argv` to its end. Throws LAB_FAILED when it takes longer than `timeoutMs`. */
export function runInside(
  enterWords: readonly string[],
  argv: readonly string[],
  options: RunOptions,
): Promise<RunOutcome> {
  const child = execInside(enterWords, argv, { ...options, stdio: ["pipe", "pipe", "pipe"] });
  const collected = { stdout: "", stderr: "" };
  const collect = (name: "stdout" | "stderr") => (chunk: Buffer) => {
    if (collected[name].length < OUTPUT_BYTES_MAX) collected[name] += chunk.toString();
  };
  child.stdout?.on("data", collect("stdout"));
  child.stderr?.on("data", collect("stderr"));
  child.stdin?.on("error", () => {}); // It may end before it has read everything.
  child.stdin?.end(options.input ?? "");
  return new Promise((resolve, reject) => {
    const timer =
      options.timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            child.kill("SIGKILL");
            const words = argv.slice(0, 4).join(" ");
            const message = `"${words}" did not end within ${options.timeoutMs} ms`;
            reject(new FlowliftError("LAB_FAILED", message));
          }, options.timeoutMs);
    child.once("error", reject);
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ code: code ?? signal ?? "SIGKILL", ...collected });
    });
  });
}
