/** How long the random campaigns of the tests are: short in the gate, long with `flowlift test --full`. */

/** Whether this is `flowlift test --full`. */
const IS_FULL_TEST: boolean = process.env["FLOWLIFT_TEST_FULL"] === "1";
/** A long campaign may take this long; the gate's limit stays what the runner says. */
const FULL_TIMEOUT_MS = 600_000;

/** Returns how many cases a campaign runs; the test's title says it. */
export function campaignSize(gate: number, full: number): number {
  return IS_FULL_TEST ? full : gate;
}

/** Returns a test's options: nothing in the gate, time enough for a long campaign. */
export function campaignOptions(): { timeout?: number } {
  return IS_FULL_TEST ? { timeout: FULL_TIMEOUT_MS } : {};
}
