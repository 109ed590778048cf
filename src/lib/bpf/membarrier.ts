/**
 * Waits until everything that the kernel does under RCU now has ended: BPF programs, packets between two hooks.
 *
 * Effect: membarrier(MEMBARRIER_CMD_GLOBAL), which is synchronize_rcu() in the kernel, on a thread of koffi's pool;
 * it blocks for a grace period (8 ms at the median), so callers pay it once for a batch.
 * Where the kernel does not offer it (hosts with nohz_full, sandboxes, other machines), a fixed time takes its
 * place: what is waited for runs in softirq context, which is left within a time slice.
 * Source: membarrier(2); kernel/sched/membarrier.c (the query leaves GLOBAL out with nohz_full).
 */
import { setTimeout as sleep } from "node:timers/promises";
import koffi from "koffi";

const SYSTEM_CALL_NUMBERS: Readonly<Record<string, number>> = { x64: 324, arm64: 283 };
const MEMBARRIER_CMD_QUERY = 0;
const MEMBARRIER_CMD_GLOBAL = 1;
/** Ten times the longest grace period that was seen on a loaded machine; no softirq lasts nearly so long. */
export const BOUNDED_WAIT_MS = 200;

/** What is asked of the kernel. */
export interface GraceKernel {
  /** Returns a bit for each command that it has, or a negative number. */
  query(): number;
  /** Resolves to a negative number when it refused. */
  waitGlobal(): Promise<number>;
  sleep(ms: number): Promise<unknown>;
}

/** Returns a function that resolves after a grace period, or after BOUNDED_WAIT_MS where there is none to be had. */
export function makeGraceWait(kernel: GraceKernel): () => Promise<void> {
  let isOffered: boolean | undefined;
  return async () => {
    if (isOffered === undefined) {
      const commands = kernel.query();
      isOffered = commands > 0 && (commands & MEMBARRIER_CMD_GLOBAL) !== 0;
    }
    if (isOffered && (await kernel.waitGlobal()) >= 0) return;
    isOffered = false;
    await kernel.sleep(BOUNDED_WAIT_MS);
  };
}

const libc = koffi.load(null);
const systemCall = libc.func("long syscall(long number, long command, long flags, long cpu)");
const callNumber = SYSTEM_CALL_NUMBERS[process.arch];

/** Resolves after the grace period. */
export const waitForGracePeriod: () => Promise<void> = makeGraceWait({
  query: () =>
    callNumber === undefined ? -1 : Number(systemCall(callNumber, MEMBARRIER_CMD_QUERY, 0, 0)),
  waitGlobal: () =>
    new Promise((resolve, reject) => {
      const take = (error: Error | null, result: number | bigint): void => {
        if (error !== null) reject(error);
        else resolve(Number(result));
      };
      systemCall.async(callNumber ?? -1, MEMBARRIER_CMD_GLOBAL, 0, 0, take);
    }),
  sleep,
});
