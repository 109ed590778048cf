/**
 * Faults on request, for people who test their own appliance against `flowlift controller --mock`.
 *
 * Pure: chance and time are arguments. Each fault is something that a real controller or fast path does
 * now and then: answers late, refuses, loses an answer, tells events in another order, dies.
 */

export interface FaultValues {
  /** Every driver operation takes this much longer. */
  readonly delayMs: number;
  /** Share of flows (0 to 1) that the driver refuses late with `table-full`. */
  readonly refuseShare: number;
  /** Share of answers (0 to 1) that are never sent. */
  readonly dropReplyShare: number;
  /** Share of messages (0 to 1) that are sent after the one that follows. */
  readonly reorderShare: number;
  /** The process exits with code 70 after this many requests; 0: never. */
  readonly crashAfter: number;
  /** Flows that the table holds. */
  readonly tableFlows: number;
}

export const NO_FAULTS: FaultValues = {
  delayMs: 0,
  refuseShare: 0,
  dropReplyShare: 0,
  reorderShare: 0,
  crashAfter: 0,
  tableFlows: 65_536,
};

export const DELAY_MS_MAX = 60_000;
export const TABLE_FLOWS_MAX = 1_048_576;

const LIMITS: Readonly<
  Record<keyof FaultValues, { readonly max: number; readonly whole: boolean }>
> = {
  delayMs: { max: DELAY_MS_MAX, whole: true },
  refuseShare: { max: 1, whole: false },
  dropReplyShare: { max: 1, whole: false },
  reorderShare: { max: 1, whole: false },
  crashAfter: { max: Number.MAX_SAFE_INTEGER, whole: true },
  tableFlows: { max: TABLE_FLOWS_MAX, whole: true },
};

/** Faults that can be changed while the mock runs. */
export class MockFaults {
  #values: FaultValues = NO_FAULTS;
  readonly #random: () => number;
  #requests = 0;

  /** `random` returns a number from 0 (included) to 1 (excluded). */
  constructor(random: () => number) {
    this.#random = random;
  }

  get values(): FaultValues {
    return this.#values;
  }

  /** Changes the faults that are named; returns what is wrong with them, and changes nothing then. */
  change(wanted: unknown): string | undefined {
    if (typeof wanted !== "object" || wanted === null) return "a JSON object is wanted";
    for (const [name, value] of Object.entries(wanted)) {
      const limit = (LIMITS as Readonly<Record<string, (typeof LIMITS)["delayMs"]>>)[name];
      if (limit === undefined) return `there is no fault "${name}"`;
      const isNumber = typeof value === "number" && value >= 0 && value <= limit.max;
      if (!isNumber || (limit.whole && !Number.isInteger(value))) {
        return `"${name}" must be ${limit.whole ? "a whole number" : "a number"} from 0 to ${limit.max}`;
      }
    }
    this.#values = { ...this.#values, ...(wanted as Partial<FaultValues>) };
    return undefined;
  }

  /** Whether a thing of this share happens now. */
  happens(
    share: keyof Pick<FaultValues, "refuseShare" | "dropReplyShare" | "reorderShare">,
  ): boolean {
    return this.#random() < this.#values[share];
  }

  /** Counts a request; returns whether the process is to crash. */
  countRequest(): boolean {
    this.#requests++;
    const { crashAfter } = this.#values;
    return crashAfter > 0 && this.#requests >= crashAfter;
  }
}
