import { expect, test } from "vitest";
import { formatKubevirt } from "../../src/deploy/kubevirt/manifest.ts";
import { formatChannelDocuments, formatDomain } from "../../src/deploy/libvirt/domain-xml.ts";
import { type Machine, type MachineWords, parseMachine } from "../../src/deploy/machine.ts";
import { formatHeat } from "../../src/deploy/openstack/heat.ts";
import { formatProxmoxConf, formatProxmoxScript } from "../../src/deploy/proxmox/proxmox.ts";
import { formatQemuScript, listQemuWords } from "../../src/deploy/qemu/qemu-script.ts";
import { MANAGE_PORT_NAME, OFFLOAD_PORT_NAME } from "../../src/lib/guest/contract.ts";
import {
  VM_MEMORY_MIB_MAX,
  VM_MEMORY_MIB_MIN,
  VM_NICS_MAX,
  VM_PROCESSORS_MAX,
} from "../../src/lib/guest/vm-spec.ts";

const GOOD: MachineWords = {
  name: "red/gw",
  nics: ["52:54:00:11:22:33=inside@br0", "52:54:00:11:22:34=outside@br1"],
  disk: "/var/lib/flowlift/flowlift.qcow2",
};

function machineOf(changes: Partial<MachineWords> = {}): Machine {
  const machine = parseMachine({ ...GOOD, ...changes });
  if (!machine.ok) throw new Error(machine.error.message);
  return machine.value;
}

function judge(changes: Partial<MachineWords>): string {
  const machine = parseMachine({ ...GOOD, ...changes });
  return machine.ok ? "ok" : machine.error.message;
}

const NAMES = { namespace: "default", diskClaim: "disk", sidecarImage: "shim:v1" };
const ARTEFACTS: readonly (readonly [string, (machine: Machine) => string])[] = [
  ["libvirt", formatDomain],
  ["libvirt channels", (machine) => formatChannelDocuments(machine).join("")],
  ["qemu", (machine) => formatQemuScript(machine, "kvm")],
  ["proxmox", (machine) => formatProxmoxScript(machine, 100, "local")],
  ["proxmox conf", (machine) => formatProxmoxConf(machine, 100, "local")],
  ["kubevirt", (machine) => formatKubevirt(machine, NAMES)],
];

test.each(ARTEFACTS)("%s carries both ports' names of the guest's contract", (_, format) => {
  const text = format(machineOf());
  expect(text).toContain(OFFLOAD_PORT_NAME);
  expect(text).toContain(MANAGE_PORT_NAME);
});

test.each([
  ...ARTEFACTS.filter(([name]) => name !== "libvirt channels"),
  ["heat", formatHeat] as const,
])("%s has the two data interfaces and no other", (_, format) => {
  const text = format(machineOf()).toLowerCase();
  const macs = text.match(/52:54:00:11:22:3[0-9]/g) ?? [];
  expect(new Set(macs)).toEqual(new Set(["52:54:00:11:22:33", "52:54:00:11:22:34"]));
});

test("a MAC address of digits stays text for readers of YAML 1.1", () => {
  expect(formatHeat(machineOf())).toContain('"52:54:00:11:22:33"');
  expect(formatKubevirt(machineOf(), NAMES)).toContain('"52:54:00:11:22:33"');
});

test("equal names give equal UUIDs, others give others", () => {
  expect(machineOf().uuid).toMatch(
    /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
  expect(machineOf().uuid).toBe(machineOf({ memory: "1024" }).uuid);
  expect(machineOf().uuid).not.toBe(machineOf({ name: "blue/gw" }).uuid);
});

test("QEMU's words hold a seed, a data disk and the watchdog", () => {
  const words = listQemuWords(
    machineOf({ seed: "/srv/seed.iso", dataDisk: "/srv/data.raw" }),
    "tcg",
  ).join(" ");
  expect(words).toContain("filename=/srv/seed.iso,read-only=on");
  expect(words).toContain("filename=/srv/data.raw");
  expect(words).toContain("-device i6300esb -action watchdog=reset");
});

test.each([
  ["no name", { name: undefined }, /--name/],
  ["a name without tenant", { name: "gw" }, /TENANT\/NAME/],
  ["a name that Kubernetes does not take", { name: "Red/gw" }, /every platform/],
  ["no card", { nics: [] }, /At least one/],
  ["a card without network", { nics: ["52:54:00:11:22:33=inside"] }, /names no network/],
  ["a group's MAC address", { nics: ["53:54:00:11:22:33=inside@br0"] }, /group/],
  ["no MAC address", { nics: ["52:54:00:11:22=inside@br0"] }, /no MAC address/],
  ["the same card twice", { nics: [GOOD.nics[0] ?? "", GOOD.nics[0] ?? ""] }, /comes twice/],
  [
    "a network that would break a script",
    { nics: ["52:54:00:11:22:33=inside@a;reboot"] },
    /network/,
  ],
  ["a relative disk", { disk: "flowlift.qcow2" }, /absolute/],
  ["a disk with ..", { disk: "/srv/../etc/shadow" }, /absolute/],
  ["a disk with a quote", { disk: "/srv/a'b" }, /absolute/],
  ["a relative socket directory", { socketDirectory: "ports" }, /absolute/],
  ["words for a number", { memory: "much" }, /whole number/],
])("parseMachine() refuses %s and says why", (_, changes, message) => {
  expect(judge(changes)).toMatch(message);
});

test.each([
  ["memory", VM_MEMORY_MIB_MIN, VM_MEMORY_MIB_MAX],
  ["processors", 1, VM_PROCESSORS_MAX],
] as const)("parseMachine() keeps %s within its bounds", (name, min, max) => {
  for (const value of [min, max]) expect(judge({ [name]: String(value) })).toBe("ok");
  for (const value of [min - 1, max + 1]) {
    expect(judge({ [name]: String(value) })).toMatch(`from ${min} to ${max}`);
  }
});

test("parseMachine() takes VM_NICS_MAX cards and refuses one more", () => {
  const nics = (count: number): string[] =>
    Array.from({ length: count }, (_, index) => {
      const last = index.toString(16).padStart(2, "0");
      return `52:54:00:00:00:${last}=s${index}@br${index}`;
    });
  expect(judge({ nics: nics(VM_NICS_MAX) })).toBe("ok");
  expect(judge({ nics: nics(VM_NICS_MAX + 1) })).toMatch(/More than/);
});

test("parseMachine() takes a socket's path of 107 bytes and refuses one byte more", () => {
  const directory = (bytes: number): string => `/${"d".repeat(bytes - 1)}`;
  const rest = "/red/gw/offload.sock".length;
  expect(judge({ socketDirectory: directory(107 - rest) })).toBe("ok");
  expect(judge({ socketDirectory: directory(108 - rest) })).toMatch(/107 bytes/);
});
