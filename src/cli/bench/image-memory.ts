/** How much of its memory a VM uses, as its balloon tells its host. Effect: QMP. */
import type { LabMachine } from "../../lab/vm/lab-machine.ts";
import { FlowliftError } from "../../lib/base/errors.ts";

const BALLOON = "/machine/peripheral/balloon";
const POLL_SEC = 1;
const TRIES_MAX = 20;
/** What the guest has not told is -1, as 64 bits without a sign. */
const UNKNOWN_AT_LEAST = 2 ** 63;

/** Returns megabytes that are neither free nor given back on request. */
export async function readGuestMemory(machine: LabMachine): Promise<number> {
  await machine.command("qom-set", {
    ...{ path: BALLOON, property: "guest-stats-polling-interval", value: POLL_SEC },
  });
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    await new Promise((resolve) => setTimeout(resolve, POLL_SEC * 500));
    const answer = (await machine.command("qom-get", {
      ...{ path: BALLOON, property: "guest-stats" },
    })) as { readonly "last-update": number; readonly stats: Readonly<Record<string, number>> };
    const available = answer.stats["stat-available-memory"] ?? UNKNOWN_AT_LEAST;
    if (answer["last-update"] > 0 && available >= 0 && available < UNKNOWN_AT_LEAST) {
      return (machine.spec.memoryMib * 1024 * 1024 - available) / 1e6;
    }
  }
  throw new FlowliftError("LAB_FAILED", `VM "${machine.spec.name}" does not tell its memory`);
}
