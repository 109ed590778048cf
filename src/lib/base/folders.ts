/**
 * Makes folders, and says which one is missing.
 *
 * Effect: the file system. Not the platform's own recursive mkdir: below /proc, where making a folder
 * answers "no such file", that never comes back. Limit: FOLDERS_MADE_MAX new folders in one call.
 */
import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { FlowliftError } from "./errors.ts";

export const FOLDERS_MADE_MAX = 32;

/** Makes a folder and the missing ones above it. Throws STATE_FILE_UNWRITABLE. */
export function makeFolder(path: string, mode: number): void {
  const missing: string[] = [];
  let folder = resolve(path);
  while (!existsSync(folder)) {
    missing.unshift(folder);
    folder = dirname(folder);
  }
  const refuse = (what: string, cause?: unknown): FlowliftError =>
    new FlowliftError("STATE_FILE_UNWRITABLE", `Cannot make the folder "${path}": ${what}`, {
      ...(cause === undefined ? {} : { cause }),
    });
  if (!statSync(folder).isDirectory()) throw refuse(`"${folder}" is no folder`);
  if (missing.length > FOLDERS_MADE_MAX) throw refuse(`${missing.length} folders are missing`);
  for (const next of missing) {
    try {
      mkdirSync(next, mode);
    } catch (cause) {
      // Somebody else may make the same folders at the same time.
      if ((cause as NodeJS.ErrnoException).code === "EEXIST") continue;
      throw refuse(`"${dirname(next)}" takes no folders`, cause);
    }
  }
}

/**
 * Returns why a Unix socket cannot be made, in front of the system's own words: those say "permission denied"
 * where a folder is missing.
 */
export function explainSocketPath(path: string): string {
  const folder = dirname(resolve(path));
  return existsSync(folder)
    ? `Cannot listen on "${path}"`
    : `Cannot listen on "${path}": the folder "${folder}" does not exist`;
}
