/**
 * Which serial ports the bridge of each host shall open, told to whoever watches.
 *
 * Pure. Limit: WATCHERS_MAX for each host; PLACEMENTS_MAX ports of a host (checked with the model).
 */
import type { Placement, PlacementProblem } from "../offload-protocol/placements.ts";
import type { ControllerModel } from "./model.ts";

/** A bridge that was restarted may still have its old call. */
export const WATCHERS_MAX = 8;

type Watcher = (placements: readonly Placement[]) => void;

/** The placements of all hosts. */
export class PlacementBoard {
  readonly #watchers = new Map<string, Set<Watcher>>();
  readonly #problems = new Map<string, readonly PlacementProblem[]>();
  #byHost = new Map<string, readonly Placement[]>();
  #texts = new Map<string, string>();

  /** Takes over a configuration; tells the watchers of the hosts that it changes. */
  publish(model: ControllerModel): void {
    const before = this.#texts;
    this.#byHost = new Map();
    this.#texts = new Map();
    for (const vm of model.vms.values()) {
      if (vm.offloadPort === undefined) continue;
      const { tenant, name, host, offloadPort } = vm;
      const list = [...(this.#byHost.get(host) ?? []), { tenant, vm: name, ...offloadPort }];
      this.#byHost.set(host, list);
    }
    for (const [host, list] of this.#byHost) this.#texts.set(host, JSON.stringify(list));
    for (const host of new Set([...before.keys(), ...this.#texts.keys()])) {
      if (before.get(host) === this.#texts.get(host)) continue;
      for (const watcher of this.#watchers.get(host) ?? []) watcher(this.list(host));
    }
  }

  list(host: string): readonly Placement[] {
    return this.#byHost.get(host) ?? [];
  }

  /** Adds a watcher, which is told at once; returns how it leaves, or undefined when there are too many. */
  watch(host: string, watcher: Watcher): (() => void) | undefined {
    const watchers = this.#watchers.get(host) ?? new Set();
    if (watchers.size >= WATCHERS_MAX) return undefined;
    this.#watchers.set(host, watchers.add(watcher));
    watcher(this.list(host));
    return () => {
      watchers.delete(watcher);
      if (watchers.size > 0) return;
      this.#watchers.delete(host);
      this.#problems.delete(host);
    };
  }

  /** Notes what a host's bridge could not open. */
  report(host: string, problems: readonly PlacementProblem[]): void {
    this.#problems.set(host, problems);
  }

  /** Returns why the bridge does not open a port, if it says so. */
  problemOf(host: string, tenant: string, vm: string): string | undefined {
    const found = this.#problems.get(host)?.find((one) => one.tenant === tenant && one.vm === vm);
    return found?.problem;
  }
}
