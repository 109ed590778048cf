/** The controller's operational data (config false of flowlift-controller), as RFC 7951 data. Pure. */
import type { ConfigData } from "../lib/service/provider.ts";
import type { Controller } from "./controller.ts";
import type { PlacementBoard } from "./placement-board.ts";
import type { VmState } from "./vm-state.ts";

/** Returns the state of every configured virtual machine. */
export function describeState(
  controller: Controller,
  board: PlacementBoard,
  nowMs: number,
): ConfigData {
  const byTenant = new Map<string, Record<string, unknown>[]>();
  for (const { core } of controller.listHosts()) {
    for (const state of core.vms.values()) {
      const { vm } = state;
      if (controller.model.vms.get(vm.key)?.host !== vm.host) continue; // It leaves.
      const list = byTenant.get(vm.tenant) ?? [];
      byTenant.set(vm.tenant, list);
      const problem = board.problemOf(vm.host, vm.tenant, vm.name);
      list.push({ name: vm.name, state: describeVm(state, problem, nowMs) });
    }
  }
  const tenant = [...byTenant].map(([name, list]) => ({ name, "virtual-machine": list }));
  return tenant.length === 0 ? {} : { "flowlift-controller:controller": { tenant } };
}

function describeVm(
  { isConnected, counts, leaseEndsMs, events, refusals }: VmState,
  problem: string | undefined,
  nowMs: number,
): Record<string, unknown> {
  return {
    connected: isConnected,
    "pending-flows": counts.queued + counts.installing,
    "active-flows": counts.active,
    "quiescing-flows": counts.quiescing,
    "lease-left": Math.max(0, Math.round(leaseEndsMs - nowMs)),
    "unacknowledged-events": events.unackedCount,
    ...(problem === undefined ? {} : { "offload-port-problem": problem }),
    refusal: [...refusals].map(([reason, flows]) => ({ reason, flows: String(flows) })),
  };
}
