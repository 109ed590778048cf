/**
 * Frees the numbers of segments, ports and virtual machines that are configured no longer.
 *
 * Pure. Invariant: a number is freed only while nothing that carries it is, or may be, in a fast path: the
 * host's driver is connected and in agreement, and no flow of its table names the number.
 */
import type { HostCore } from "./host-core.ts";
import type { IdKind, IdRegistry } from "./id-registry.ts";
import type { ControllerModel } from "./model.ts";

/** A host as far as it matters here. */
export interface ReclaimHost {
  readonly name: string;
  readonly core: HostCore;
  /** Whether driver and core agree. */
  readonly isConnected: boolean;
}

interface NumbersInUse {
  readonly segments: Set<number>;
  readonly ports: Set<number>;
  readonly slots: Set<number>;
}

/** Forgets every name that nothing needs; returns how many. */
export function reclaimIds(
  ids: IdRegistry,
  model: ControllerModel,
  hosts: readonly ReclaimHost[],
): number {
  const before = countNames(ids);
  const keep = namesOf(model);
  if (!hasStale(ids, keep)) return 0;
  const used = new Map(hosts.map((host) => [host.name, numbersOf(host.core)]));
  const isEveryConnected = hosts.every(({ isConnected }) => isConnected);
  const allSegments = new Set([...used.values()].flatMap(({ segments }) => [...segments]));
  for (const kind of ids.kinds()) {
    const [what, hostName = ""] = kind.split(" ");
    const host = hosts.find(({ name }) => name === hostName);
    const isSettled = what === "segment" ? isEveryConnected : (host?.isConnected ?? true);
    if (!isSettled) continue;
    const ofHost = used.get(hostName);
    const numbers =
      what === "segment" ? allSegments : what === "port" ? ofHost?.ports : ofHost?.slots;
    const inUse = [...ids.list(kind)].filter(([, id]) => numbers?.has(id)).map(([name]) => name);
    ids.forget(kind, new Set([...(keep.get(kind) ?? []), ...inUse]));
  }
  return before - countNames(ids);
}

function countNames(ids: IdRegistry): number {
  return ids.kinds().reduce((sum, kind) => sum + ids.list(kind).size, 0);
}

function hasStale(ids: IdRegistry, keep: ReadonlyMap<IdKind, ReadonlySet<string>>): boolean {
  return ids
    .kinds()
    .some((kind) => [...ids.list(kind).keys()].some((name) => keep.get(kind)?.has(name) !== true));
}

function namesOf(model: ControllerModel): Map<IdKind, Set<string>> {
  const keep = new Map<IdKind, Set<string>>([["segment", new Set(model.segmentKeys)]]);
  for (const host of model.hosts.values()) {
    const ports = host.ports.map(({ interfaceName }) => interfaceName);
    keep.set(`port ${host.name}`, new Set(ports));
    keep.set(`vm ${host.name}`, new Set(host.vms.map(({ key }) => key)));
  }
  return keep;
}

function numbersOf({ table, vms }: HostCore): NumbersInUse {
  const numbers: NumbersInUse = {
    segments: new Set(),
    ports: new Set(),
    slots: new Set([...vms.values()].map(({ vm }) => vm.slot)),
  };
  for (const { fast, egressSegmentIds } of table.list()) {
    numbers.slots.add(fast.vmSlot);
    for (const id of egressSegmentIds) if (id !== undefined) numbers.segments.add(id);
    for (const direction of [fast.original, fast.reply]) {
      if (direction === undefined) continue;
      numbers.segments.add(direction.segmentId);
      numbers.ports.add(direction.egressPortId);
    }
  }
  return numbers;
}
