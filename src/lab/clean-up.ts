/**
 * Removes everything that a lab made, from its state file alone, whether its supervisor lives or not.
 *
 * Effect: ends processes, removes namespaces and files. Processes are found by their record (pid and
 * start time) or because they live in a namespace of the lab; never by name.
 */
import { existsSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Log } from "../lib/base/log.ts";
import { CONNTRACK_MAX_FILE, restoreConntrackLimit } from "./conntrack-limit.ts";
import type { LabState } from "./description.ts";
import { isSupervised, listLabs, readBootId, readLabState } from "./lab-state.ts";
import { type LabLayout, layoutLab, supervisorLogFile } from "./layout.ts";
import { destroyNamespaces, listNamespacePids, releaseNetnsDirectory } from "./namespaces.ts";
import { type ProcessRecord, recordProcess, signalProcess, waitForEnd } from "./process-record.ts";

/** How long a supervisor may take to stop its lab in order. */
export const DOWN_TIMEOUT_MS = 20_000;
const KILL_TIMEOUT_MS = 3_000;
/** Processes may start others while we look; each round finds the rest. */
const KILL_ROUNDS_MAX = 5;

/** Ends what still runs in the lab and removes its namespaces, mounts, files and its share of the limit. */
export async function removeLab(layout: LabLayout, state: LabState | undefined): Promise<void> {
  if (state !== undefined && state.bootId === readBootId()) {
    await killLeftovers(state);
    await destroyNamespaces(state.namespaces);
    if (!state.netnsDirectoryWasMounted) await releaseNetnsDirectory();
    restoreConntrackLimit(
      { runDirectory: layout.runDirectory, limitFile: CONNTRACK_MAX_FILE },
      state.name,
    );
  }
  rmSync(layout.labDirectory, { recursive: true, force: true });
  rmSync(layout.spaceDirectory, { recursive: true, force: true });
  rmSync(supervisorLogFile(layout.runDirectory, basename(layout.labDirectory)), { force: true });
  removeEmptyDirectories(layout);
}

function removeEmptyDirectories(layout: LabLayout): void {
  const shared = [dirname(layout.spaceDirectory), layout.labsDirectory, layout.runDirectory];
  for (const directory of shared) {
    try {
      rmdirSync(directory);
    } catch {
      // Other labs live there.
    }
  }
}

async function killLeftovers(state: LabState): Promise<void> {
  const recorded = [
    ...state.processes.flatMap((entry) => (entry.record === undefined ? [] : [entry.record])),
    ...state.holders,
  ];
  for (let round = 0; round < KILL_ROUNDS_MAX; round++) {
    const inside = listNamespacePids(state.namespaces)
      .filter((pid) => pid !== process.pid)
      .map(recordProcess)
      .filter((record) => record !== undefined);
    const victims: ProcessRecord[] = round === 0 ? [...recorded, ...inside] : inside;
    if (victims.length === 0) return;
    for (const victim of victims) signalProcess(victim, "SIGKILL");
    await waitForEnd(victims, KILL_TIMEOUT_MS);
  }
}

/** A draft is a lab that was killed before it had its name: `NAME.PID`. */
function removeDeadDrafts(runDirectory: string): void {
  const { labsDirectory } = layoutLab(runDirectory, "any");
  const entries = existsSync(labsDirectory) ? readdirSync(labsDirectory) : [];
  for (const entry of entries) {
    const pid = /\.(\d+)$/.exec(entry)?.[1];
    if (pid === undefined || recordProcess(Number(pid)) !== undefined) continue;
    rmSync(join(labsDirectory, entry), { recursive: true, force: true });
  }
}

/** Removes every lab whose supervisor is gone; returns their names. */
export async function removeDeadLabs(runDirectory: string, log: Log): Promise<string[]> {
  const removed: string[] = [];
  removeDeadDrafts(runDirectory);
  for (const name of listLabs(runDirectory)) {
    const layout = layoutLab(runDirectory, name);
    const state = readLabState(layout);
    if (state !== undefined && isSupervised(state)) continue;
    log.warn("removing what a killed lab left", { lab: name });
    await removeLab(layout, state);
    removed.push(name);
  }
  return removed;
}

/** Ends a lab: asks its supervisor, and removes whatever is left. Returns false when there is none. */
export async function endLab(runDirectory: string, name: string): Promise<boolean> {
  const layout = layoutLab(runDirectory, name);
  if (!listLabs(runDirectory).includes(name)) return false;
  const state = readLabState(layout);
  if (state !== undefined && isSupervised(state)) {
    signalProcess(state.supervisor, "SIGTERM");
    const stubborn = await waitForEndOrRemoval(state.supervisor, runDirectory, name);
    if (stubborn) {
      signalProcess(state.supervisor, "SIGKILL");
      await waitForEnd([state.supervisor], KILL_TIMEOUT_MS);
    }
  }
  if (listLabs(runDirectory).includes(name)) await removeLab(layout, readLabState(layout) ?? state);
  return true;
}

/** The supervisor may do other things after its lab; only the lab has to be gone. */
async function waitForEndOrRemoval(
  supervisor: ProcessRecord,
  runDirectory: string,
  name: string,
): Promise<boolean> {
  const deadline = performance.now() + DOWN_TIMEOUT_MS;
  while (performance.now() < deadline) {
    const left = await waitForEnd([supervisor], 100);
    if (left.length === 0 || !listLabs(runDirectory).includes(name)) return false;
  }
  return true;
}
