/**
 * Puts together what a running lab tells about itself.
 *
 * Effect: asks each NETCONF server for its host key.
 */
import { vmName } from "./controller-config.ts";
import type { LabDefinition } from "./definition.ts";
import type {
  ApplianceDescription,
  HostDescription,
  InterfaceDescription,
  LabDescription,
} from "./description.ts";
import { fetchHostKey } from "./host-key.ts";
import { listHostFiles, NETCONF_USER } from "./lab-files.ts";
import { type LabLayout, layoutVm } from "./layout.ts";
import type { ListeningSocket } from "./listening-socket.ts";
import type { LabPlan, PlannedMachine } from "./plan.ts";
import type { LabVms } from "./vm/lab-vms.ts";

const LOOPBACK = "127.0.0.1";

export interface DescribeOptions {
  /** False for stand-ins that speak no SSH; the host key is then empty. */
  readonly asksHostKeys: boolean;
  readonly hasAgent: boolean;
  /** Undefined where appliances are namespaces. */
  readonly vms: LabVms | undefined;
}

/** Returns the description; `sockets` are by process name. */
export async function describeLab(
  definition: LabDefinition,
  plan: LabPlan,
  layout: LabLayout,
  sockets: ReadonlyMap<string, ListeningSocket>,
  options: DescribeOptions,
): Promise<LabDescription> {
  const machines = plan.machines.filter((machine) => machine.kind === "appliance");
  const appliances = await Promise.all(
    machines.map((machine) =>
      describeAppliance(machine, layout, findPort(sockets, vmName(machine)), options),
    ),
  );
  const files = listHostFiles(layout);
  const admin = sockets.get("controller");
  return {
    name: plan.name,
    appliances,
    hosts: plan.machines.filter((machine) => machine.kind === "host").map(describeHost),
    ...(admin === undefined
      ? {}
      : {
          controller: {
            adminUrl: `http://${LOOPBACK}:${admin.port}`,
            tokenFile: files.tokenFile,
            connectionFile: files.connectionFile,
          },
        }),
    host: {
      netns: plan.hostNetns,
      segments: plan.segments.map((segment) => ({ ...segment })),
    },
    ...(options.hasAgent
      ? { agent: { socketPath: files.agentSocket, pinDirectory: files.pinDirectory } }
      : {}),
    tenants: definition.tenants.map((tenant) => tenant.name),
    logDirectory: layout.logDirectory,
  };
}

/** The relay of a VM, or the appliance's own process. */
function findPort(sockets: ReadonlyMap<string, ListeningSocket>, vm: string): number | undefined {
  return (sockets.get(`${vm}/connect`) ?? sockets.get(`${vm}/manage`))?.port;
}

async function describeAppliance(
  machine: PlannedMachine,
  layout: LabLayout,
  port: number | undefined,
  { asksHostKeys, vms }: DescribeOptions,
): Promise<ApplianceDescription> {
  const vm = vmName(machine);
  const described = vms?.describe(vm);
  const base = {
    name: machine.name,
    tenant: machine.tenant,
    vm,
    netns: machine.netns,
    serialSocket: layoutVm(layout, vm).serialSocket,
    ...(described === undefined
      ? {}
      : { manageSocket: layoutVm(layout, vm).manageSocket, machine: described }),
    interfaces: machine.interfaces.map(
      (entry): InterfaceDescription => ({
        name: entry.name,
        mac: entry.mac,
        addresses: entry.addresses,
        segment: entry.segment,
        hostPort: entry.port.interfaceName,
      }),
    ),
  };
  if (port === undefined) return base;
  const hostKey = asksHostKeys ? await fetchHostKey(LOOPBACK, port) : "";
  if (asksHostKeys && described !== undefined) vms?.checkHostKey(vm, hostKey);
  const netconf = {
    host: LOOPBACK,
    port,
    user: NETCONF_USER,
    keyFile: layout.clientKeyFile,
    hostKey,
  };
  return { ...base, netconf };
}

function describeHost(machine: PlannedMachine): HostDescription {
  const [entry] = machine.interfaces;
  return {
    name: machine.name,
    tenant: machine.tenant,
    netns: machine.netns,
    addresses: entry?.addresses.map((address) => address.split("/")[0] ?? address) ?? [],
    mac: entry?.mac ?? "",
    segment: entry?.segment ?? "",
    interface: entry?.name ?? "",
    hostPort: entry?.port.interfaceName ?? "",
  };
}
