/** Time as an argument, so that pure cores can be simulated. */

/** Milliseconds on a clock that never jumps; only differences mean anything. */
export interface Clock {
  nowMs(): number;
}

/** The process's monotonic clock. */
export const MONOTONIC_CLOCK: Clock = { nowMs: () => performance.now() };
