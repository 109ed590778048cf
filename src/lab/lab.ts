/**
 * A running lab, in the process that calls `startLab()`: it supervises until `stop()`.
 *
 *     const lab = await startLab(readLabFile(file), { name: "t1", log });
 *     const outcome = await lab.run("red/client1", ["ping", "-c1", "192.0.2.100"]);
 *     await lab.stopProcess("bridge");
 *     await lab.startProcess("bridge");
 *     await lab.stop();
 *
 * Effect: namespaces, processes and files; all of them are gone after `stop()`. When the calling process
 * is killed its children die with it, and the next start removes the rest.
 */
import type { ChildProcess } from "node:child_process";
import { FlowliftError } from "../lib/base/errors.ts";
import { removeLab } from "./clean-up.ts";
import type { LabAppliance, LabDefinition } from "./definition.ts";
import type { LabDescription, LabState, ProcessDescription } from "./description.ts";
import { writeApplianceSettings } from "./lab-files.ts";
import type { LabProcesses } from "./lab-processes.ts";
import { writeLabState } from "./lab-state.ts";
import type { LabLayout } from "./layout.ts";
import type { ListeningSocket } from "./listening-socket.ts";
import {
  type ExecOptions,
  execInside,
  type RunOptions,
  type RunOutcome,
  runInside,
} from "./machine-exec.ts";
import type { Holder } from "./mount-space.ts";
import { netnsPath } from "./namespaces.ts";
import { formatNodeWords } from "./process-plan.ts";
import type { LabMachine } from "./vm/lab-machine.ts";

/** Of programs on the lab's hosts; real ones would have processors of their own. */
export const HOST_NICENESS = 10;

/** What `startLab()` hands over. */
export interface LabParts {
  readonly layout: LabLayout;
  readonly definition: LabDefinition;
  readonly distDirectory: string;
  readonly space: Holder;
  readonly holders: readonly Holder[];
  readonly sockets: ReadonlyMap<string, ListeningSocket>;
  readonly processes: LabProcesses;
  /** By VM; empty where appliances are namespaces. */
  readonly machines: ReadonlyMap<string, LabMachine>;
  readonly description: LabDescription;
  /** Returns the state; from then on only the lab itself writes it. */
  readonly freezeState: () => LabState;
}

export class Lab {
  readonly description: LabDescription;
  readonly #parts: LabParts;
  #stopping: Promise<void> | undefined;

  constructor(parts: LabParts) {
    this.#parts = parts;
    this.description = parts.description;
  }

