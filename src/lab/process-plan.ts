/**
 * Which processes a lab runs, where, as whom, and in what order.
 *
 * Pure: paths and namespace holders come in, program words go out.
 */
import { join } from "node:path";
import { vmName } from "./controller-config.ts";
import type { LabDefinition } from "./definition.ts";
import { listHostFiles } from "./lab-files.ts";
import { type LabLayout, layoutVm } from "./layout.ts";
import type { LabPlan } from "./plan.ts";
import {
  formatSetpriv,
  machinePrivileges,
  PRIVILEGES,
  type Privileges,
  type ProcessKind,
} from "./privileges.ts";

/** A process of the lab before it is started. */
export interface PlannedProcess {
  /** `agent`, or `red-gw/data` for a process of an appliance. */
  readonly name: string;
  readonly kind: ProcessKind;
  /** Undefined: the host's namespaces. */
  readonly vm: string | undefined;
  /** User and group of a VM's QEMU; other kinds have theirs from PRIVILEGES. */
  readonly vmUid?: number;
  /** Empty where everything is said in words. */
  readonly settingsFile: string;
  /** Whether it inherits a listening socket. */
  readonly inheritsSocket: boolean;
  /** Processes of a lower tier are ready before this one starts. */
  readonly tier: number;
}

const APPLIANCE_KINDS = ["appliance-data", "appliance-helper", "appliance-manage"] as const;

/** Returns all processes of the lab that are among `kinds`. */
export function planProcesses(
  definition: LabDefinition,
  plan: LabPlan,
  layout: LabLayout,
  kinds: ReadonlySet<ProcessKind>,
): PlannedProcess[] {
  const files = listHostFiles(layout);
  const host = { vm: undefined, inheritsSocket: false };
  const all: PlannedProcess[] = [
    { ...host, name: "agent", kind: "agent", settingsFile: files.agentSettings, tier: 0 },
    {
      ...host,
      name: "controller",
      kind: "controller",
      settingsFile: files.controllerSettings,
      inheritsSocket: true,
      tier: 1,
    },
    { ...host, name: "bridge", kind: "bridge", settingsFile: files.bridgeSettings, tier: 1 },
  ];
  for (const tenant of definition.tenants) {
    for (const appliance of tenant.appliances.filter((entry) => entry.processes)) {
      const vm = vmName({ tenant: tenant.name, name: appliance.name });
      const machine = plan.machines.find((one) => vmName(one) === vm);
      all.push(
        ...(machine?.vmUid === undefined
          ? planNamespaceProcesses(vm, layoutVm(layout, vm).settingsFile)
          : planVmProcesses(vm, machine.vmUid)),
      );
    }
  }
  return all.filter((entry) => kinds.has(entry.kind));
}

function planNamespaceProcesses(vm: string, settingsFile: string): PlannedProcess[] {
  return APPLIANCE_KINDS.map((kind) => ({
    name: `${vm}/${kind.slice("appliance-".length)}`,
    kind,
    vm,
    settingsFile,
    inheritsSocket: kind === "appliance-manage",
    tier: kind === "appliance-manage" ? 1 : 0,
  }));
}

/** A VM boots while the host's own processes start; it is ready when it answers through its relay. */
function planVmProcesses(vm: string, vmUid: number): PlannedProcess[] {
  const base = { vm, vmUid, settingsFile: "", tier: 0 };
  return [
    { ...base, name: `${vm}/connect`, kind: "connect", inheritsSocket: true },
    { ...base, name: `${vm}/machine`, kind: "virtual-machine", inheritsSocket: false, tier: 1 },
  ];
}

/**
 * What every process of Flowlift gives Node: a nursery that does not start at 1 MB, since a storm of flows
 * would be copied in it again and again.
 */
export const NODE_FLAGS: readonly string[] = ["--min-semi-space-size=16"];

/** Returns the words that run Node with the lab's copy of the program. */
export function formatNodeWords(layout: LabLayout, distDirectory: string, entry: string): string[] {
  return [layout.nodeFile, ...NODE_FLAGS, join(layout.appDirectory, distDirectory, entry)];
}

/** Returns the whole command: enter the namespaces, take the privileges, run the program. */
export function formatProcessWords(
  planned: PlannedProcess,
  enterWords: readonly string[],
  programWords: readonly string[],
): string[] {
  return ["nsenter", ...enterWords, "--", ...formatSetpriv(privilegesOf(planned)), ...programWords];
}

/** A VM's relay serves on the starter's loopback; all others live in the lab's network. */
export function selectEnterWords(
  planned: PlannedProcess,
  holder: { readonly enterWords: readonly string[] },
): readonly string[] {
  if (planned.kind !== "connect") return holder.enterWords;
  return holder.enterWords.filter((word) => word.startsWith("--mount="));
}

function privilegesOf({ kind, vmUid }: PlannedProcess): Privileges {
  if (kind === "virtual-machine" && vmUid !== undefined) return machinePrivileges(vmUid);
  return PRIVILEGES[kind];
}

/** Returns the environment of a process: nothing of whoever started the lab. */
export function formatEnvironment(planned: PlannedProcess): Record<string, string> {
  const base = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8" };
  const count = listSocketNames(planned).length;
  return count === 0 ? base : { ...base, LISTEN_FDS: String(count) };
}

/** The controller's second inherited socket: NETCONF for operators. */
export const CONTROLLER_NETCONF = "controller/netconf";

/** Returns the names of the listening sockets that a process inherits, in order. */
export function listSocketNames(planned: PlannedProcess): readonly string[] {
  if (!planned.inheritsSocket) return [];
  return planned.kind === "controller" ? [planned.name, CONTROLLER_NETCONF] : [planned.name];
}
