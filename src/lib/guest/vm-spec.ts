/** What a tenant VM is made of, before it is written in anybody's words. Pure: types and bounds only. */

/** Where the VM's processor comes from: the machine's own, or translation (QEMU's TCG). */
export type Accelerator = "kvm" | "tcg";

export interface VmDisk {
  readonly file: string;
  readonly format: "raw" | "qcow2";
}

/** Direct boot of a kernel with the root image beside it, or the firmware boots a whole disk. */
export type VmBoot =
  | {
      readonly kind: "kernel";
      readonly kernelFile: string;
      readonly initrdFile: string;
      /** Words of the kernel's command line. */
      readonly commandLine: string;
      /** The read-only root file system; absent for a guest that lives in its initial RAM disk. */
      readonly rootFile?: string;
    }
  | { readonly kind: "disk"; readonly disk: VmDisk };

export interface VmNic {
  /** Six octets in hex, with colons. */
  readonly mac: string;
  /** A tap that exists and that QEMU's user may attach to. */
  readonly tap: string;
  /** Pairs of queues; more than one needs a multi-queue tap. Default: 1. */
  readonly queuePairs?: number;
  /** The VM is told this MTU. Default: nothing is told. */
  readonly mtuBytes?: number;
  /** Packets are copied by the host's kernel. Default: by QEMU. */
  readonly vhost?: boolean;
}

/** One virtio-serial port. */
export interface VmPort {
  /** As the VM sees it: `org.flowlift.offload.0`. */
  readonly name: string;
  readonly socketPath: string;
  /** `listen`: QEMU makes the socket. `connect`: somebody else does, and QEMU comes back when it is gone. */
  readonly mode: "listen" | "connect";
}

/** A document of the first boot, in QEMU's fw_cfg. */
export interface VmSeed {
  /** `opt/org.flowlift/day0`. */
  readonly name: string;
  readonly file: string;
}

export interface VmSpec {
  readonly name: string;
  readonly uuid: string;
  readonly accelerator: Accelerator;
  readonly memoryMib: number;
  readonly processors: number;
  readonly boot: VmBoot;
  /** Configuration and keys; it outlives the image. */
  readonly dataDisk?: VmDisk;
  readonly nics: readonly VmNic[];
  readonly ports: readonly VmPort[];
  readonly seeds: readonly VmSeed[];
  /** Where QEMU listens for its operator. */
  readonly qmpSocketPath?: string;
  /** `stdio`: whoever started QEMU reads the console. */
  readonly console: { readonly kind: "stdio" } | { readonly kind: "file"; readonly path: string };
  /** The VM continues where another one stopped: its state comes through this URI. */
  readonly incoming?: string;
}

/** Bounds of what a VM may be given; the wire names and slots of the words allow no more. */
export const VM_NICS_MAX = 16;
export const VM_PORTS_MAX = 8;
export const VM_PROCESSORS_MAX = 64;
export const VM_MEMORY_MIB_MIN = 128;
export const VM_MEMORY_MIB_MAX = 1_048_576;
/** Of each vNIC. */
export const VM_QUEUE_PAIRS_MAX = 16;

/** Serial numbers of the VM's disks: how the guest tells them apart. */
export const ROOT_DISK_SERIAL = "flowlift-root";
export const WHOLE_DISK_SERIAL = "flowlift-disk";
export const DATA_DISK_SERIAL = "flowlift-data";
