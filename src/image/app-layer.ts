/**
 * The upper layer of the root file system: the appliance, the guest's own files, and who the image is.
 *
 * Effect: fills the stage. Source: os-release(5).
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { GUEST_APP_DIRECTORY, GUEST_RELEASE_FILE } from "../lib/guest/contract.ts";
import { type Bundle, readKoffi } from "./bundle.ts";
import type { ImagePaths } from "./image-paths.ts";
import type { ImageProfile } from "./profile.ts";
import type { Stage } from "./stage.ts";

export interface AppInputs {
  readonly paths: ImagePaths;
  readonly bundle: Bundle;
  readonly profile: ImageProfile;
  readonly version: string;
  /** Tells whether the base layer has this path already. */
  readonly baseHas: (path: string) => boolean;
}

const APPLETS_FILE = "usr/lib/flowlift-guest/applets";
const BUSYBOX = "/usr/bin/busybox";
/** Read by the first boot: which functions the appliance has. */
export const PROFILE_FILE = "usr/lib/flowlift-guest/profile";

/** Fills the stage. */
export function stageApp(stage: Stage, inputs: AppInputs): void {
  const { paths, bundle, profile, version } = inputs;
  stage.addTree(paths.rootfs, "", (path) => path.endsWith(".md"));
  const app = GUEST_APP_DIRECTORY.slice(1);
  for (const { name, data } of bundle.files) stage.addFile(join(app, name), data);
  for (const { name, data } of readKoffi(join(paths.root, "node_modules"))) {
    stage.addFile(join(app, "node_modules", name), data);
  }
  stage.addTree(paths.yang, join(app, "yang"), (path) => !path.endsWith(".yang"));
  const info = { name: "flowlift", version, type: "module", private: true };
  stage.addFile(join(app, "package.json"), `${JSON.stringify(info)}\n`);
  stage.addFile(GUEST_RELEASE_FILE.slice(1), formatOsRelease(version, profile));
  stage.addFile(PROFILE_FILE, `${profile}\n`);
  const applets = readFileSync(join(paths.rootfs, APPLETS_FILE), "utf8").split(/\s+/);
  for (const name of applets) {
    const places = [`usr/bin/${name}`, `usr/sbin/${name}`];
    if (name === "" || places.some((path) => stage.has(path) || inputs.baseHas(path))) continue;
    stage.addLink(`usr/bin/${name}`, BUSYBOX);
  }
  if (!stage.has("usr/sbin/init")) stage.addLink("usr/sbin/init", BUSYBOX);
}

/** Returns the text of os-release. */
export function formatOsRelease(version: string, profile: ImageProfile): string {
  const fields = {
    ID: "flowlift",
    ID_LIKE: "debian",
    NAME: "Flowlift",
    PRETTY_NAME: `Flowlift ${version} (${profile})`,
    VERSION_ID: version,
    VARIANT_ID: profile,
  };
  return Object.entries(fields)
    .map(([key, value]) => `${key}="${value}"\n`)
    .join("");
}
