/**
 * The VM as a libvirt domain.
 *
 * Pure. Source: libvirt's "Domain XML format"; libvirt's own schema judges it in a test.
 * There is no network card for management and no guest agent: the two channels are all that the host reaches.
 */
import { escapeXml } from "../../lib/xml/tree.ts";
import type { Machine, MachineNic, MachinePort } from "../machine.ts";

/** Namespace of what the hook reads. */
export const NS_VM = "urn:flowlift:vm";

/** Returns the domain. */
export function formatDomain(machine: Machine): string {
  return `<domain type="kvm">
  <name>${machine.label}</name>
  <uuid>${machine.uuid}</uuid>
  <title>Flowlift ${machine.tenant}/${machine.vm}</title>
  <metadata>
    <flowlift:vm xmlns:flowlift="${NS_VM}" tenant="${machine.tenant}" name="${machine.vm}">
${machine.nics.map(formatOwn).join("")}    </flowlift:vm>
  </metadata>
  <memory unit="MiB">${machine.memoryMib}</memory>
  <vcpu>${machine.processors}</vcpu>
  <os>
    <type arch="x86_64" machine="q35">hvm</type>
    <boot dev="hd"/>
    <bios useserial="yes"/>
  </os>
  <features>
    <acpi/>
    <apic/>
    <vmport state="off"/>
  </features>
  <cpu mode="host-model"/>
  <clock offset="utc">
    <timer name="rtc" tickpolicy="catchup"/>
    <timer name="pit" tickpolicy="delay"/>
    <timer name="hpet" present="no"/>
  </clock>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>restart</on_crash>
  <devices>
${formatDisks(machine)}    <controller type="virtio-serial" index="0" ports="8"/>
${machine.ports.map(formatChannel).join("")}${machine.nics.map(formatNic).join("")}    <serial type="pty"/>
    <console type="pty"/>
    <rng model="virtio">
      <backend model="random">/dev/urandom</backend>
    </rng>
    <watchdog model="i6300esb" action="reset"/>
    <memballoon model="virtio"/>
  </devices>
</domain>
`;
}

/** Returns the two channels alone, each a document of its own for `virsh attach-device`. */
export function formatChannelDocuments(machine: Machine): readonly string[] {
  return machine.ports.map(formatChannel);
}

function formatOwn({ mac, segment }: MachineNic): string {
  return `      <flowlift:vnic mac="${mac}" segment="${segment}"/>\n`;
}

function formatDisks(machine: Machine): string {
  const disks = [formatDisk(machine.disk, "vda", 1)];
  if (machine.dataDisk !== undefined) disks.push(formatDisk(machine.dataDisk, "vdb", undefined));
  if (machine.seed !== undefined) {
    disks.push(`    <disk type="file" device="cdrom">
      <driver name="qemu" type="raw"/>
      <source file="${escapeXml(machine.seed)}"/>
      <target dev="sda" bus="sata"/>
      <readonly/>
    </disk>
`);
  }
  return disks.join("");
}

function formatDisk(file: string, target: string, order: number | undefined): string {
  const type = file.endsWith(".qcow2") ? "qcow2" : "raw";
  const serial = order === undefined ? "flowlift-data" : "flowlift-disk";
  return `    <disk type="file" device="disk">
      <driver name="qemu" type="${type}" discard="unmap"/>
      <source file="${escapeXml(file)}"/>
      <target dev="${target}" bus="virtio"/>
      <serial>${serial}</serial>
    </disk>
`;
}

/** `bind`: QEMU makes the socket, and it is there before the bridge connects. */
function formatChannel({ name, socketPath }: MachinePort): string {
  return `    <channel type="unix">
      <source mode="bind" path="${escapeXml(socketPath)}"/>
      <target type="virtio" name="${name}"/>
    </channel>
`;
}

function formatNic({ mac, network }: MachineNic): string {
  return `    <interface type="bridge">
      <mac address="${mac}"/>
      <source bridge="${escapeXml(network)}"/>
      <model type="virtio"/>
      <rom enabled="no"/>
    </interface>
`;
}