  /**
   * Starts a program on a machine: `tenant/host`, `tenant/appliance` or `host`. As nobody unless
   * `privileges` says otherwise; it ends when this process ends.
   */
  exec(machine: string, argv: readonly string[], options: ExecOptions = {}): ChildProcess {
    return execInside(this.#enterWords(machine), this.#yielding(machine, argv), options);
  }

  /** Runs a program on a machine to its end. */
  async run(
    machine: string,
    argv: readonly string[],
    options: RunOptions = {},
  ): Promise<RunOutcome> {
    return await runInside(this.#enterWords(machine), argv, options);
  }

  /** Returns the words that run a file of the built program (`lab/traffic/main.js`) on any machine. */
  nodeWords(entry: string): string[] {
    return formatNodeWords(this.#parts.layout, this.#parts.distDirectory, entry);
  }

  /** Returns the network namespace of a machine. */
  netnsOf(machine: string): string {
    if (machine === "host") return this.description.host.netns;
    const all = [...this.description.appliances, ...this.description.hosts];
    const found = all.find((entry) => `${entry.tenant}/${entry.name}` === machine);
    if (found !== undefined && "machine" in found) {
      throw new FlowliftError("LAB_FAILED", `"${machine}" is a VM: no program can be run in it`);
    }
    if (found !== undefined) return found.netns;
    throw new FlowliftError("LAB_FAILED", `The lab has no machine "${machine}"`);
  }

  /** Hosts stand for machines of their own: their programs give way to the appliances and the host. */
  #yielding(machine: string, argv: readonly string[]): readonly string[] {
    const isHost = this.description.hosts.some(
      ({ tenant, name }) => `${tenant}/${name}` === machine,
    );
    return isHost ? ["nice", "-n", `${HOST_NICENESS}`, ...argv] : argv;
  }

  #enterWords(machine: string): string[] {
    const mount = this.#parts.space.enterWords.filter((word) => word.startsWith("--mount="));
    return [...mount, `--net=${netnsPath(this.netnsOf(machine))}`];
  }

  /** Returns all processes: `agent`, `controller`, `bridge`, `red-gw/data`, … */
  listProcesses(): ProcessDescription[] {
    return this.#parts.processes.describe();
  }

  /** Ends a process; it stays down until `startProcess()`. */
  async stopProcess(name: string, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    await this.#parts.processes.get(name).stop(signal);
  }

  /** Starts a stopped process and waits until it is ready. */
  async startProcess(name: string): Promise<void> {
    await this.#parts.processes.get(name).start();
  }

  /** Sends a signal to a process; if it ends, it is restarted after a pause. */
  signalProcess(name: string, signal: NodeJS.Signals): void {
    this.#parts.processes.get(name).signal(signal);
  }

  /** Waits until a process is ready (again). */
  async waitReady(name: string): Promise<void> {
    await this.#parts.processes.get(name).waitReady();
  }

  /** Returns a VM (`red-gw`). Throws LAB_FAILED where the appliance is a namespace. */
  machine(vm: string): LabMachine {
    const found = this.#parts.machines.get(vm);
    if (found !== undefined) return found;
    throw new FlowliftError("LAB_FAILED", `The lab has no VM "${vm}"`);
  }

  /** Reboots an appliance (`red-gw`): its processes start again under a new boot id. */
  async rebootAppliance(vm: string): Promise<void> {
    if (this.#parts.machines.has(vm)) {
      await this.machine(vm).reboot();
      return;
    }
    await this.haltAppliance(vm);
    await this.startAppliance(vm);
  }

  /** Kills an appliance's processes and empties its kernel state, as a power cut does. */
  async haltAppliance(vm: string): Promise<void> {
    const { tenant, appliance } = this.#findAppliance(vm);
    for (const kind of ["manage", "data", "helper"]) {
      await this.stopProcess(`${vm}/${kind}`, "SIGKILL");
    }
    const words = ["sh", "-c", "nft flush ruleset; conntrack -F >/dev/null 2>&1 || true"];
    const privileges = { uid: 0, gid: 0, capabilities: "all" } as const;
    await this.run(`${tenant}/${appliance.name}`, words, { privileges });
  }

  /** Starts the processes of a halted appliance under a new boot id. */
  async startAppliance(vm: string): Promise<void> {
    const { tenant, appliance } = this.#findAppliance(vm);
    writeApplianceSettings(this.#parts.layout, tenant, appliance);
    const kinds = ["data", "helper", "manage"]; // Together, as in a VM: none waits for another to be there.
    await Promise.all(kinds.map((kind) => this.startProcess(`${vm}/${kind}`)));
  }

  #findAppliance(vm: string): { tenant: string; appliance: LabAppliance } {
    for (const tenant of this.#parts.definition.tenants) {
      for (const appliance of tenant.appliances) {
        if (`${tenant.name}-${appliance.name}` === vm) return { tenant: tenant.name, appliance };
      }
    }
    throw new FlowliftError("LAB_FAILED", `The lab has no appliance "${vm}"`);
  }

  /** Stops every process and removes everything the lab made. May be called again. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const { layout, processes, holders, sockets, freezeState } = this.#parts;
    const state = freezeState();
    writeLabState(layout, { ...state, status: "stopping" });
    await processes.stopAll();
    for (const socket of sockets.values()) socket.close();
    for (const holder of holders) holder.kill();
    await removeLab(layout, state);
  }
}
