/**
 * Keeps the cache bounded: the newest base sets stay, and what an interrupted build left goes.
 *
 * Effect: removes folders below the cache.
 */
import { readdirSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";

/** The present set, and those of other checkouts or branches that are in use beside it. */
export const BASE_SETS_KEPT_MAX = 3;
/** No build takes so long. */
const WORK_AGE_MAX_MS = 86_400_000;

/** Marks `used` as the newest set and removes what is over the bound; `now` is in milliseconds. */
export function pruneCache(cache: string, used: string, now: number): void {
  utimesSync(join(cache, used), now / 1000, now / 1000);
  const entries = readdirSync(cache).map((name) => ({ name, age: ageOf(join(cache, name), now) }));
  const sets = entries.filter(({ name }) => name.startsWith("base-"));
  const old = sets.sort((a, b) => a.age - b.age).slice(BASE_SETS_KEPT_MAX);
  const left = entries.filter(({ name, age }) => name.startsWith("work-") && age > WORK_AGE_MAX_MS);
  for (const { name } of [...old, ...left])
    rmSync(join(cache, name), { recursive: true, force: true });
}

function ageOf(path: string, now: number): number {
  return now - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? now);
}
