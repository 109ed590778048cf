/**
 * What all serving programs share: they say READY, serve until SIGTERM, and report one line.
 *
 * Effect: standard output, signals.
 */

/** Says that the program serves, and waits until it is told to end. */
export async function serveUntilStopped(): Promise<void> {
  process.stdout.write("READY\n");
  const pulse = setInterval(() => {}, 60_000);
  await new Promise<void>((resolve) => {
    process.once("SIGTERM", resolve);
    process.once("SIGINT", resolve);
  });
  clearInterval(pulse);
}

/** Counts events by name. */
export class Tally {
  readonly #counts = new Map<string, number>();

  add(name: string, count = 1): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + count);
  }

  toJson(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }
}

/** Returns a short name of a failure: the system's code where there is one. */
export function nameFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "code" in error && typeof error.code === "string" ? error.code : error.message;
}

/** Runs `work` for every index below `count`, at most `parallel` at the same time. */
export async function forEachIndex(
  count: number,
  parallel: number,
  work: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const index = next++;
      await work(index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(parallel, count) }, worker));
}
