/**
 * A VM in QEMU's words.
 *
 * Pure. Source: qemu-system(1) of QEMU 7.2, Debian 12's.
 * Invariant: nothing is there that was not asked for (-nodefaults, no user configuration), and QEMU starts
 * no program, gains no privilege and makes no old system call (-sandbox).
 */
import { assert } from "../base/assert.ts";
import {
  DATA_DISK_SERIAL,
  ROOT_DISK_SERIAL,
  VM_MEMORY_MIB_MAX,
  VM_MEMORY_MIB_MIN,
  VM_NICS_MAX,
  VM_PORTS_MAX,
  VM_PROCESSORS_MAX,
  VM_QUEUE_PAIRS_MAX,
  type VmBoot,
  type VmDisk,
  type VmNic,
  type VmPort,
  type VmSpec,
  WHOLE_DISK_SERIAL,
} from "./vm-spec.ts";

export const QEMU_PROGRAM = "qemu-system-x86_64";
/** How soon a port looks for its peer again. */
export const PORT_RECONNECT_SEC = 1;
/** Translated code that QEMU keeps; a small guest needs no more. */
export const TRANSLATION_CACHE_MIB = 256;

/** Packets that a vNIC takes before the VM looks; QEMU's most. */
export const NIC_RING_PACKETS = 1024;

const SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

/** Returns the program and its words; no shell reads them. Each name and path may hold any character. */
export function formatQemuWords(spec: VmSpec): string[] {
  assertBounds(spec);
  return [
    QEMU_PROGRAM,
    "-name",
    `guest=${quoteValue(spec.name)}`,
    "-uuid",
    spec.uuid,
    "-nodefaults",
    "-no-user-config",
    "-sandbox",
    SANDBOX,
    "-display",
    "none",
    ...formatMachine(spec),
    ...formatBoot(spec.boot),
    ...(spec.dataDisk === undefined ? [] : formatDisk("data", spec.dataDisk, DATA_DISK_SERIAL)),
    ...spec.nics.flatMap(formatNic),
    ...formatPorts(spec.ports),
    "-object",
    "rng-random,id=entropy,filename=/dev/urandom",
    "-device",
    "virtio-rng-pci,rng=entropy",
    "-device",
    "virtio-balloon-pci,id=balloon",
    ...spec.seeds.flatMap(({ name, file }) => [
      "-fw_cfg",
      `name=${quoteValue(name)},file=${quoteValue(file)}`,
    ]),
    ...formatConsole(spec.console),
    ...formatQmp(spec.qmpSocketPath),
    ...(spec.incoming === undefined ? [] : ["-incoming", spec.incoming]),
  ];
}

function assertBounds(spec: VmSpec): void {
  const within = (value: number, low: number, high: number): boolean =>
    Number.isInteger(value) && value >= low && value <= high;
  assert(within(spec.processors, 1, VM_PROCESSORS_MAX), "processors stay within their bound");
  assert(
    within(spec.memoryMib, VM_MEMORY_MIB_MIN, VM_MEMORY_MIB_MAX),
    "memory stays within its bound",
  );
  assert(spec.nics.length <= VM_NICS_MAX, "vNICs stay within their bound");
  assert(spec.ports.length <= VM_PORTS_MAX, "ports stay within their bound");
  for (const { queuePairs = 1 } of spec.nics) {
    assert(within(queuePairs, 1, VM_QUEUE_PAIRS_MAX), "queues stay within their bound");
  }
}

/** A comma ends a value, two are one. */
function quoteValue(value: string): string {
  return value.replaceAll(",", ",,");
}

function formatMachine(spec: VmSpec): string[] {
  const isKvm = spec.accelerator === "kvm";
  return [
    "-machine",
    "q35,vmport=off,smm=off,graphics=off",
    "-accel",
    isKvm ? "kvm" : `tcg,thread=multi,tb-size=${TRANSLATION_CACHE_MIB}`,
    "-cpu",
    isKvm ? "host" : "max",
    "-smp",
    String(spec.processors),
    "-m",
    `${spec.memoryMib}M`,
    "-rtc",
    "base=utc,driftfix=slew",
    "-boot",
    "strict=on",
  ];
}

