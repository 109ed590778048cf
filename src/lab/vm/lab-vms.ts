/**
 * The VMs of one lab: their files, their QEMUs, their consoles.
 *
 * Effect: see machine-files.ts and lab-machine.ts.
 */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { FlowliftError } from "../../lib/base/errors.ts";
import { formatQemuWords } from "../../lib/guest/qemu-words.ts";
import type { VmSpec } from "../../lib/guest/vm-spec.ts";
import { vmName } from "../controller-config.ts";
import type { LabDefinition } from "../definition.ts";
import type { MachineDescription } from "../description.ts";
import { NETCONF_USER } from "../lab-files.ts";
import type { LabProcesses } from "../lab-processes.ts";
import { type LabLayout, layoutVm, type VmLayout } from "../layout.ts";
import type { LabPlan, PlannedMachine } from "../plan.ts";
import type { PlannedProcess } from "../process-plan.ts";
import type { ProcessSpec } from "../supervised-process.ts";
import { awaitNetconf } from "./await-netconf.ts";
import { ConsoleLog } from "./console-log.ts";
import { LabMachine } from "./lab-machine.ts";
import { makeDataDisk, writeSeeds } from "./machine-files.ts";
import { planVm } from "./machine-spec.ts";
import { type LabVmOptions, VM_READY_TIMEOUT_MS } from "./vm-options.ts";

/** QEMU's sockets are for its own user and the group of their directory. */
const WITHOUT_OTHERS = ["sh", "-c", 'umask 0007; exec "$@"', "sh"];

interface LabVm {
  readonly machine: PlannedMachine;
  readonly uid: number;
  readonly files: VmLayout;
  readonly spec: VmSpec;
  readonly console: ConsoleLog;
}

export class LabVms {
  readonly options: LabVmOptions;
  readonly #layout: LabLayout;
  readonly #vms: ReadonlyMap<string, LabVm>;

  constructor(plan: LabPlan, layout: LabLayout, options: LabVmOptions) {
    this.options = options;
    this.#layout = layout;
    this.#vms = new Map(
      plan.machines.flatMap((machine) => {
        if (machine.vmUid === undefined) return [];
        const files = layoutVm(layout, vmName(machine));
        const spec = planVm(machine, plan.name, layout, files, options);
        const console = new ConsoleLog(files.consoleFile);
        return [[spec.name, { machine, uid: machine.vmUid, files, spec, console }] as const];
      }),
    );
  }

  /** Writes first-boot documents and empty data disks; the client's key exists already. */
  async prepare(definition: LabDefinition): Promise<void> {
    const publicKey = readFileSync(`${this.#layout.clientKeyFile}.pub`, "utf8").trim();
    for (const [name, { machine, uid, files }] of this.#vms) {
      const tenant = definition.tenants.find((one) => one.name === machine.tenant);
      const found = tenant?.appliances.find((one) => one.name === machine.name);
      const configuration = found?.configuration ?? {};
      const facts = { hostName: name, publicKey, configuration };
      const { changeSeeds } = this.options;
      writeSeeds(machine, uid, files, facts, (seeds) => changeSeeds?.(name, seeds) ?? seeds);
      await makeDataDisk(uid, files);
    }
  }

  /** Returns the program of a VM's process; `mainWords` run Flowlift. */
  formatProgram(planned: PlannedProcess, mainWords: readonly string[]): readonly string[] {
    const { machine, files, spec } = this.#get(planned.vm ?? "");
    if (planned.kind === "virtual-machine") return [...WITHOUT_OTHERS, ...formatQemuWords(spec)];
    const name = `${machine.tenant}/${machine.name}`;
    return [...mainWords, "connect", name, "--socket", files.manageSocket];
  }

  /** Returns how a VM is supervised: its console is kept, and it is ready when NETCONF answers on `port`. */
  superviseBy(planned: PlannedProcess, port: number): Partial<ProcessSpec> {
    if (planned.kind !== "virtual-machine") return {};
    const { console } = this.#get(planned.vm ?? "");
    const place = {
      host: "127.0.0.1",
      port,
      user: NETCONF_USER,
      keyFile: this.#layout.clientKeyFile,
    };
    return {
      onOutput: (chunk) => console.append(chunk),
      readTail: () => {
        const tail = console.readTail();
        return tail === "" ? "its console stayed empty" : `its console: ${tail}`;
      },
      readyTimeoutMs: VM_READY_TIMEOUT_MS[this.options.choice.accelerator],
      untilServing: async (signal) => {
        if (this.options.awaitsNetconf !== false) await awaitNetconf(place, signal);
      },
    };
  }

  describe(name: string): MachineDescription | undefined {
    const vm = this.#vms.get(name);
    if (vm === undefined) return undefined;
    const { choice, image } = this.options;
    return {
      accelerator: choice.accelerator,
      acceleratorReason: choice.reason,
      imageVersion: image.version,
      memoryMib: vm.spec.memoryMib,
      qmpSocket: vm.files.qmpSocket,
      dataDisk: vm.files.dataDisk,
      consoleFile: vm.files.consoleFile,
    };
  }

  /**
   * Throws LAB_FAILED unless the VM's console, which only the VM writes and only its host reads, shows the
   * fingerprint of this host key.
   */
  checkHostKey(name: string, hostKey: string): void {
    const fingerprint = formatFingerprint(hostKey);
    if (this.#get(name).console.read().includes(fingerprint)) return;
    const text = `The console of VM "${name}" does not show the fingerprint ${fingerprint} of its host key`;
    throw new FlowliftError("LAB_FAILED", text);
  }

  /** Returns the handles of all VMs, by name. */
  listMachines(processes: LabProcesses): Map<string, LabMachine> {
    const machines = [...this.#vms].map(([name, { spec, uid, files, console }]) => {
      const process = processes.get(`${name}/machine`);
      return [name, new LabMachine({ spec, uid, files, console, process })] as const;
    });
    return new Map(machines);
  }

  #get(name: string): LabVm {
    const found = this.#vms.get(name);
    if (found !== undefined) return found;
    throw new FlowliftError("LAB_FAILED", `The lab has no VM "${name}"`);
  }
}

/** Returns `SHA256:…` of a host key (`algorithm base64`), as OpenSSH prints it. */
export function formatFingerprint(hostKey: string): string {
  const blob = Buffer.from(hostKey.split(" ")[1] ?? "", "base64");
  return `SHA256:${createHash("sha256").update(blob).digest("base64").replace(/=+$/, "")}`;
}
