/**
 * The VM for Proxmox VE: `qm` commands, and the same as a configuration file.
 *
 * Pure. Source: Proxmox VE's qm(1) and "qm.conf". `qm` has no option for virtio-serial ports with names: they
 * go through `args`, which only root may set.
 */
import type { Machine } from "../machine.ts";

export const VM_ID_MIN = 100;
export const VM_ID_MAX = 999_999_999;

interface ProxmoxOption {
  readonly name: string;
  readonly value: string;
}

/** Words for QEMU that Proxmox passes on as they are. */
function formatArgs(machine: Machine): string {
  const ports = machine.ports.flatMap(({ name, socketPath }, index) => [
    `-chardev socket,id=flowlift${index},path=${socketPath},server=on,wait=off`,
    `-device virtserialport,bus=flowlift.0,nr=${index + 1},chardev=flowlift${index},name=${name}`,
  ]);
  return ["-device virtio-serial-pci,id=flowlift", ...ports].join(" ");
}

function listOptions(machine: Machine, storage: string): readonly ProxmoxOption[] {
  const nics = machine.nics.map(({ mac, network }, index) => ({
    name: `net${index}`,
    value: `virtio=${mac.toUpperCase()},bridge=${network},firewall=0`,
  }));
  return [
    { name: "name", value: machine.label },
    { name: "ostype", value: "l26" },
    { name: "machine", value: "q35" },
    { name: "memory", value: String(machine.memoryMib) },
    { name: "cores", value: String(machine.processors) },
    { name: "cpu", value: "host" },
    { name: "scsihw", value: "virtio-scsi-single" },
    { name: "serial0", value: "socket" },
    { name: "vga", value: "serial0" },
    { name: "rng0", value: "source=/dev/urandom" },
    { name: "watchdog", value: "model=i6300esb,action=reset" },
    { name: "agent", value: "0" },
    ...nics,
    { name: "ide2", value: `${storage}:cloudinit` },
    { name: "args", value: formatArgs(machine) },
  ];
}

/** Returns the commands. */
export function formatProxmoxScript(machine: Machine, vmId: number, storage: string): string {
  const options = listOptions(machine, storage).map(
    ({ name, value }) => ` \\\n  --${name} '${value}'`,
  );
  const directory = machine.ports[0].socketPath.replace(/\/[^/]*$/, "");
  return `#!/bin/sh
# ${machine.tenant}/${machine.vm} as Proxmox VE's VM ${vmId}; --args needs root.
set -eu
mkdir -p ${directory}
qm create ${vmId}${options.join("")}
qm set ${vmId} --virtio0 ${storage}:0,import-from=${machine.disk},serial=flowlift-disk,discard=on
qm set ${vmId} --boot order=virtio0
`;
}

/** Returns the content of /etc/pve/qemu-server/ID.conf, for a disk that was imported before. */
export function formatProxmoxConf(machine: Machine, vmId: number, storage: string): string {
  const disk = { name: "virtio0", value: `${storage}:vm-${vmId}-disk-0,serial=flowlift-disk` };
  const options = [
    ...listOptions(machine, storage),
    { name: "boot", value: "order=virtio0" },
    disk,
  ];
  const sorted = options.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return sorted.map(({ name, value }) => `${name}: ${value}\n`).join("");
}
