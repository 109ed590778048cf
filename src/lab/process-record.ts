/**
 * Names a process so that its number cannot be taken for another's: pid and start time.
 *
 * Effect: reads /proc, sends signals.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

export interface ProcessRecord {
  readonly pid: number;
  /** In clock ticks since boot, as text. */
  readonly startTime: string;
}

/** How often the end of a process is looked for. */
const POLL_MS = 20;

/** Returns the record of a living process, or undefined; a zombie does not live. */
export function recordProcess(pid: number): ProcessRecord | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may hold anything; fields are counted behind it.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state, startTime] = [fields[0], fields[19]];
    return state === "Z" || state === "X" || startTime === undefined
      ? undefined
      : { pid, startTime };
  } catch {
    return undefined;
  }
}

/** Returns whether the recorded process still lives. */
export function isAlive(record: ProcessRecord): boolean {
  return recordProcess(record.pid)?.startTime === record.startTime;
}

/** Sends a signal if the recorded process still lives. */
export function signalProcess(record: ProcessRecord, signal: NodeJS.Signals): void {
  if (!isAlive(record)) return;
  try {
    process.kill(record.pid, signal);
  } catch {
    // It ended in between.
  }
}

/** Waits until all of them are gone; returns those that are not when the time is over. */
export async function waitForEnd(
  records: readonly ProcessRecord[],
  timeoutMs: number,
): Promise<readonly ProcessRecord[]> {
  const deadline = performance.now() + timeoutMs;
  let left = records.filter(isAlive);
  while (left.length > 0 && performance.now() < deadline) {
    await sleep(POLL_MS);
    left = left.filter(isAlive);
  }
  return left;
}
