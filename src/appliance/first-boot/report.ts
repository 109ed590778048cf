/**
 * What first boot found, as the helper tells it to the management process and to the console.
 *
 * Pure: types and bounds. The helper writes it to FIRST_BOOT_REPORT; NETCONF and the banner show it.
 */

export type SeedSource = "none" | "nocloud" | "config-drive" | "fw-cfg";

/** Something in a document that could not be done. */
export interface FirstBootProblem {
  /** `network-config`, `user-data` … */
  readonly document: string;
  /** From 1; absent when the whole document is meant. */
  readonly line?: number;
  /** What is wrong, and what to do. */
  readonly message: string;
}

export interface FirstBootReport {
  readonly bootId: string;
  readonly source: SeedSource;
  readonly instanceId: string | undefined;
  /** Whether this instance-id was never booted before. */
  readonly isNewInstance: boolean;
  readonly problems: readonly FirstBootProblem[];
  /** What boot says of the machine: its data partition, for example. */
  readonly notes: readonly string[];
}

/** More are counted in one last line. */
export const PROBLEMS_MAX = 32;
export const MESSAGE_CHARACTERS_MAX = 400;

/** Collects problems of one boot. */
export class ProblemList {
  readonly #problems: FirstBootProblem[] = [];
  #left = 0;

  add(document: string, line: number | undefined, message: string): undefined {
    if (this.#problems.length >= PROBLEMS_MAX) {
      this.#left++;
      return undefined;
    }
    const text = message.slice(0, MESSAGE_CHARACTERS_MAX);
    this.#problems.push({ document, ...(line === undefined ? {} : { line }), message: text });
    return undefined;
  }

  get count(): number {
    return this.#problems.length + this.#left;
  }

  list(): readonly FirstBootProblem[] {
    if (this.#left === 0) return [...this.#problems];
    const message = `${this.#left} more problems are not listed`;
    return [...this.#problems, { document: "all", message }];
  }
}

/** Returns the problem as one line for a person. */
export function formatProblem({ document, line, message }: FirstBootProblem): string {
  return line === undefined ? `${document}: ${message}` : `${document} line ${line}: ${message}`;
}
