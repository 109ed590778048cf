/** The version of the VM's image. Effect: reads a file. */
import { existsSync, readFileSync } from "node:fs";

/** Returns VERSION_ID of os-release(5); undefined without such a file or line. */
export function readImageVersion(releaseFile: string): string | undefined {
  if (!existsSync(releaseFile)) return undefined;
  const text = readFileSync(releaseFile, "utf8");
  return /^VERSION_ID="?([^"\n]*)"?$/m.exec(text)?.[1];
}
