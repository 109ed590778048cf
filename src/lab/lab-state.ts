/**
 * The file by which others know a lab: who supervises it, and what is to be removed when that one is gone.
 *
 * Effect: reads and atomically writes state.json below the run directory.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { FlowliftError } from "../lib/base/errors.ts";
import type { LabState } from "./description.ts";
import { type LabLayout, layoutLab } from "./layout.ts";
import { isAlive } from "./process-record.ts";

/** Returns the running kernel's boot id. */
export function readBootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** Makes the lab's directory with its first state, as one step. Throws LAB_FAILED when it exists. */
export function claimLab(layout: LabLayout, state: LabState): void {
  mkdirSync(layout.labsDirectory, { recursive: true, mode: 0o755 });
  const draft = `${layout.labDirectory}.${process.pid}`;
  mkdirSync(draft, { mode: 0o755 });
  writeFileSync(`${draft}/state.json`, JSON.stringify(state), { mode: 0o600 });
  try {
    renameSync(draft, layout.labDirectory); // Fails when the target is a directory with content.
  } catch {
    rmSync(draft, { recursive: true, force: true });
    throw labExists(state.name);
  }
}

/** Throws LAB_FAILED when a lab of this name runs; a dead one is removed by the next start. */
export function assertLabAbsent(layout: LabLayout, name: string): void {
  const state = readLabState(layout);
  if (state !== undefined && isSupervised(state)) throw labExists(name);
}

function labExists(name: string): FlowliftError {
  const text = `A lab "${name}" runs already; \`flowlift lab down --name ${name}\` ends it`;
  return new FlowliftError("LAB_FAILED", text);
}

/** Replaces the state. */
export function writeLabState(layout: LabLayout, state: LabState): void {
  const draft = `${layout.stateFile}.draft`;
  writeFileSync(draft, JSON.stringify(state, null, 1), { mode: 0o600 });
  renameSync(draft, layout.stateFile);
}

/** Returns the state, or undefined when there is no such lab or its file is unreadable. */
export function readLabState(layout: LabLayout): LabState | undefined {
  try {
    const state = JSON.parse(readFileSync(layout.stateFile, "utf8")) as LabState;
    return state.version === 1 ? state : undefined;
  } catch {
    return undefined;
  }
}

/** Returns the names of all labs below the run directory, alive or not. */
export function listLabs(runDirectory: string): string[] {
  const { labsDirectory } = layoutLab(runDirectory, "any");
  if (!existsSync(labsDirectory)) return [];
  return readdirSync(labsDirectory)
    .filter((name) => !name.includes("."))
    .sort();
}

/** Returns whether the lab's supervisor lives. */
export function isSupervised(state: LabState): boolean {
  return state.bootId === readBootId() && isAlive(state.supervisor);
}
