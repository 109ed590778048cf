/**
 * Processor time of processes, and of the packets that the kernel carries. Effect: reads /proc.
 *
 * Source: proc(5), /proc/PID/stat (utime, stime) and /proc/stat; ticks of USER_HZ, which is 100 on Linux.
 */
import { readFileSync } from "node:fs";

const TICKS_PER_SEC = 100;
const UTIME_FIELD = 11;
const STIME_FIELD = 12;
const SOFTIRQ_FIELD = 6;

/** Returns the processor seconds that a process has used, all of its threads; 0 when it is gone. */
export function readProcessSec(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may hold anything; fields are counted behind it.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[UTIME_FIELD]) + Number(fields[STIME_FIELD])) / TICKS_PER_SEC;
  } catch {
    return 0;
  }
}

/** Returns the seconds that the machine's processors have spent on the network since it started. */
export function readSoftInterruptSec(): number {
  return softInterruptTicksOf(readFileSync("/proc/stat", "utf8")) / TICKS_PER_SEC;
}

/** Returns the softirq ticks of the first line: packets on their way are carried there. Pure. */
export function softInterruptTicksOf(stat: string): number {
  const ticks = (stat.split("\n")[0] ?? "").trim().split(/\s+/).slice(1).map(Number);
  return ticks[SOFTIRQ_FIELD] ?? 0;
}
