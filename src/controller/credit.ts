/** How many more flows a virtual machine may request now. Pure. */
import { EVENTS_PER_FLOW_MAX, EVENTS_UNACKED_MAX } from "./event-log.ts";
import { type HostCore, INSTALL_QUEUE_MAX } from "./host-core.ts";
import type { VmState } from "./vm-state.ts";

/** Returns the least of what quota, table, driver's queue and event log still take. */
export function creditOf(core: HostCore, state: VmState): number {
  const events = EVENTS_UNACKED_MAX - state.events.unackedCount - state.owedEvents;
  const rooms = [
    state.vm.quota.flowsMax - state.flowCount,
    core.capabilities.flowsMax - core.table.count,
    INSTALL_QUEUE_MAX - core.installsWaiting,
    Math.floor(events / EVENTS_PER_FLOW_MAX),
  ];
  return Math.max(0, Math.min(...rooms));
}
