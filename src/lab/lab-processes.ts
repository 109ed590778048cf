/**
 * All supervised processes of a lab, started tier by tier.
 *
 * Effect: starts and stops processes.
 */
import { join } from "node:path";
import { FlowliftError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import type { ProcessDescription } from "./description.ts";
import type { LabLayout } from "./layout.ts";
import type { ListeningSocket } from "./listening-socket.ts";
import {
  formatEnvironment,
  formatProcessWords,
  listSocketNames,
  type PlannedProcess,
} from "./process-plan.ts";
import { type ProcessSpec, SupervisedProcess } from "./supervised-process.ts";

export interface LabProcessesOptions {
  readonly layout: LabLayout;
  readonly planned: readonly PlannedProcess[];
  /** Words of `nsenter` for a process. */
  readonly enterWordsOf: (planned: PlannedProcess) => readonly string[];
  /** The program itself. */
  readonly programWordsOf: (planned: PlannedProcess) => readonly string[];
  /** By process name. */
  readonly sockets: ReadonlyMap<string, ListeningSocket>;
  readonly log: Log;
  readonly onChange: () => void;
  /** How a process is supervised otherwise than by the word READY. */
  readonly superviseBy: (planned: PlannedProcess) => Partial<ProcessSpec>;
}

export class LabProcesses {
  readonly #options: LabProcessesOptions;
  readonly #processes = new Map<string, SupervisedProcess>();

  constructor(options: LabProcessesOptions) {
    this.#options = options;
    for (const planned of options.planned) {
      this.#processes.set(planned.name, this.#prepare(planned));
    }
  }

  #prepare(planned: PlannedProcess): SupervisedProcess {
    const { superviseBy } = this.#options;
    const { layout, enterWordsOf, programWordsOf, sockets, log, onChange } = this.#options;
    const listenFds = listSocketNames(planned).flatMap((name) => sockets.get(name)?.fd ?? []);
    const argv = formatProcessWords(planned, enterWordsOf(planned), programWordsOf(planned));
    const spec = {
      name: planned.name,
      argv,
      environment: formatEnvironment(planned),
      logFile: join(layout.logDirectory, `${planned.name.replace("/", "-")}.log`),
      ...(listenFds.length === 0 ? {} : { listenFds }),
      ...superviseBy(planned),
    };
    return new SupervisedProcess(spec, log, onChange);
  }

  /** Starts all processes; those of one tier together, the next tier when they are ready. */
  async startAll(): Promise<void> {
    const tiers = [...new Set(this.#options.planned.map((planned) => planned.tier))].sort();
    for (const tier of tiers) {
      const names = this.#options.planned.filter((planned) => planned.tier === tier);
      await settleAll(names.map((planned) => this.get(planned.name).start()));
    }
  }

  /** Stops all processes, together. */
  async stopAll(): Promise<void> {
    await Promise.all([...this.#processes.values()].map((entry) => entry.stop()));
  }

  /** Returns a process by name. Throws LAB_FAILED when the lab has none of that name. */
  get(name: string): SupervisedProcess {
    const found = this.#processes.get(name);
    if (found !== undefined) return found;
    const known = [...this.#processes.keys()].join(", ");
    throw new FlowliftError("LAB_FAILED", `The lab has no process "${name}", only: ${known}`);
  }

  describe(): ProcessDescription[] {
    return [...this.#processes.values()].map((entry) => ({
      name: entry.spec.name,
      state: entry.state,
      restartCount: entry.restartCount,
      ...(entry.record === undefined ? {} : { record: entry.record }),
    }));
  }
}

/** Waits for all, then throws the first failure: nothing is left half-started in the background. */
async function settleAll(promises: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(promises)).find((one) => one.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
