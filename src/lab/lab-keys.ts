/**
 * The lab's own authority: certificates of its controller and its bridge.
 *
 * Effect: writes below the lab's directory.
 */
import { chownSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { LabLayout } from "./layout.ts";
import { BRIDGE_UID, CONTROLLER_UID, FLOWLIFT_GID } from "./privileges.ts";

/** Makes the keys of a lab; only their owners can read them. */
export async function writeLabKeys(layout: LabLayout): Promise<void> {
  for (const [name, uid] of [
    ["bridge", BRIDGE_UID],
    ["controller", CONTROLLER_UID],
  ] as const) {
    const directory = join(layout.pkiDirectory, name);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    chownSync(directory, uid, FLOWLIFT_GID);
  }
}
