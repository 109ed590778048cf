/** What is left of virtual machines and names that the configuration no longer has. */
import { expect, test } from "vitest";
import { Departures } from "../../src/controller/departures.ts";
import { HostCore } from "../../src/controller/host-core.ts";
import { IdRegistry } from "../../src/controller/id-registry.ts";
import { ControllerMetrics } from "../../src/controller/metrics.ts";
import {
  type ControllerModel,
  parseModel,
  type VirtualMachine,
} from "../../src/controller/model.ts";
import { changeHost } from "../../src/controller/model-change.ts";
import { PlacementBoard, WATCHERS_MAX } from "../../src/controller/placement-board.ts";
import { reclaimIds } from "../../src/controller/reclaim-ids.ts";
import { parseControllerSettings } from "../../src/controller/settings.ts";
import { VmState } from "../../src/controller/vm-state.ts";
import { SLOT_FREE } from "../../src/fast-path/driver.ts";
import { VMS_MAX } from "../../src/offload-bridge/settings.ts";
import { PLACEMENTS_MAX } from "../../src/offload-protocol/placements.ts";
import { exampleConfig } from "./world.ts";

const ROOT = "flowlift-controller:controller";
const CAPABILITIES = { name: "t", flowsMax: 9, families: [4], protocols: [6] } as never;

type Data = Record<string, never>;

/** The example, changed. */
function modelOf(ids: IdRegistry, change: (root: Data) => void = () => {}): ControllerModel {
  const config = structuredClone(exampleConfig()) as Record<string, Data>;
  const root = config[ROOT] ?? ({} as Data);
  change(root);
  const model = parseModel({ [ROOT]: root }, ids);
  if (!model.ok) throw new Error(model.error.message);
  return model.value;
}

function withoutTenant(name: string): (root: Data) => void {
  return (root) => {
    const lists = root as unknown as Record<string, { name: string; port: { tenant: string }[] }[]>;
    lists["tenant"] = (lists["tenant"] ?? []).filter((tenant) => tenant.name !== name);
    for (const host of lists["host"] ?? []) {
      host.port = host.port.filter((port) => port.tenant !== name);
    }
  };
}

function coreOf(model: ControllerModel, host: string): HostCore {
  const core = new HostCore(CAPABILITIES, 1000);
  for (const vm of model.vms.values()) {
    if (vm.host === host) core.vms.set(vm.key, new VmState(vm, 1n, 0));
  }
  return core;
}

const [FIRST] = [...modelOf(new IdRegistry()).vms.values()];
if (FIRST === undefined) throw new Error("the example has a virtual machine");
const HOST: string = FIRST.host;
const TENANT: string = FIRST.tenant;

function change(core: HostCore, model: ControllerModel, departures: Departures): string[] {
  const ended: string[] = [];
  const endSession = (vmKey: string): void => void ended.push(vmKey);
  changeHost(core, HOST, { model, nowMs: 1, firstSequence: () => 1n, departures, endSession });
  return ended;
}

test("a VM without flows is gone at once: its session ends, its slot is freed", () => {
  const ids = new IdRegistry();
  const core = coreOf(modelOf(ids), HOST);
  const departures = new Departures();
  const ended = change(core, modelOf(ids, withoutTenant(TENANT)), departures);
  expect(ended.every((vmKey) => vmKey.startsWith(`${TENANT}/`))).toBe(true);
  expect(departures.isReady).toBe(true);
  expect([...departures.settle()].toSorted()).toEqual(ended.toSorted());
  expect([...core.vms.keys()].some((key) => key.startsWith(`${TENANT}/`))).toBe(false);
  const freed = core.takeEffects().filter((effect) => effect.kind === "set-slot");
  expect(freed.map(({ generation }) => generation)).toContain(SLOT_FREE);
});

