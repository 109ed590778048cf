/**
 * Waits for a settings file that a sibling process writes: in a VM the helper does, while the others start.
 *
 * Effect: looks at the file system. Limit: SETTINGS_WAIT_MS.
 */
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { readApplianceSettings } from "./manage-settings.ts";
import type { ApplianceSettings } from "./settings.ts";

export const SETTINGS_WAIT_MS = 180_000;
const POLL_MS = 20;

/** Returns the settings; `waits` false: they must be there. Throws CONFIG_FILE_INVALID. */
export async function awaitApplianceSettings(
  file: string,
  waits: boolean,
): Promise<ApplianceSettings> {
  for (let waited = 0; waits && waited < SETTINGS_WAIT_MS && !existsSync(file); waited += POLL_MS) {
    await sleep(POLL_MS);
  }
  return readApplianceSettings(file);
}
