/**
 * What a new configuration means for one host: virtual machines that come, change and leave.
 *
 * Pure: what is to be done comes out of the core as effects.
 * Invariant: a virtual machine whose entitlements are the same is not looked at, nor are its flows.
 */
import { isStillEntitled } from "./adopt.ts";
import type { Departures } from "./departures.ts";
import type { HostCore } from "./host-core.ts";
import type { ControllerModel, VirtualMachine } from "./model.ts";
import { VmState } from "./vm-state.ts";

export interface ModelChange {
  readonly model: ControllerModel;
  readonly nowMs: number;
  /** The first sequence number of a virtual machine that nothing is known of. */
  readonly firstSequence: () => bigint;
  readonly departures: Departures;
  /** Ends the session of one that leaves. */
  readonly endSession: (vmKey: string) => void;
}

/** Takes over the configuration for the host `name`. */
export function changeHost(core: HostCore, name: string, change: ModelChange): void {
  const { model, nowMs, departures } = change;
  core.leaseMs = model.leaseMs;
  for (const [vmKey, state] of core.vms) {
    const vm = model.vms.get(vmKey);
    if (vm === undefined || vm.host !== name) removeVm(core, state, change);
    else {
      departures.cancel(state);
      updateVm(core, state, vm, nowMs);
    }
  }
  for (const vm of model.vms.values()) {
    if (vm.host !== name || core.vms.has(vm.key)) continue;
    core.vms.set(vm.key, new VmState(vm, change.firstSequence(), nowMs));
  }
}

/** One write stops all of its flows; then they are withdrawn. */
function removeVm(core: HostCore, state: VmState, change: ModelChange): void {
  const { key, slot } = state.vm;
  change.endSession(key);
  state.generation++;
  state.hasRenewed = false;
  state.leaseEndsMs = 0;
  core.emit({ kind: "set-slot", slot, generation: state.generation, leaseMs: 0 });
  core.withdrawAll(key, "not-entitled-any-more", change.nowMs);
  change.departures.add(core, state);
}

function updateVm(core: HostCore, state: VmState, vm: VirtualMachine, nowMs: number): void {
  const isSame = state.vm.fingerprint === vm.fingerprint;
  state.configure(vm);
  if (isSame) return;
  for (const record of [...core.table.ofVm(vm.key).values()]) {
    if (isStillEntitled(core, record, vm)) continue;
    core.withdraw(record, "not-entitled-any-more", nowMs);
  }
}
