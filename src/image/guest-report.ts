/**
 * Reads what the guest says through its port: jobs that start and end, their results, their output.
 *
 * Pure. A line that begins with the record separator is the guest's; every other is the output of a job.
 * Limit: LINE_CHARS_MAX characters in a line, OUTPUT_LINES_MAX lines of output kept for each job.
 */
import { RECORD } from "./guest-script.ts";

/** A longer line is no result of ours: it is cut. */
export const LINE_CHARS_MAX: number = 8 * 1024 * 1024;
/** The last ones say why a job failed. */
export const OUTPUT_LINES_MAX = 400;

export interface JobOutcome {
  readonly name: string;
  /** Absent: the guest ended before the job did. */
  readonly exitCode?: number;
  /** The one line of the job's result file. */
  readonly result?: string;
  readonly output: readonly string[];
}

export type GuestEvent =
  | { readonly kind: "kernel"; readonly release: string }
  | { readonly kind: "started"; readonly name: string }
  | { readonly kind: "output"; readonly name: string; readonly line: string }
  | { readonly kind: "ended"; readonly outcome: JobOutcome }
  | { readonly kind: "done" };

interface OpenJob {
  readonly name: string;
  readonly output: string[];
  result?: string;
}

export class GuestReport {
  #rest = "";
  #job: OpenJob | undefined;

  /** Returns what the text says, in order. */
  push(text: string): GuestEvent[] {
    const lines = (this.#rest + text).split("\n");
    this.#rest = (lines.pop() ?? "").slice(0, LINE_CHARS_MAX);
    return lines.flatMap((line) => this.#readLine(line));
  }

  /** The guest is gone: a job that has not ended has failed. */
  end(): GuestEvent[] {
    const events = this.push("\n");
    const job = this.#job;
    this.#job = undefined;
    return job === undefined ? events : [...events, { kind: "ended", outcome: job }];
  }

  #readLine(line: string): GuestEvent[] {
    if (!line.startsWith(RECORD)) return this.#readOutput(line);
    const [word = "", name = "", ...others] = line.slice(RECORD.length).split(" ");
    switch (word) {
      case "kernel":
        return [{ kind: "kernel", release: name }];
      case "start":
        this.#job = { name, output: [] };
        return [{ kind: "started", name }];
      case "result":
        if (this.#job?.name === name) this.#job.result = others.join(" ");
        return [];
      case "end":
        return this.#endJob(name, Number(others[0]));
      case "done":
        return [{ kind: "done" }];
      default:
        return this.#readOutput(line);
    }
  }

  #endJob(name: string, exitCode: number): GuestEvent[] {
    const job = this.#job;
    if (job?.name !== name || !Number.isInteger(exitCode)) return [];
    this.#job = undefined;
    return [{ kind: "ended", outcome: { ...job, exitCode } }];
  }

  #readOutput(line: string): GuestEvent[] {
    const job = this.#job;
    if (job === undefined || line === "") return [];
    job.output.push(line);
    if (job.output.length > OUTPUT_LINES_MAX) job.output.shift();
    return [{ kind: "output", name: job.name, line }];
  }
}