test("a VM with flows stays until the last of them is gone; configured again, it stays for good", async () => {
  const ids = new IdRegistry();
  const core = coreOf(modelOf(ids), HOST);
  const departures = new Departures();
  for (const state of core.vms.values()) state.counts.quiescing = 1;
  const gone = change(core, modelOf(ids, withoutTenant(TENANT)), departures);
  expect(departures.settle()).toEqual([]);
  expect(departures.list()).toEqual(gone.map((vmKey) => ({ vmKey, flows: 1 })));
  await departures.wait(1); // The time ends, not the departure.
  change(core, modelOf(ids), departures);
  expect(departures.list()).toEqual([]);
  expect(core.vms.size).toBeGreaterThan(0);
});

test("whoever waits for departures is told when the last one is gone", async () => {
  const ids = new IdRegistry();
  const core = coreOf(modelOf(ids), HOST);
  const departures = new Departures();
  for (const state of core.vms.values()) state.counts.active = 1;
  change(core, modelOf(ids, withoutTenant(TENANT)), departures);
  const waiting = departures.wait(60_000);
  for (const state of core.vms.values()) state.counts.active = 0;
  departures.settle();
  await waiting;
});

test("a VM's fingerprint changes with what it is entitled to, and with nothing else", () => {
  const ids = new IdRegistry();
  const print = (change?: (root: Data) => void): string =>
    (modelOf(ids, change).vms.get(FIRST.key) as VirtualMachine).fingerprint;
  const other = [...modelOf(ids).vms.values()].find(({ tenant }) => tenant !== TENANT);
  expect(print()).toBe(print(withoutTenant(other?.tenant ?? "")));
  const changeFirst = (edit: (tenant: Record<string, Data[]>) => void) => (root: Data) => {
    const tenants = (root as unknown as Record<string, Record<string, Data[]>[]>)["tenant"] ?? [];
    const own = tenants.find((tenant) => (tenant["name"] as unknown) === TENANT);
    if (own !== undefined) edit(own);
  };
  const wider = changeFirst((tenant) => {
    const segment = tenant["segment"]?.[0] as unknown as { prefix: string[] };
    segment.prefix = [...(segment.prefix ?? []), "198.51.100.0/24"];
  });
  expect(print(wider)).not.toBe(print());
  const port = changeFirst((tenant) => {
    const vm = tenant["virtual-machine"]?.[0] as unknown as Record<string, object>;
    vm["offload-port"] = { socket: "/run/x" };
  });
  expect(print(port)).toBe(print());
});

test("numbers are freed when nothing carries them and the host's driver agrees", () => {
  const ids = new IdRegistry();
  const before = modelOf(ids);
  const full = JSON.stringify(ids.toData());
  const model = modelOf(ids, withoutTenant(TENANT));
  const host = { name: HOST, core: coreOf(model, HOST), isConnected: false };
  expect(reclaimIds(ids, model, [host])).toBe(0); // The fast path may still hold entries.
  const leaving = { ...host, core: coreOf(before, HOST), isConnected: true };
  const slots = [...leaving.core.vms.values()].filter(({ vm }) => vm.tenant === TENANT).length;
  const kept = ids.clone();
  reclaimIds(kept, model, [leaving]); // Slots of VMs that are still there are kept.
  expect(kept.list(`vm ${HOST}`).size).toBe(leaving.core.vms.size);
  expect(slots).toBeGreaterThan(0);
  expect(reclaimIds(ids, model, [{ ...host, isConnected: true }])).toBeGreaterThan(slots);
  expect([...ids.list("segment").keys()].some((key) => key.startsWith(`${TENANT}/`))).toBe(false);
  modelOf(ids); // What comes back fits into the numbers that were freed.
  const count = (text: string): number => text.split(":").length;
  expect(count(JSON.stringify(ids.toData()))).toBe(count(full));
});

test("a clone of the numbers does not touch the original", () => {
  const ids = new IdRegistry();
  ids.idOf("segment", "a", 9);
  const copy = ids.clone();
  copy.idOf("segment", "b", 9);
  copy.forget("segment", new Set(["b"]));
  expect([...ids.list("segment")]).toEqual([["a", 1]]);
  expect([...copy.list("segment")]).toEqual([["b", 2]]);
});

