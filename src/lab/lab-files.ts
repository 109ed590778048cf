/**
 * The lab's files before anything starts: directories with their owners, keys, settings.
 *
 * Effect: writes below the lab's directory.
 */

import { randomBytes, randomUUID } from "node:crypto";
import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { makeSshKeyPair } from "../lib/ssh/key-pair.ts";
import { HOST_NAME, planControllerConfig, vmName } from "./controller-config.ts";
import type { LabAppliance, LabDefinition } from "./definition.ts";
import { type LabLayout, layoutVm } from "./layout.ts";
import type { LabPlan, PlannedMachine } from "./plan.ts";
import {
  AGENT_CLIENTS_GID,
  AGENT_UID,
  BRIDGE_UID,
  CONTROLLER_UID,
  DATA_UID,
  FLOWLIFT_GID,
  MANAGE_UID,
} from "./privileges.ts";
import { makeMachineDirectories } from "./vm/machine-files.ts";

/** The one user of every appliance's NETCONF server. */
export const NETCONF_USER = "admin";
const TOKEN_BYTES = 32;

interface Directory {
  readonly path: string;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/** Makes every directory with its owner. */
export function makeDirectories(layout: LabLayout, plan: LabPlan): void {
  const gid = FLOWLIFT_GID;
  const directories: Directory[] = [
    { path: layout.logDirectory, uid: 0, gid: 0, mode: 0o755 },
    { path: layout.spaceDirectory, uid: 0, gid: 0, mode: 0o755 },
    { path: layout.appDirectory, uid: 0, gid: 0, mode: 0o755 },
    { path: layout.vmMountPoint, uid: 0, gid: 0, mode: 0o755 },
    { path: layout.imageDirectory, uid: 0, gid: 0, mode: 0o755 },
    { path: layout.deviceDirectory, uid: 0, gid: 0, mode: 0o755 },
    { path: layout.bpfDirectory, uid: AGENT_UID, gid, mode: 0o700 },
    { path: layout.agentDirectory, uid: AGENT_UID, gid: AGENT_CLIENTS_GID, mode: 0o750 },
    { path: layout.bridgeDirectory, uid: BRIDGE_UID, gid, mode: 0o700 },
    { path: layout.controllerDirectory, uid: CONTROLLER_UID, gid, mode: 0o700 },
    { path: join(layout.controllerDirectory, "state"), uid: CONTROLLER_UID, gid, mode: 0o700 },
    { path: join(layout.controllerDirectory, "run"), uid: CONTROLLER_UID, gid, mode: 0o700 },
    { path: layout.pkiDirectory, uid: 0, gid: 0, mode: 0o755 },
    { path: dirname(layout.clientKeyFile), uid: 0, gid: 0, mode: 0o700 },
  ];
  for (const machine of listAppliances(plan)) {
    const vm = layoutVm(layout, vmName(machine));
    if (machine.vmUid !== undefined) continue;
    directories.push(
      { path: vm.vmDirectory, uid: 0, gid: 0, mode: 0o755 },
      // Files in it get the directory's group, the helper's socket too.
      { path: vm.runDirectory, uid: DATA_UID, gid, mode: 0o2770 },
      { path: vm.stateDirectory, uid: MANAGE_UID, gid, mode: 0o700 },
      { path: vm.etcDirectory, uid: 0, gid, mode: 0o750 },
      { path: vm.serialDirectory, uid: BRIDGE_UID, gid, mode: 0o2750 },
    );
  }
  for (const { path, uid, gid: group, mode } of directories) {
    mkdirSync(path, { recursive: true });
    chownSync(path, uid, group);
    chmodSync(path, mode);
  }
  writeFileSync(layout.nodeFile, "");
  for (const machine of listAppliances(plan)) {
    const files = layoutVm(layout, vmName(machine));
    if (machine.vmUid !== undefined) makeMachineDirectories(machine.vmUid, files);
  }
}

export function listAppliances(plan: LabPlan): readonly PlannedMachine[] {
  return plan.machines.filter((machine) => machine.kind === "appliance");
}

/** Writes a file that the processes' group may read. */
function writeShared(path: string, content: string): void {
  writeFileSync(path, content, { mode: 0o640 });
  chownSync(path, 0, FLOWLIFT_GID);
}

/** Makes the key pair of the NETCONF client and writes each appliance's files. */
export function writeApplianceFiles(
  layout: LabLayout,
  plan: LabPlan,
  definition: LabDefinition,
): void {
  const comment = `flowlift-lab-${plan.name}`;
  const inVms = listAppliances(plan).filter((machine) => machine.vmUid !== undefined);
  const vms = new Set(inVms.map(vmName));
  const keys = makeSshKeyPair(comment);
  writeFileSync(layout.clientKeyFile, keys.private, { mode: 0o600 });
  writeFileSync(`${layout.clientKeyFile}.pub`, `${keys.public}\n`, { mode: 0o644 });
  for (const tenant of definition.tenants) {
    for (const appliance of tenant.appliances) {
      const vmOrNone = vmName({ tenant: tenant.name, name: appliance.name });
      if (vms.has(vmOrNone)) continue; // A VM is told at its first boot.
      const vm = layoutVm(layout, vmOrNone);
      writeShared(vm.authorizedKeysFile, `${keys.public}\n`);
      writeShared(vm.dayZeroFile, JSON.stringify(appliance.configuration, null, 1));
      writeApplianceSettings(layout, tenant.name, appliance);
    }
  }
}

/** Writes the settings that an appliance's three processes share; a new boot id each time. */
export function writeApplianceSettings(
  layout: LabLayout,
  tenant: string,
  appliance: LabAppliance,
): void {
  const name = vmName({ tenant, name: appliance.name });
  const vm = layoutVm(layout, name);
  const settings = {
    name,
    runDirectory: vm.runDirectory,
    stateDirectory: vm.stateDirectory,
    netconf: {
      listen: [{ address: "::", port: 830 }],
      authorizedKeysFile: vm.authorizedKeysFile,
      users: [NETCONF_USER],
    },
    offloadPort: { kind: "unix", path: vm.serialSocket },
    interfaces: appliance.interfaces.map((entry) => entry.name),
    dayZeroConfigFile: vm.dayZeroFile,
    bootId: randomUUID(),
  };
  writeShared(vm.settingsFile, JSON.stringify(settings, null, 1));
}

/** Paths of what the host's processes read. */
export interface HostFiles {
  readonly agentSettings: string;
  readonly agentSocket: string;
  readonly pinDirectory: string;
  readonly bridgeSettings: string;
  readonly controllerSettings: string;
  readonly tokenFile: string;
  /** Written by the controller: where its NETCONF is. */
  readonly connectionFile: string;
}

/** Where the controller listens for bridges, inside the host's namespace. */
export const GRPC_ADDRESS = "127.0.0.1:7443";
/** Flows that the lab's fast path can hold. */
export const FLOWS_MAX = 131_072;

/** Returns the paths of the host's files. */
export function listHostFiles(layout: LabLayout): HostFiles {
  return {
    agentSettings: join(layout.agentDirectory, "settings.json"),
    agentSocket: join(layout.agentDirectory, "agent.sock"),
    pinDirectory: layout.pinDirectory,
    bridgeSettings: join(layout.bridgeDirectory, "settings.json"),
    controllerSettings: join(layout.controllerDirectory, "settings.json"),
    tokenFile: join(layout.controllerDirectory, "token"),
    connectionFile: join(layout.controllerDirectory, "run", "netconf.json"),
  };
}

/** Writes settings of agent, bridge and controller, and the token of the admin endpoint. */
export function writeHostFiles(
  layout: LabLayout,
  plan: LabPlan,
  definition: LabDefinition,
  driver: "agent" | "memory",
): void {
  const files = listHostFiles(layout);
  const hostName = HOST_NAME;
  writeShared(
    files.agentSettings,
    JSON.stringify({
      socketPath: files.agentSocket,
      pinDirectory: files.pinDirectory,
      hostName,
      flowsMax: FLOWS_MAX,
    }),
  );
  writeShared(
    files.bridgeSettings,
    JSON.stringify({
      hostName,
      controller: { address: GRPC_ADDRESS },
      pkiDirectory: join(layout.pkiDirectory, "bridge"),
      // Tenants that come later have their sockets here too.
      socketDirectory: join(layout.labDirectory, "vms"),
      vms: listAppliances(plan).map((machine) => ({
        tenant: machine.tenant,
        vm: vmName(machine),
        socketPath: layoutVm(layout, vmName(machine)).serialSocket,
        mode: "listen",
      })),
    }),
  );
  const configFile = join(layout.controllerDirectory, "config.json");
  const agentSocket = driver === "agent" ? files.agentSocket : undefined;
  const config = planControllerConfig(definition, plan, { agentSocket });
  writeShared(configFile, JSON.stringify(config, null, 1));
  writeShared(
    files.controllerSettings,
    JSON.stringify({
      stateDirectory: join(layout.controllerDirectory, "state"),
      runDirectory: join(layout.controllerDirectory, "run"),
      configFile,
      grpc: { address: GRPC_ADDRESS },
      pkiDirectory: join(layout.pkiDirectory, "controller"),
      admin: { listenFd: 3 },
      netconf: { listenFd: 4 },
      tokenFile: files.tokenFile,
      driver,
    }),
  );
  writeFileSync(files.tokenFile, `${randomBytes(TOKEN_BYTES).toString("hex")}\n`, { mode: 0o600 });
  chownSync(files.tokenFile, CONTROLLER_UID, FLOWLIFT_GID);
}
