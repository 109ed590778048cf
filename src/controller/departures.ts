/**
 * Virtual machines that are configured no longer, until nothing of them is in the fast path.
 *
 * Pure, but for the promises of those who wait.
 * Invariant: a virtual machine is forgotten only when it has no flow left, so that every end is counted.
 */
import { SLOT_FREE } from "../fast-path/driver.ts";
import type { HostCore } from "./host-core.ts";
import type { VmState } from "./vm-state.ts";

/** Follows those that leave. */
export class Departures {
  readonly #leaving = new Map<VmState, HostCore>();
  #waiters: (() => void)[] = [];

  /** Returns `TENANT/NAME` and flows of each that is not gone yet. */
  list(): readonly { readonly vmKey: string; readonly flows: number }[] {
    return [...this.#leaving.keys()].map(({ vm, flowCount }) => ({
      vmKey: vm.key,
      flows: flowCount,
    }));
  }

  /** Whether `settle` would forget one. */
  get isReady(): boolean {
    for (const { flowCount } of this.#leaving.keys()) if (flowCount === 0) return true;
    return false;
  }

  add(core: HostCore, state: VmState): void {
    this.#leaving.set(state, core);
  }

  /** It is configured again. */
  cancel(state: VmState): void {
    this.#leaving.delete(state);
  }

  /** Forgets those without flows; returns the keys that are gone now. */
  settle(): readonly string[] {
    const gone: string[] = [];
    for (const [state, core] of this.#leaving) {
      if (state.flowCount > 0) continue;
      this.#leaving.delete(state);
      core.vms.delete(state.vm.key);
      const { slot } = state.vm;
      core.emit({ kind: "set-slot", slot, generation: SLOT_FREE, leaseMs: 0 });
      gone.push(state.vm.key);
    }
    if (this.#leaving.size === 0) {
      for (const waiter of this.#waiters.splice(0)) waiter();
    }
    return gone;
  }

  /** Resolves when all are gone, or after `timeoutMs`. */
  async wait(timeoutMs: number): Promise<void> {
    if (this.#leaving.size === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs);
      this.#waiters.push(resolve);
    });
    clearTimeout(timer);
  }
}
