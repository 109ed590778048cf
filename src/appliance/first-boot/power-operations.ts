/**
 * Restart and shutdown of the VM, as the helper offers them there.
 *
 * Effect: asks the VM's init, which ends the processes in order.
 * Invariant: the answer is under way before: POWER_DELAY_MS passes first (RFC 7317: the client gets a reply).
 */
import { execFile } from "node:child_process";
import type { LocalRpcHandlers } from "../../lib/base/local-rpc.ts";
import type { Log } from "../../lib/base/log.ts";

const POWER_DELAY_MS = 500;
const PROGRAMS = { restart: "/usr/bin/reboot", "power-off": "/usr/bin/poweroff" } as const;

export type PowerOperation = keyof typeof PROGRAMS;

/** `execute` runs a program without arguments. */
export function makePowerOperations(
  log: Log,
  execute: (program: string) => void = (program) => {
    execFile(program, (error) => {
      if (error !== null) log.error("The VM's init was not reached", { reason: error.message });
    });
  },
): LocalRpcHandlers {
  const ask = (operation: PowerOperation): Readonly<Record<string, never>> => {
    log.warn("The VM goes down, as asked over NETCONF or RESTCONF", { operation });
    setTimeout(() => execute(PROGRAMS[operation]), POWER_DELAY_MS);
    return {};
  };
  return { restart: () => ask("restart"), "power-off": () => ask("power-off") };
}
