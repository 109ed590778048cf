/**
 * Waits until every BPF program that runs now has ended: membarrier(MEMBARRIER_CMD_GLOBAL).
 *
 * Effect: one system call on a thread of koffi's pool; it blocks for an RCU grace period (8 ms at the median),
 * so callers pay it once for a batch. Source: membarrier(2); it is synchronize_rcu() in the kernel.
 */
import koffi from "koffi";
import { FlowliftError } from "../base/errors.ts";
import { BpfError } from "./libbpf.ts";

const SYSTEM_CALL_NUMBERS: Readonly<Record<string, number>> = { x64: 324, arm64: 283 };
const MEMBARRIER_CMD_GLOBAL = 1;

const libc = koffi.load(null);
const systemCall = libc.func("long syscall(long number, long command, long flags, long cpu)");

/** Resolves after the grace period. */
export function waitForGracePeriod(): Promise<void> {
  const number = SYSTEM_CALL_NUMBERS[process.arch];
  if (number === undefined) {
    const text = `There is no membarrier number for "${process.arch}"`;
    return Promise.reject(new FlowliftError("ENVIRONMENT_LACKS", text));
  }
  return new Promise((resolve, reject) => {
    systemCall.async(
      number,
      MEMBARRIER_CMD_GLOBAL,
      0,
      0,
      (error: Error | null, result: number | bigint) => {
        if (error !== null) reject(error);
        else if (Number(result) < 0) reject(new BpfError("wait for a grace period", 0));
        else resolve();
      },
    );
  });
}
