/**
 * Which endpoint of a client is called next, and when.
 *
 * Pure: randomness is an argument. Source: RFC 8071 §4.1; reconnect-strategy of ietf-netconf-server.
 * Limit: the wait after failures grows from BACK_OFF_FIRST_MS to what is configured.
 */

export const BACK_OFF_FIRST_MS = 1_000;
/** A connection that ends sooner counts as a failure: a peer that hangs up is not called in a loop. */
export const STABLE_MS = 10_000;

export type StartWith = "first-listed" | "last-connected" | "random-selection";

export interface ReconnectStrategy {
  readonly startWith: StartWith;
  readonly maxWaitMs: number;
  readonly maxAttempts: number;
  readonly maxBackOffMs: number;
}

export interface Call {
  /** Of the endpoints as they are listed. */
  readonly endpointIndex: number;
  readonly afterMs: number;
}

export interface CallPlanOptions {
  readonly endpointCount: number;
  readonly strategy: ReconnectStrategy;
  /** Undefined: the connection is kept up. */
  readonly periodMs?: number;
  /** Returns a number in [0, 1). */
  readonly random: () => number;
}

export class CallPlan {
  readonly #options: CallPlanOptions;
  #current = 0;
  #attemptsHere = 0;
  #failures = 0;
  #lastConnected: number | undefined;

  constructor(options: CallPlanOptions) {
    this.#options = options;
  }

  /** Returns the first call. */
  begin(): Call {
    return this.#start(0);
  }

  /** An attempt failed: the same endpoint again, or the next one, after a wait. */
  failed(): Call {
    const { endpointCount, strategy } = this.#options;
    this.#attemptsHere++;
    if (this.#attemptsHere >= strategy.maxAttempts) {
      this.#attemptsHere = 0;
      this.#current = (this.#current + 1) % endpointCount;
    }
    return { endpointIndex: this.#current, afterMs: this.#backOff() };
  }

  connected(): void {
    this.#lastConnected = this.#current;
  }

  /** The connection ended after so long; `isWanted` says that the appliance ended it, being idle. */
  ended(livedMs: number, isWanted: boolean): Call {
    const { periodMs } = this.#options;
    if (livedMs < STABLE_MS && !isWanted && periodMs === undefined) return this.failed();
    this.#failures = 0;
    return this.#start(periodMs ?? 0);
  }

  #start(afterMs: number): Call {
    const { endpointCount, random, strategy } = this.#options;
    this.#attemptsHere = 0;
    if (strategy.startWith === "first-listed") this.#current = 0;
    else if (strategy.startWith === "last-connected") this.#current = this.#lastConnected ?? 0;
    else this.#current = Math.floor(random() * endpointCount);
    return { endpointIndex: this.#current, afterMs };
  }

  /** Between half and the whole of it, so that many appliances do not call all at once. */
  #backOff(): number {
    const { random, strategy } = this.#options;
    const whole = Math.min(BACK_OFF_FIRST_MS * 2 ** this.#failures, strategy.maxBackOffMs);
    if (whole < strategy.maxBackOffMs) this.#failures++;
    return Math.round(whole * (1 - random() / 2));
  }
}
