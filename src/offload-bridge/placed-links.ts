/**
 * Opens and closes links as the controller places virtual machines, one change at a time.
 *
 * Effect: through the LinkSet. A link of the settings file is never touched, whatever the controller says.
 * Limit: a list that comes while another is carried out waits; only the newest does. What cannot be opened is
 * tried again every PLACEMENT_RETRY_MS.
 */
import { describeError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import type { Result } from "../lib/base/result.ts";
import type { Placement, PlacementProblem } from "../offload-protocol/placements.ts";
import { type LinkSet, linkKey } from "./link-set.ts";
import type { PlaceProblem } from "./socket-place.ts";

export const PLACEMENT_RETRY_MS = 1_000;

export interface PlacedLinksOptions {
  readonly links: Pick<LinkSet, "add" | "has" | "remove">;
  /** Says where a socket really is, or why it may not be opened. */
  readonly resolve: (path: string) => Result<string, PlaceProblem>;
  /** Told whenever it changes what cannot be opened. */
  readonly onProblems: (problems: readonly PlacementProblem[]) => void;
  readonly log: Log;
}

/** The links that the controller asked for. */
export class PlacedLinks {
  readonly #options: PlacedLinksOptions;
  /** What is open, by key. */
  readonly #open = new Map<string, Placement>();
  #wanted: readonly Placement[] = [];
  #problems: readonly PlacementProblem[] = [];
  #isDirty = false;
  #isClosed = false;
  #timer: NodeJS.Timeout | undefined;
  #work: Promise<void> | undefined;

  constructor(options: PlacedLinksOptions) {
    this.#options = options;
  }

  get problems(): readonly PlacementProblem[] {
    return this.#problems;
  }

  /** Takes over the controller's list. */
  take(placements: readonly Placement[]): void {
    this.#wanted = placements;
    this.#begin();
  }

  /** Resolves when nothing is being opened any more; the links stay as they are. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#work;
  }

  /** Resolves when the newest list was carried out. */
  async settled(): Promise<void> {
    await this.#work;
  }

  #begin(): void {
    this.#isDirty = true;
    this.#work ??= this.#run();
  }

  async #run(): Promise<void> {
    while (this.#isDirty && !this.#isClosed) {
      this.#isDirty = false;
      clearTimeout(this.#timer);
      await this.#carryOut(this.#wanted);
    }
    this.#work = undefined;
    if (this.#problems.length > 0 && !this.#isClosed) {
      this.#timer = setTimeout(() => this.#begin(), PLACEMENT_RETRY_MS);
    }
  }

  async #carryOut(wanted: readonly Placement[]): Promise<void> {
    const { links, log } = this.#options;
    const byKey = new Map(wanted.map((placement) => [linkKey(placement), placement]));
    for (const [key, placement] of [...this.#open]) {
      const next = byKey.get(key);
      if (next?.socketPath === placement.socketPath && next.mode === placement.mode) continue;
      this.#open.delete(key);
      await links.remove(key);
      log.info("a virtual machine was detached", { vm: key });
    }
    const problems: PlacementProblem[] = [];
    for (const [key, placement] of byKey) {
      if (this.#open.has(key)) continue;
      const problem = await this.#tryOpen(key, placement);
      const { tenant, vm } = placement;
      if (problem !== undefined) problems.push({ tenant, vm, problem });
    }
    this.#tell(problems);
  }

  /** Returns why the port is not open. */
  async #tryOpen(key: string, placement: Placement): Promise<string | undefined> {
    const { links, log, resolve } = this.#options;
    if (links.has(key)) return "the bridge's own settings name another socket";
    const path = resolve(placement.socketPath);
    if (!path.ok) return path.error.message;
    try {
      await links.add({ ...placement, socketPath: path.value });
    } catch (error) {
      return describeError(error);
    }
    this.#open.set(key, placement);
    log.info("a virtual machine was attached", { vm: key, socket: path.value });
    return undefined;
  }

  #tell(problems: readonly PlacementProblem[]): void {
    const { log, onProblems } = this.#options;
    if (JSON.stringify(problems) === JSON.stringify(this.#problems)) return;
    this.#problems = problems;
    for (const { tenant, vm, problem } of problems) {
      log.warn("a placement is not carried out", { vm: `${tenant}/${vm}`, problem });
    }
    onProblems(problems);
  }
}
