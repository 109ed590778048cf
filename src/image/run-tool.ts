/**
 * Runs one of Debian's tools to its end.
 *
 * Effect: starts a child process. Invariant: a tool sees the same environment whoever calls it (language,
 * time zone, umask of the caller excepted), since outputs must not depend on it.
 */
import { spawn } from "node:child_process";
import { FlowliftError } from "../lib/base/errors.ts";
import { readSetting } from "../lib/base/settings.ts";

export interface ToolOptions {
  readonly cwd?: string;
  readonly input?: string | Buffer;
  /** Added to the environment, which holds PATH, HOME, LC_ALL=C and TZ=UTC. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** How much of a failed tool's words are repeated. */
const WORDS_SHOWN_MAX = 600;

/** Returns what the tool printed. Throws ENVIRONMENT_LACKS when it is absent, IMAGE_FAILED when it fails. */
export async function runTool(
  program: string,
  args: readonly string[],
  options: ToolOptions = {},
): Promise<Buffer> {
  const environment = {
    PATH: `${readSetting("PATH") ?? ""}:/usr/sbin:/sbin:/usr/bin:/bin`,
    HOME: readSetting("HOME") ?? "/",
    LC_ALL: "C",
    TZ: "UTC",
    ...options.environment,
  };
  const child = spawn(program, args, {
    env: environment,
    stdio: ["pipe", "pipe", "pipe"],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const out: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => errors.push(chunk));
  // A tool that ends early closes its input; its exit code tells what is wrong.
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input ?? "");
  const status = await new Promise<number | NodeJS.Signals | null>((resolve, reject) => {
    child.once("error", (cause: NodeJS.ErrnoException) => reject(missing(program, cause)));
    child.once("close", (code, signal) => resolve(signal ?? code));
  });
  if (status === 0) return Buffer.concat(out);
  const words = Buffer.concat(errors).toString("utf8").trim() || `exit status ${status}`;
  throw toolFailure(program, words);
}

function missing(program: string, cause: NodeJS.ErrnoException): FlowliftError {
  const text =
    cause.code === "ENOENT"
      ? `"${program}" is missing; \`./flowlift doctor\` names the package`
      : `"${program}" does not start`;
  return new FlowliftError("ENVIRONMENT_LACKS", text, { cause });
}

function toolFailure(program: string, words: string): FlowliftError {
  if (/No space left on device/.test(words)) {
    return new FlowliftError("ENVIRONMENT_LACKS", `no space left for the image (${program})`);
  }
  return new FlowliftError("IMAGE_FAILED", `${program} failed: ${words.slice(-WORDS_SHOWN_MAX)}`);
}
