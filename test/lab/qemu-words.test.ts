/** A VM in QEMU's words: what is asked for is there, and nothing else. */
import { expect, test } from "vitest";
import { formatQemuWords } from "../../src/lib/guest/qemu-words.ts";
import {
  VM_MEMORY_MIB_MAX,
  VM_MEMORY_MIB_MIN,
  VM_NICS_MAX,
  VM_PORTS_MAX,
  VM_PROCESSORS_MAX,
  VM_QUEUE_PAIRS_MAX,
  type VmNic,
  type VmPort,
  type VmSpec,
} from "../../src/lib/guest/vm-spec.ts";

const SPEC: VmSpec = {
  name: "red-gw",
  uuid: "00000000-0000-4000-8000-000000000001",
  accelerator: "tcg",
  memoryMib: 384,
  processors: 1,
  boot: {
    kind: "kernel",
    kernelFile: "/i/vmlinuz",
    initrdFile: "/i/initrd",
    commandLine: "console=ttyS0 quiet",
    rootFile: "/i/root.squashfs",
  },
  dataDisk: { file: "/v/data.img", format: "raw" },
  nics: [],
  ports: [],
  seeds: [],
  console: { kind: "stdio" },
};
const NIC: VmNic = { mac: "02:f1:01:aa:01:01", tap: "p1" };
const PORT: VmPort = { name: "org.flowlift.offload.0", socketPath: "/s", mode: "connect" };

/** The values behind each occurrence of an option. */
function valuesOf(words: readonly string[], option: string): string[] {
  return words.flatMap((word, index) => (words[index - 1] === option ? [word] : []));
}

test("formatQemuWords() gives nothing by default, and a sandbox that lets QEMU start nothing", () => {
  const words = formatQemuWords(SPEC);
  expect(words).toEqual(expect.arrayContaining(["-nodefaults", "-no-user-config"]));
  expect(valuesOf(words, "-sandbox")).toEqual([
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
  ]);
  expect(words.filter((word) => word === "-netdev" || word === "-fw_cfg")).toEqual([]);
});

test("formatQemuWords() keeps commas of names and paths out of QEMU's syntax", () => {
  const words = formatQemuWords({
    ...SPEC,
    name: "a,b",
    dataDisk: { file: "/x,driver=null", format: "raw" },
    seeds: [{ name: "opt/x", file: "/a,b" }],
    qmpSocketPath: "/q,server=off",
  });
  const text = words.join("\n");
  expect(text).toContain("guest=a,,b");
  expect(text).toContain("filename=/x,,driver=null,");
  expect(text).toContain("name=opt/x,file=/a,,b");
  expect(text).toContain("path=/q,,server=off,server=on,wait=off");
});

test("formatQemuWords() attaches taps, and tells the vectors that their queues need", () => {
  const words = formatQemuWords({
    ...SPEC,
    nics: [NIC, { ...NIC, tap: "p2", queuePairs: 2, mtuBytes: 1400, vhost: true }],
  });
  expect(valuesOf(words, "-netdev")).toEqual([
    "tap,id=net0,ifname=p1,script=no,downscript=no,vnet_hdr=on,vhost=off",
    "tap,id=net1,ifname=p2,script=no,downscript=no,vnet_hdr=on,vhost=on,queues=2",
  ]);
  const nics = valuesOf(words, "-device").filter((word) => word.startsWith("virtio-net-pci"));
  expect(nics).toEqual([
    "virtio-net-pci,netdev=net0,mac=02:f1:01:aa:01:01,romfile=,rx_queue_size=1024",
    "virtio-net-pci,netdev=net1,mac=02:f1:01:aa:01:01,romfile=,rx_queue_size=1024,host_mtu=1400,mq=on,vectors=6",
  ]);
});

test("formatQemuWords() names each serial port, and comes back to a socket of somebody else's", () => {
  const words = formatQemuWords({
    ...SPEC,
    ports: [PORT, { name: "org.flowlift.manage.0", socketPath: "/m", mode: "listen" }],
  });
  expect(valuesOf(words, "-chardev")).toEqual([
    "socket,id=port0,path=/s,reconnect=1",
    "socket,id=port1,path=/m,server=on,wait=off",
    "stdio,id=console,signal=off",
  ]);
  const ports = valuesOf(words, "-device").filter((word) => word.startsWith("virtserialport"));
  expect(ports).toEqual([
    "virtserialport,bus=ports.0,nr=1,chardev=port0,name=org.flowlift.offload.0",
    "virtserialport,bus=ports.0,nr=2,chardev=port1,name=org.flowlift.manage.0",
  ]);
});

test("formatQemuWords() boots a whole disk where no kernel is given", () => {
  const disk = { file: "/d.qcow2", format: "qcow2" } as const;
  const words = formatQemuWords({ ...SPEC, boot: { kind: "disk", disk }, accelerator: "kvm" });
  expect(words).not.toContain("-kernel");
  expect(words.join("\n")).toContain("serial=flowlift-disk,id=disk,bootindex=1");
  expect(valuesOf(words, "-cpu")).toEqual(["host"]);
});

const many = <T>(item: T, count: number): T[] => Array.from({ length: count }, () => item);

test.each<[string, Partial<VmSpec>, boolean]>([
  ["processors", { processors: 0 }, false],
  ["processors", { processors: VM_PROCESSORS_MAX }, true],
  ["processors", { processors: VM_PROCESSORS_MAX + 1 }, false],
  ["memory", { memoryMib: VM_MEMORY_MIB_MIN - 1 }, false],
  ["memory", { memoryMib: VM_MEMORY_MIB_MIN }, true],
  ["memory", { memoryMib: VM_MEMORY_MIB_MAX }, true],
  ["memory", { memoryMib: VM_MEMORY_MIB_MAX + 1 }, false],
  ["vNICs", { nics: many(NIC, VM_NICS_MAX) }, true],
  ["vNICs", { nics: many(NIC, VM_NICS_MAX + 1) }, false],
  ["ports", { ports: many(PORT, VM_PORTS_MAX) }, true],
  ["ports", { ports: many(PORT, VM_PORTS_MAX + 1) }, false],
  ["queues", { nics: [{ ...NIC, queuePairs: VM_QUEUE_PAIRS_MAX }] }, true],
  ["queues", { nics: [{ ...NIC, queuePairs: VM_QUEUE_PAIRS_MAX + 1 }] }, false],
])("formatQemuWords() holds the bound of %s (%#)", (_, part, fits) => {
  const format = () => formatQemuWords({ ...SPEC, ...part });
  if (fits) expect(format).not.toThrow();
  else expect(format).toThrow("bound");
});
