/**
 * The lab's own authority: certificates of its controller and its bridge.
 *
 * Effect: writes below the lab's directory. The authority's key stays root's: no process reads it.
 */
import { chownSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { initControllerPki, issueBridgePki } from "../lib/pki/store.ts";
import { HOST_NAME } from "./controller-config.ts";
import type { LabLayout } from "./layout.ts";
import { BRIDGE_UID, CONTROLLER_UID, FLOWLIFT_GID } from "./privileges.ts";

const AUTHORITY_KEY = "ca.key.pem";

/** Makes the keys of a lab; only their owners can read them. */
export function writeLabKeys(layout: LabLayout): void {
  const controller = join(layout.pkiDirectory, "controller");
  const bridge = join(layout.pkiDirectory, "bridge");
  initControllerPki(controller);
  issueBridgePki(controller, HOST_NAME, { outDirectory: bridge });
  giveTo(controller, CONTROLLER_UID);
  giveTo(bridge, BRIDGE_UID);
}

function giveTo(directory: string, uid: number): void {
  chownSync(directory, uid, FLOWLIFT_GID);
  for (const name of readdirSync(directory)) {
    if (name !== AUTHORITY_KEY) chownSync(join(directory, name), uid, FLOWLIFT_GID);
  }
}
