/**
 * An appliance of the lab as a VM: its QEMU, and what carries its management port.
 *
 * Pure: names and paths in, specification and words out.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import {
  FW_CFG_PREFIX,
  MANAGE_PORT_NAME,
  OFFLOAD_PORT_NAME,
  SEED_DOCUMENTS,
} from "../../lib/guest/contract.ts";
import type { VmSpec } from "../../lib/guest/vm-spec.ts";
import { vmName } from "../controller-config.ts";
import type { LabLayout, VmLayout } from "../layout.ts";
import type { PlannedMachine } from "../plan.ts";
import { type LabVmOptions, VM_MEMORY_MIB_DEFAULT } from "./vm-options.ts";

/** Names of the image's files below the lab's image directory. */
export const IMAGE_MOUNTS = { kernel: "kernel", initrd: "initrd", root: "root" } as const;

/** Returns the VM of a planned appliance. */
export function planVm(
  machine: PlannedMachine,
  labName: string,
  layout: LabLayout,
  files: VmLayout,
  options: LabVmOptions,
): VmSpec {
  const name = vmName(machine);
  const { image, choice } = options;
  const inImage = (file: string): string => join(layout.imageDirectory, file);
  return {
    name,
    uuid: deriveUuid(`${labName}/${name}`),
    accelerator: choice.accelerator,
    memoryMib: options.memoryMib ?? VM_MEMORY_MIB_DEFAULT,
    processors: options.processors ?? 1,
    boot: {
      kind: "kernel",
      kernelFile: inImage(IMAGE_MOUNTS.kernel),
      initrdFile: inImage(IMAGE_MOUNTS.initrd),
      commandLine: image.commandLine,
      ...(image.rootFile === undefined ? {} : { rootFile: inImage(IMAGE_MOUNTS.root) }),
    },
    dataDisk: { file: files.dataDisk, format: "raw" },
    nics: machine.interfaces.map(({ mac, port }) => ({ mac, tap: port.interfaceName })),
    ports: [
      { name: OFFLOAD_PORT_NAME, socketPath: files.serialSocket, mode: "connect" },
      { name: MANAGE_PORT_NAME, socketPath: files.manageSocket, mode: "listen" },
    ],
    seeds: SEED_DOCUMENTS.map((document) => ({
      name: `${FW_CFG_PREFIX}${document}`,
      file: join(files.seedDirectory, document),
    })),
    qmpSocketPath: files.qmpSocket,
    console: { kind: "stdio" },
  };
}

/** The same VM of the same lab has the same identity (RFC 9562, version 8: of our own making). */
export function deriveUuid(text: string): string {
  const bytes = createHash("sha256").update(text).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return [8, 12, 16, 20, 32]
    .map((end, index, ends) => hex.slice(ends[index - 1] ?? 0, end))
    .join("-");
}
