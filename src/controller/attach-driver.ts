/**
 * Makes a host's core and a fast path that was just connected agree.
 *
 * Effect: calls the driver. Nothing new is programmed and no lease renewed before both agree.
 */
import { type FastPathDriver, SLOT_FREE } from "../fast-path/driver.ts";
import type { Clock } from "../lib/base/clock.ts";
import type { Log } from "../lib/base/log.ts";
import type { HostCore } from "./host-core.ts";
import type { Host } from "./model.ts";

export interface AttachContext {
  readonly core: HostCore;
  readonly clock: Clock;
  readonly log: Log;
}

/** Returns the ports and vNICs of a host as the driver is told them. */
export function topologyOf(host: Host): Parameters<FastPathDriver["configure"]>[0] {
  return {
    ports: host.ports.map(({ portId, interfaceName, segment, isVmPort }) => ({
      portId,
      interfaceName,
      segmentId: segment.id,
      isVmPort,
    })),
    vnics: host.vms.flatMap((vm) =>
      [...vm.vnics.values()].map(({ mac, segment }) => ({
        segmentId: segment.id,
        mac,
        vmSlot: vm.slot,
      })),
    ),
  };
}

/** Configures the driver, reads what it holds, and removes what belongs to nobody. */
export async function attachDriver(
  driver: FastPathDriver,
  host: Host,
  { core, clock, log }: AttachContext,
): Promise<void> {
  core.capabilities = await driver.capabilities();
  await driver.configure(topologyOf(host));
  const neighbours = await driver.listNeighbours();
  core.withdrawThrough(core.locations.relearn(neighbours), clock.nowMs());
  const held = await driver.readCounters("all");
  const orphans = core.reconcile(new Set(held.map(({ handle }) => handle)), clock.nowMs());
  core.takeCounters(held, clock.nowMs());
  if (orphans.length > 0) {
    log.warn("removing flows that belong to nobody", { flows: orphans.length });
    await driver.withdraw(orphans);
  }
  await freeSlots(driver, core);
  for (const state of core.vms.values()) {
    // A lease that this process never renewed is left to run out by itself.
    if (!state.hasRenewed) continue;
    const leftMs = Math.max(0, Math.ceil(state.leaseEndsMs - clock.nowMs()));
    await driver.setSlot(state.vm.slot, state.generation, leftMs);
  }
}

/** What was counted for virtual machines that left while nobody could say so. */
async function freeSlots(driver: FastPathDriver, core: HostCore): Promise<void> {
  const used = new Set([...core.vms.values()].map(({ vm }) => vm.slot));
  for (const { vmSlot } of (await driver.totals()).slots) {
    if (!used.has(vmSlot)) await driver.setSlot(vmSlot, SLOT_FREE, 0);
  }
}

/** Withdraws flows that the driver holds and the core does not know. */
export async function removeOrphans(
  driver: FastPathDriver,
  { core, log }: AttachContext,
): Promise<void> {
  const held = await driver.readCounters("all");
  const orphans = held.filter(({ handle }) => core.table.get(handle) === undefined);
  if (orphans.length === 0) return;
  log.warn("removing flows that belong to nobody", { flows: orphans.length });
  await driver.withdraw(orphans.map(({ handle }) => handle));
}
