/**
 * Where a lab keeps its files.
 *
 * Pure. `spaces/` holds mount points only: what is mounted there is seen by the lab's processes alone.
 */
import { join } from "node:path";

export const RUN_DIRECTORY_DEFAULT = "/run/flowlift";

export interface LabLayout {
  readonly runDirectory: string;
  readonly labsDirectory: string;
  /** The lab's own files. */
  readonly labDirectory: string;
  readonly stateFile: string;
  readonly logDirectory: string;
  readonly controllerDirectory: string;
  readonly agentDirectory: string;
  readonly bridgeDirectory: string;
  readonly pkiDirectory: string;
  readonly clientKeyFile: string;
  /** A BPF file system, mounted for the lab's processes alone. */
  readonly bpfDirectory: string;
  readonly pinDirectory: string;
  readonly spaceDirectory: string;
  /** The project, read-only. */
  readonly appDirectory: string;
  /** Node itself. */
  readonly nodeFile: string;
  readonly vmMountPoint: string;
  /** What VMs boot from, each a file of its own. */
  readonly imageDirectory: string;
  /** /dev/kvm and /dev/net/tun as QEMU's users may open them; seen by the lab's processes alone. */
  readonly deviceDirectory: string;
}

/** Files of one appliance; the only ones of the lab that its processes see. */
export interface VmLayout {
  readonly vmDirectory: string;
  readonly runDirectory: string;
  readonly stateDirectory: string;
  readonly etcDirectory: string;
  readonly settingsFile: string;
  readonly dayZeroFile: string;
  readonly authorizedKeysFile: string;
  readonly serialDirectory: string;
  readonly serialSocket: string;
  /** Of a VM: QEMU's own files. */
  readonly machineDirectory: string;
  readonly dataDisk: string;
  readonly qmpSocket: string;
  readonly incomingSocket: string;
  /** Documents of its first boot. */
  readonly seedDirectory: string;
  readonly manageDirectory: string;
  readonly manageSocket: string;
  readonly consoleFile: string;
}

/** Returns the lab's paths. */
export function layoutLab(runDirectory: string, labName: string): LabLayout {
  const labsDirectory = join(runDirectory, "labs");
  const labDirectory = join(labsDirectory, labName);
  const spaceDirectory = join(runDirectory, "spaces", labName);
  return {
    runDirectory,
    labsDirectory,
    labDirectory,
    stateFile: join(labDirectory, "state.json"),
    logDirectory: join(labDirectory, "log"),
    controllerDirectory: join(labDirectory, "controller"),
    agentDirectory: join(labDirectory, "agent"),
    bridgeDirectory: join(labDirectory, "bridge"),
    pkiDirectory: join(labDirectory, "pki"),
    clientKeyFile: join(labDirectory, "client", "id_ed25519"),
    bpfDirectory: join(labDirectory, "bpf"),
    pinDirectory: join(labDirectory, "bpf", "flowlift"),
    spaceDirectory,
    appDirectory: join(spaceDirectory, "app"),
    nodeFile: join(spaceDirectory, "node"),
    vmMountPoint: join(spaceDirectory, "vm"),
    imageDirectory: join(spaceDirectory, "image"),
    deviceDirectory: join(spaceDirectory, "dev"),
  };
}

/** Returns the paths of the appliance `vm` (`tenant-name`). */
export function layoutVm(layout: LabLayout, vm: string): VmLayout {
  const vmDirectory = join(layout.labDirectory, "vms", vm);
  const etcDirectory = join(vmDirectory, "etc");
  const serialDirectory = join(vmDirectory, "serial");
  const machineDirectory = join(vmDirectory, "machine");
  const manageDirectory = join(vmDirectory, "manage");
  return {
    vmDirectory,
    runDirectory: join(vmDirectory, "run"),
    stateDirectory: join(vmDirectory, "state"),
    etcDirectory,
    settingsFile: join(etcDirectory, "settings.json"),
    dayZeroFile: join(etcDirectory, "day-zero.json"),
    authorizedKeysFile: join(etcDirectory, "authorized_keys"),
    serialDirectory,
    serialSocket: join(serialDirectory, "offload.sock"),
    machineDirectory,
    dataDisk: join(machineDirectory, "data.img"),
    qmpSocket: join(machineDirectory, "qmp.sock"),
    incomingSocket: join(machineDirectory, "incoming.sock"),
    seedDirectory: join(vmDirectory, "seed"),
    manageDirectory,
    manageSocket: join(manageDirectory, "manage.sock"),
    consoleFile: join(layout.logDirectory, `${vm}-console.log`),
  };
}

/** Returns the log of a lab's detached supervisor; outside the lab, which may not exist yet. */
export function supervisorLogFile(runDirectory: string, labName: string): string {
  return join(runDirectory, `${labName}.log`);
}
