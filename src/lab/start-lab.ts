/**
 * Builds a lab step by step; what was built is removed again when a step fails.
 *
 * Effect: see lab.ts.
 */
import { existsSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { FlowliftError } from "../lib/base/errors.ts";
import { createLog, type Log } from "../lib/base/log.ts";
import { findProjectRoot } from "../lib/base/project-root.ts";
import { removeDeadLabs, removeLab } from "./clean-up.ts";
import { CONNTRACK_MAX_FILE, raiseConntrackLimit } from "./conntrack-limit.ts";
import { vmName } from "./controller-config.ts";
import type { LabDefinition } from "./definition.ts";
import { describeLab } from "./describe-lab.ts";
import type { LabDescription, LabState } from "./description.ts";
import { Lab } from "./lab.ts";
import {
  listAppliances,
  makeDirectories,
  writeApplianceFiles,
  writeHostFiles,
} from "./lab-files.ts";
import { writeLabKeys } from "./lab-keys.ts";
import { LabProcesses } from "./lab-processes.ts";
import { assertLabAbsent, claimLab, readBootId, writeLabState } from "./lab-state.ts";
import { type LabLayout, layoutLab, layoutVm, RUN_DIRECTORY_DEFAULT } from "./layout.ts";
import { type ListeningSocket, openListeningSocket } from "./listening-socket.ts";
import {
  formatLabSpaceScript,
  formatVmSpaceScript,
  type Holder,
  holdLabSpace,
  holdVmSpace,
} from "./mount-space.ts";
import { createNamespaces, isNetnsDirectoryMounted, netnsPath } from "./namespaces.ts";
import { type LabPlan, listNamespaces, planLab } from "./plan.ts";
import { PRIVILEGES, type ProcessKind } from "./privileges.ts";
import {
  formatNodeWords,
  listSocketNames,
  type PlannedProcess,
  planProcesses,
  selectEnterWords,
} from "./process-plan.ts";
import { recordProcess } from "./process-record.ts";
import { LabVms } from "./vm/lab-vms.ts";
import type { LabVmOptions } from "./vm/vm-options.ts";
import { formatVmSpaceLines } from "./vm/vm-space.ts";

export interface StartLabOptions {
  /** Default: the name in the definition. */
  readonly name?: string;
  /** Default: /run/flowlift. */
  readonly runDirectory?: string;
  /** Where the built program is, from the project's root. Default: dist. */
  readonly distDirectory?: string;
  /** Which kinds of processes run. Default: all. */
  readonly processes?: readonly ProcessKind[];
  /** Which fast-path driver the controller uses. Default: agent. */
  readonly driver?: "agent" | "memory";
  /** Runs another program in place of Flowlift's; it gets the same namespaces and privileges. */
  readonly programWordsOf?: (planned: PlannedProcess) => readonly string[];
  /** Appliances are VMs under QEMU. Default: network namespaces. */
  readonly vm?: LabVmOptions;
  /** Ends the start; what was built is removed, and the promise rejects. */
  readonly signal?: AbortSignal;
  readonly log?: Log;
  /** Gets lines that a person should see. */
  readonly announce?: (line: string) => void;
}

const ALL_KINDS = Object.keys(PRIVILEGES) as ProcessKind[];

/** Returns the name when it can be part of a namespace's name; throws USAGE otherwise. */
export function checkLabName(name: string): string {
  if (/^[a-z][a-z0-9-]{0,11}$/.test(name)) return name;
  const rule = "1 to 12 lower-case letters, digits and hyphens, a letter first";
  throw new FlowliftError("USAGE", `"${name}" cannot name a lab: ${rule}`);
}

/** Starts a lab; it runs until `stop()`. Throws LAB_FAILED, ENVIRONMENT_LACKS, PORT_IN_USE. */
export async function startLab(
  definition: LabDefinition,
  options: StartLabOptions = {},
): Promise<Lab> {
  if (process.getuid?.() !== 0) {
    throw new FlowliftError("ENVIRONMENT_LACKS", "A lab needs root: it makes network namespaces");
  }
  const log = options.log ?? createLog("lab", "warn");
  const runDirectory = options.runDirectory ?? RUN_DIRECTORY_DEFAULT;
  await removeDeadLabs(runDirectory, log);
  const name = checkLabName(options.name ?? definition.name);
  const plan = planLab(definition, name, { inVms: options.vm !== undefined });
  const layout = layoutLab(runDirectory, name);
  const builder = new LabBuilder(definition, plan, layout, options, log);
  assertLabAbsent(layout, name);
  builder.claim();
  try {
    return await builder.build();
  } catch (error) {
    await builder.undo();
    throw error;
  }
}

class LabBuilder {
  readonly #definition: LabDefinition;
  readonly #plan: LabPlan;
  readonly #layout: LabLayout;
  readonly #options: StartLabOptions;
  readonly #log: Log;
  readonly #sockets = new Map<string, ListeningSocket>();
  readonly #vmHolders = new Map<string, Holder>();
  readonly #netnsDirectoryWasMounted = isNetnsDirectoryMounted();
  readonly #vms: LabVms | undefined;
  #space: Holder | undefined;
  #processes: LabProcesses | undefined;
  #description: LabDescription | undefined;
  #stopped = false;

  constructor(
    definition: LabDefinition,
    plan: LabPlan,
    layout: LabLayout,
    options: StartLabOptions,
    log: Log,
  ) {
    this.#definition = definition;
    this.#plan = plan;
    this.#layout = layout;
    this.#options = options;
    this.#log = log;
    if (options.vm !== undefined) this.#vms = new LabVms(plan, layout, options.vm);
  }

  /** Undoing a start removes namespaces by name, so none of them may be somebody else's. */
  claim(): void {
    const taken = listNamespaces(this.#plan).find((name) => existsSync(netnsPath(name)));
    if (taken !== undefined) {
      const text = `The namespace "${taken}" exists already; give the lab another name`;
      throw new FlowliftError("LAB_FAILED", text);
    }
    claimLab(this.#layout, this.#readState());
  }

  async build(): Promise<Lab> {
    const layout = this.#layout;
    const limit = { runDirectory: layout.runDirectory, limitFile: CONNTRACK_MAX_FILE };
    const raised = raiseConntrackLimit(limit, this.#plan.name);
    if (raised !== undefined) this.#options.announce?.(raised);
    this.#checkAborted();
    makeDirectories(layout, this.#plan);
    writeLabKeys(layout);
    writeApplianceFiles(layout, this.#plan, this.#definition);
    writeHostFiles(layout, this.#plan, this.#definition, this.#options.driver ?? "agent");
    await this.#vms?.prepare(this.#definition);
    await createNamespaces(this.#plan);
    this.#checkAborted();
    const space = await this.#holdSpaces();
    const planned = planProcesses(this.#definition, this.#plan, layout, this.#kinds());
    this.#openSockets(planned);
    const processes = this.#prepareProcesses(planned, space);
    this.#processes = processes;
    this.#checkAborted();
    const onAbort = (): void => void processes.stopAll(); // Whoever waits for them is told.
    this.#options.signal?.addEventListener("abort", onAbort, { once: true });
    await processes.startAll();
    this.#options.signal?.removeEventListener("abort", onAbort);
    this.#checkAborted();
    const { programWordsOf, vm } = this.#options;
    const description = await describeLab(this.#definition, this.#plan, layout, this.#sockets, {
      asksHostKeys: programWordsOf === undefined && vm?.awaitsNetconf !== false,
      hasAgent: this.#kinds().has("agent"),
      vms: this.#vms,
    });
    this.#description = description;
    this.#save();
    return new Lab({
      layout,
      definition: this.#definition,
      distDirectory: this.#distDirectory(),
      space,
      holders: [...this.#vmHolders.values(), space],
      sockets: this.#sockets,
      processes,
      machines: this.#vms?.listMachines(processes) ?? new Map(),
      description,
      freezeState: () => {
        this.#stopped = true;
        return this.#readState();
      },
    });
  }

  #checkAborted(): void {
    if (this.#options.signal?.aborted === true) {
      throw new FlowliftError("LAB_FAILED", "The start of the lab was interrupted");
    }
  }

  async undo(): Promise<void> {
    this.#stopped = true;
    await this.#processes?.stopAll();
    for (const socket of this.#sockets.values()) socket.close();
    for (const holder of [...this.#vmHolders.values(), this.#space]) holder?.kill();
    await removeLab(this.#layout, this.#readState());
  }

  #kinds(): Set<ProcessKind> {
    const kinds = new Set(this.#options.processes ?? ALL_KINDS);
    if (this.#options.driver === "memory") kinds.delete("agent");
    return kinds;
  }

  #distDirectory(): string {
    return this.#options.distDirectory ?? "dist";
  }

  async #holdSpaces(): Promise<Holder> {
    const layout = this.#layout;
    const node = realpathSync(process.execPath);
    const lines = this.#vms === undefined ? [] : formatVmSpaceLines(layout, this.#vms.options);
    const script = formatLabSpaceScript(layout, findProjectRoot(), node, lines);
    const space = await holdLabSpace(this.#plan.hostNetns, script);
    this.#space = space;
    for (const machine of listAppliances(this.#plan).filter((one) => one.vmUid === undefined)) {
      const vm = vmName(machine);
      const vmScript = formatVmSpaceScript(layout, layoutVm(layout, vm), vm);
      this.#vmHolders.set(vm, await holdVmSpace(space, machine.netns, vmScript));
    }
    this.#save();
    return space;
  }

  #openSockets(planned: readonly PlannedProcess[]): void {
    for (const entry of planned.filter((one) => one.inheritsSocket)) {
      const port =
        entry.vm === undefined ? this.#definition.adminPort : this.#netconfPort(entry.vm);
      for (const name of listSocketNames(entry)) {
        this.#sockets.set(name, openListeningSocket(name === entry.name ? port : 0));
      }
    }
  }

  #netconfPort(vm: string): number {
    const appliances = this.#definition.tenants.flatMap((tenant) =>
      tenant.appliances.map((appliance) => ({ tenant: tenant.name, ...appliance })),
    );
    return appliances.find((appliance) => vmName(appliance) === vm)?.netconfPort ?? 0;
  }

  #prepareProcesses(planned: readonly PlannedProcess[], space: Holder): LabProcesses {
    const main = formatNodeWords(this.#layout, this.#distDirectory(), join("cli", "main.js"));
    const vms = this.#vms;
    const own = (entry: PlannedProcess): readonly string[] =>
      entry.vmUid === undefined || vms === undefined
        ? [...main, entry.kind, "--settings", entry.settingsFile]
        : vms.formatProgram(entry, main);
    return new LabProcesses({
      layout: this.#layout,
      planned,
      enterWordsOf: (entry) =>
        selectEnterWords(entry, this.#vmHolders.get(entry.vm ?? "") ?? space),
      programWordsOf: this.#options.programWordsOf ?? own,
      sockets: this.#sockets,
      log: this.#log,
      onChange: () => this.#save(),
      superviseBy: (entry) =>
        vms?.superviseBy(entry, this.#sockets.get(`${entry.vm}/connect`)?.port ?? 0) ?? {},
    });
  }

  #save(): void {
    if (!this.#stopped) writeLabState(this.#layout, this.#readState());
  }

  #readState(): LabState {
    const supervisor = recordProcess(process.pid);
    if (supervisor === undefined) throw new FlowliftError("LAB_FAILED", "/proc is not readable");
    const holders = [...this.#vmHolders.values(), this.#space].flatMap((holder) =>
      holder === undefined ? [] : [holder.record],
    );
    return {
      version: 1,
      name: this.#plan.name,
      bootId: readBootId(),
      supervisor,
      status: this.#description === undefined ? "starting" : "running",
      netnsDirectoryWasMounted: this.#netnsDirectoryWasMounted,
      namespaces: listNamespaces(this.#plan),
      holders,
      processes: this.#processes?.describe() ?? [],
      ...(this.#description === undefined ? {} : { description: this.#description }),
    };
  }
}
