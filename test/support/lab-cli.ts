/** Runs `flowlift lab` as a user does, with a run directory and names of the test's own. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LabState } from "../../src/lab/description.ts";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { LAB_DIST_DIRECTORY } from "./lab-dist.ts";

export interface CliOutcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** One user with a terminal; `dispose()` removes every lab of theirs. */
export class LabCli {
  readonly name: string = `t${randomBytes(4).toString("hex")}`;
  /** For files of the test. */
  readonly folder: string = mkdtempSync(join(tmpdir(), "fl-lab-cli-"));
  /** Every user must be able to pass through it. */
  readonly runDirectory: string = `/run/fl-${this.name}`;

  argv(...args: string[]): string[] {
    const main = join(findProjectRoot(), LAB_DIST_DIRECTORY, "cli", "main.js");
    const own = ["--run-directory", this.runDirectory, "--dist-directory", LAB_DIST_DIRECTORY];
    return [process.execPath, main, "lab", ...args, ...own];
  }

  run(...args: string[]): CliOutcome {
    const [file = "", ...rest] = this.argv(...args);
    const { status, stdout, stderr } = spawnSync(file, rest, { encoding: "utf8" });
    return { code: status, stdout, stderr };
  }

  /** Starts a command in the foreground and leaves it running. */
  start(...args: string[]): ChildProcess {
    const [file = "", ...rest] = this.argv(...args);
    return spawn(file, rest, { stdio: ["ignore", "pipe", "pipe"] });
  }

  readState(name: string = this.name): LabState {
    const file = join(this.runDirectory, "labs", name, "state.json");
    return JSON.parse(readFileSync(file, "utf8")) as LabState;
  }

  /** What is left of the labs: namespaces and files. */
  listLeftovers(): string[] {
    const namespaces = existsSync("/run/netns") ? readdirSync("/run/netns") : [];
    const own = namespaces.filter((name) => name.startsWith(`fl-${this.name}-`));
    return [...own, ...(existsSync(this.runDirectory) ? readdirSync(this.runDirectory) : [])];
  }

  dispose(): void {
    this.run("down", "--all");
    rmSync(this.folder, { recursive: true, force: true });
  }
}
