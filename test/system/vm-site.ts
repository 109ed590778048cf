/** One tenant whose appliance is a real VM, and what the tests ask of it. */
import { readMetrics } from "../../src/cli/demo/metrics.ts";
import { NetconfClient } from "../../src/cli/netconf-client.ts";
import type { LabDefinition } from "../../src/lab/definition.ts";
import type { Lab } from "../../src/lab/lab.ts";
import { defaultLabFile, readLabFile } from "../../src/lab/lab-file.ts";
import { startLab } from "../../src/lab/start-lab.ts";
import type { LabMachine } from "../../src/lab/vm/lab-machine.ts";
import type { LabVmOptions } from "../../src/lab/vm/vm-options.ts";
import { createLog } from "../../src/lib/base/log.ts";
import { LabCli } from "../support/lab-cli.ts";
import { LAB_DIST_DIRECTORY } from "../support/lab-dist.ts";

export const VM = "red-gw";
export const SERVER = "192.0.2.100";
/** Of a VM in the tests: its dump is scanned. */
export const VM_MEMORY_MIB = 384;
const SILENT_LOG = createLog("lab", "error");

export interface VmSite {
  readonly cli: LabCli;
  readonly lab: Lab;
  readonly machine: LabMachine;
  /** Opens a session through the management port; `hostKey` where nobody has asked for it yet. */
  openNetconf(hostKey?: string): Promise<NetconfClient>;
  stop(): Promise<void>;
}

/** Returns the demo's lab with its first tenant alone. */
export function oneTenant(): LabDefinition {
  const all = readLabFile(defaultLabFile());
  return { ...all, tenants: all.tenants.filter(({ name }) => name === "red") };
}

/** Starts the lab; its VM answers NETCONF unless `vm` says that nobody waits for that. */
export async function startVmSite(vm: LabVmOptions): Promise<VmSite> {
  const cli = new LabCli();
  const lab = await startLab(oneTenant(), {
    name: cli.name,
    runDirectory: cli.runDirectory,
    distDirectory: LAB_DIST_DIRECTORY,
    log: SILENT_LOG,
    vm: { memoryMib: VM_MEMORY_MIB, processors: 2, ...vm },
  });
  const netconf = lab.description.appliances.find((one) => one.vm === VM)?.netconf;
  if (netconf === undefined) throw new Error("the lab describes its VM");
  return {
    cli,
    lab,
    machine: lab.machine(VM),
    openNetconf: (hostKey = netconf.hostKey) => NetconfClient.connect({ ...netconf, hostKey }),
    stop: async () => {
      await lab.stop();
      cli.dispose();
    },
  };
}

/** Returns how many of the VM's flows the fast path holds. */
export async function countFastFlows(lab: Lab): Promise<number> {
  for (const [key, value] of await readMetrics(lab)) {
    if (key.startsWith("flowlift_flows{") && key.includes('state="active"')) return value;
  }
  return 0;
}

/** Returns text between an element's tags, or undefined. */
export function readElement(reply: string, name: string): string | undefined {
  return new RegExp(`<(?:\\w+:)?${name}(?: [^>]*)?>([^<]*)<`).exec(reply)?.[1];
}
