/**
 * Tells a supervisor that this process's event loop still turns.
 *
 * Effect: writes a number into a file of the supervisor, every BEAT_MS. A process that hangs writes no more.
 */
import { writeFileSync } from "node:fs";

export const BEAT_MS = 5_000;

/** Does nothing without a file; the beat alone keeps no process alive. */
export function startHeartbeat(file: string | undefined): void {
  if (file === undefined) return;
  let count = 0;
  const beat = (): void => {
    try {
      writeFileSync(file, `${++count}\n`);
    } catch {
      // A supervisor without its file decides by what it sees.
    }
  };
  beat();
  setInterval(beat, BEAT_MS).unref();
}