test("counters of a VM that is gone are dropped; those of a name that begins alike are not", () => {
  const { refusals } = new ControllerMetrics();
  refusals.add({ tenant: "a", vm: "x", reason: "r" });
  refusals.add({ tenant: "a", vm: "xy", reason: "r" });
  refusals.add({ tenant: "ab", vm: "x", reason: "r" });
  refusals.forget({ tenant: "a", vm: "x" });
  expect(refusals.format("n")).toHaveLength(2);
  refusals.forget({ tenant: "ab" });
  expect(refusals.format("n")).toEqual(['n{tenant="a",vm="xy",reason="r"} 1']);
});

test("a board tells each host its own placements, at once and when they change", () => {
  const ids = new IdRegistry();
  const placedAt = (socket: string): ControllerModel => {
    const model = modelOf(ids);
    const vm = { ...FIRST, offloadPort: { socketPath: socket, mode: "connect" as const } };
    return { ...model, vms: new Map([...model.vms, [vm.key, vm]]) };
  };
  const board = new PlacementBoard();
  const seen: string[] = [];
  const leave = board.watch(HOST, (list) => void seen.push(list.map((p) => p.socketPath).join()));
  let others = 0;
  board.watch("another", () => void others++);
  board.publish(placedAt("/a"));
  board.publish(placedAt("/a")); // Nothing new.
  board.publish(modelOf(ids));
  expect(seen).toEqual(["", "/a", ""]);
  expect(others).toBe(1);
  board.report(HOST, [{ tenant: FIRST.tenant, vm: FIRST.name, problem: "no" }]);
  expect(board.problemOf(HOST, FIRST.tenant, FIRST.name)).toBe("no");
  leave?.();
  expect(board.problemOf(HOST, FIRST.tenant, FIRST.name)).toBeUndefined();
});

test("a host has PLACEMENTS_MAX offload ports, as many as its bridge serves, and not one more", () => {
  expect(PLACEMENTS_MAX).toBe(VMS_MAX);
  const judge = (count: number): boolean => {
    const names = Array.from({ length: count }, (_, index) => `v${index}`);
    const vm = names.map((name, index) => ({
      name,
      host: "h",
      vnic: [
        { mac: `02:00:00:00:${hex(index >> 8)}:${hex(index & 255)}`, segment: "s", port: name },
      ],
      "offload-port": { socket: `/run/${name}` },
    }));
    const port = names.map((name) => ({ interface: name, tenant: "t", segment: "s" }));
    const tenant = [{ name: "t", segment: [{ name: "s" }], "virtual-machine": vm }];
    return parseModel({ [ROOT]: { host: [{ name: "h", port }], tenant } }, new IdRegistry()).ok;
  };
  expect([PLACEMENTS_MAX - 1, PLACEMENTS_MAX, PLACEMENTS_MAX + 1].map(judge)).toEqual([
    true,
    true,
    false,
  ]);
});

function hex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

test("a board has WATCHERS_MAX watchers of a host, and not one more", () => {
  const board = new PlacementBoard();
  const leaves = Array.from({ length: WATCHERS_MAX }, () => board.watch("h", () => {}));
  expect(leaves.every((leave) => leave !== undefined)).toBe(true);
  expect(board.watch("h", () => {})).toBeUndefined();
  leaves[0]?.();
  expect(board.watch("h", () => {})).toBeDefined();
});

test.each([
  [{ listenFd: 4 }, { listenFd: 4 }],
  [{ address: "127.0.0.1:830" }, { host: "127.0.0.1", port: 830 }],
  [{ address: "[::1]:0" }, { host: "::1", port: 0 }],
  [{ address: "127.0.0.1" }, /an address and a port/],
  [{ address: "127.0.0.1:65536" }, /an address and a port/],
  [{}, /"address"/],
  [7, /"netconf"/],
])("the setting netconf %j is %s", (netconf, expected) => {
  const settings = parseControllerSettings(
    JSON.stringify({
      stateDirectory: "/s",
      runDirectory: "/r",
      configFile: "/c",
      grpc: { address: "127.0.0.1:0" },
      pkiDirectory: "/p",
      tokenFile: "/t",
      netconf,
    }),
  );
  if (expected instanceof RegExp) expect(!settings.ok && settings.error.message).toMatch(expected);
  else expect(settings.ok && settings.value.netconf).toEqual(expected);
});