function formatBoot(boot: VmBoot): string[] {
  if (boot.kind === "disk")
    return formatDisk("disk", boot.disk, WHOLE_DISK_SERIAL, ["bootindex=1"]);
  const root = boot.rootFile;
  return [
    "-kernel",
    boot.kernelFile,
    "-initrd",
    boot.initrdFile,
    "-append",
    boot.commandLine,
    ...(root === undefined
      ? []
      : formatDisk("root", { file: root, format: "raw" }, ROOT_DISK_SERIAL)),
  ];
}

/** The root image is read by many VMs at a time; every other disk is one VM's own and locked by QEMU. */
function formatDisk(
  id: string,
  disk: VmDisk,
  serial: string,
  more: readonly string[] = [],
): string[] {
  const isShared = serial === ROOT_DISK_SERIAL;
  const access = isShared ? "read-only=on" : "read-only=off,cache.direct=off,discard=unmap";
  return [
    "-blockdev",
    `driver=file,node-name=${id}-file,filename=${quoteValue(disk.file)},${access}`,
    "-blockdev",
    `driver=${disk.format},node-name=${id}-node,file=${id}-file,${isShared ? "read-only=on" : "read-only=off"}`,
    "-device",
    ["virtio-blk-pci", `drive=${id}-node`, `serial=${serial}`, `id=${id}`, ...more].join(","),
  ];
}

function formatNic(nic: VmNic, index: number): string[] {
  const { queuePairs = 1, mtuBytes, vhost = false } = nic;
  const tap = [
    "tap",
    `id=net${index}`,
    `ifname=${quoteValue(nic.tap)}`,
    "script=no",
    "downscript=no",
    "vnet_hdr=on",
    `vhost=${vhost ? "on" : "off"}`,
    ...(queuePairs === 1 ? [] : [`queues=${queuePairs}`]),
  ];
  const device = [
    "virtio-net-pci",
    `netdev=net${index}`,
    `mac=${nic.mac}`,
    "romfile=",
    `rx_queue_size=${NIC_RING_PACKETS}`,
    ...(mtuBytes === undefined ? [] : [`host_mtu=${mtuBytes}`]),
    // One vector for each queue, one for control, one for changes of configuration.
    ...(queuePairs === 1 ? [] : ["mq=on", `vectors=${2 * queuePairs + 2}`]),
  ];
  return ["-netdev", tap.join(","), "-device", device.join(",")];
}

function formatPorts(ports: readonly VmPort[]): string[] {
  if (ports.length === 0) return [];
  const words = ["-device", "virtio-serial-pci,id=ports"];
  for (const [index, { name, socketPath, mode }] of ports.entries()) {
    const how = mode === "listen" ? "server=on,wait=off" : `reconnect=${PORT_RECONNECT_SEC}`;
    words.push(
      "-chardev",
      `socket,id=port${index},path=${quoteValue(socketPath)},${how}`,
      "-device",
      // Port 0 is kept for a console.
      `virtserialport,bus=ports.0,nr=${index + 1},chardev=port${index},name=${quoteValue(name)}`,
    );
  }
  return words;
}

function formatConsole(console: VmSpec["console"]): string[] {
  const backend =
    console.kind === "stdio"
      ? "stdio,id=console,signal=off"
      : `file,id=console,append=on,path=${quoteValue(console.path)}`;
  return ["-chardev", backend, "-serial", "chardev:console"];
}

function formatQmp(path: string | undefined): string[] {
  if (path === undefined) return [];
  return [
    "-chardev",
    `socket,id=qmp,path=${quoteValue(path)},server=on,wait=off`,
    "-mon",
    "chardev=qmp,mode=control",
  ];
}
