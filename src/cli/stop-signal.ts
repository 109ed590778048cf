/** Waits for the signal to stop. Effect: takes SIGTERM and SIGINT over. */

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process as usual. */
export function waitForStop(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, resolve);
  });
}
