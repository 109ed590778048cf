/** Waiting for what should come, and for what should not. Effect: timers. */
import { setTimeout as sleep } from "node:timers/promises";

/** How long it is watched that nothing happens. */
export const SETTLE_MS = 200;
/** How long something that is expected may take on a busy machine. */
const EXPECTED_MS_MAX = 3000;
const POLL_MS = 10;

/** Returns whether the condition came about in time. */
export async function eventually(holds: () => Promise<boolean>): Promise<boolean> {
  const untilMs = performance.now() + EXPECTED_MS_MAX;
  for (;;) {
    if (await holds()) return true;
    if (performance.now() > untilMs) return false;
    await sleep(POLL_MS);
  }
}

/** Returns the value once it stays the same for SETTLE_MS. */
export async function settled<T>(read: () => Promise<T>): Promise<T> {
  const untilMs = performance.now() + EXPECTED_MS_MAX;
  let value = await read();
  for (;;) {
    await sleep(SETTLE_MS);
    const next = await read();
    if (next === value || performance.now() > untilMs) return next;
    value = next;
  }
}
