/** What a lab of VMs needs to know. Pure: types and defaults. */
import type { AcceleratorChoice } from "../../lib/guest/accelerator.ts";
import type { GuestImage } from "../../lib/guest/guest-image.ts";
import type { SeedDocuments } from "./seed-documents.ts";

export interface LabVmOptions {
  readonly image: GuestImage;
  readonly choice: AcceleratorChoice;
  /** Default: VM_MEMORY_MIB_DEFAULT. */
  readonly memoryMib?: number;
  /** Default: 1. */
  readonly processors?: number;
  /** Default: until NETCONF answers. False: a VM is ready when QEMU runs, and no host key is known. */
  readonly awaitsNetconf?: boolean;
  /** Changes the documents of a VM's first boot. Default: they stay as they are. */
  readonly changeSeeds?: (vm: string, documents: SeedDocuments) => SeedDocuments;
}

/** Of each appliance: its RAM bounds how many connections it can track. */
export const VM_MEMORY_MIB_DEFAULT = 512;
/** Configuration, keys and the journal. */
export const DATA_DISK_MIB = 64;
/** How long a VM may take until NETCONF answers. */
export const VM_READY_TIMEOUT_MS: Readonly<Record<AcceleratorChoice["accelerator"], number>> = {
  kvm: 60_000,
  tcg: 300_000,
};
/** How long a VM may take to shut down in order; then its power is cut. */
export const VM_SHUTDOWN_TIMEOUT_MS = 60_000;
