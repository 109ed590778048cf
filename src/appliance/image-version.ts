/** The version and the profile of the VM's image. Effect: reads a file. */
import { existsSync, readFileSync } from "node:fs";

/** Returns VERSION_ID of os-release(5); undefined without such a file or line. */
export function readImageVersion(releaseFile: string): string | undefined {
  return readReleaseField(releaseFile, "VERSION_ID");
}

/** Returns VARIANT_ID of os-release(5): the image's profile. */
export function readImageProfile(releaseFile: string): string | undefined {
  return readReleaseField(releaseFile, "VARIANT_ID");
}

function readReleaseField(releaseFile: string, name: string): string | undefined {
  if (!existsSync(releaseFile)) return undefined;
  const text = readFileSync(releaseFile, "utf8");
  return new RegExp(`^${name}="?([^"\\n]*)"?$`, "m").exec(text)?.[1];
}
