/**
 * A VM's files before it starts: directories with their owners, first-boot documents, an empty data disk.
 *
 * Effect: writes below the lab's directory; runs mke2fs on a file of the VM's own.
 */
import { randomUUID } from "node:crypto";
import { chmodSync, chownSync, mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DATA_VOLUME_LABEL, SEED_DOCUMENTS } from "../../lib/guest/contract.ts";
import { runCommand } from "../commands.ts";
import type { VmLayout } from "../layout.ts";
import type { PlannedMachine } from "../plan.ts";
import { BRIDGE_UID, CONNECT_UID } from "../privileges.ts";
import { formatSeeds, type SeedDocuments, type SeedFacts } from "./seed-documents.ts";
import { DATA_DISK_MIB } from "./vm-options.ts";

/** Makes a VM's directories; its QEMU reaches these alone. */
export function makeMachineDirectories(vmUid: number, files: VmLayout): void {
  const directories = [
    { path: files.vmDirectory, uid: 0, gid: 0, mode: 0o755 },
    { path: files.machineDirectory, uid: vmUid, gid: vmUid, mode: 0o700 },
    { path: files.seedDirectory, uid: 0, gid: vmUid, mode: 0o750 },
    // Sockets get the directory's group: the bridge's is for this VM, the VM's for the relay, which adds its own.
    { path: files.serialDirectory, uid: BRIDGE_UID, gid: vmUid, mode: 0o2750 },
    { path: files.manageDirectory, uid: vmUid, gid: CONNECT_UID, mode: 0o2770 },
  ];
  for (const { path, uid, gid, mode } of directories) {
    mkdirSync(path, { recursive: true });
    chownSync(path, uid, gid);
    chmodSync(path, mode);
  }
}

/** Writes the documents of a VM's first boot. */
export function writeSeeds(
  machine: PlannedMachine,
  vmUid: number,
  files: VmLayout,
  facts: Omit<SeedFacts, "instanceId">,
  change: (documents: SeedDocuments) => SeedDocuments,
): void {
  const documents = change(formatSeeds(machine, { ...facts, instanceId: randomUUID() }));
  for (const name of SEED_DOCUMENTS) {
    const file = join(files.seedDirectory, name);
    writeFileSync(file, documents[name], { mode: 0o640 });
    chownSync(file, 0, vmUid);
  }
}

/** Makes an empty data disk; what was there is gone. */
export async function makeDataDisk(vmUid: number, files: VmLayout): Promise<void> {
  const file = files.dataDisk;
  writeFileSync(file, "", { mode: 0o600 });
  truncateSync(file, DATA_DISK_MIB * 1024 * 1024);
  await runCommand(["mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-L", DATA_VOLUME_LABEL, file]);
  chownSync(file, vmUid, vmUid);
}
