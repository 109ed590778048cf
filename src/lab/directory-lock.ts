/**
 * One program at a time: a lock on a directory, which the kernel lets go of when its holder ends.
 *
 * Effect: flock(2) by util-linux's `flock`, on a descriptor that it shares with us.
 * Limit: LOCK_WAIT_SEC until a lock that another program holds is given up.
 */
import { spawnSync } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { FlowliftError } from "../lib/base/errors.ts";

export const LOCK_WAIT_SEC = 10;

/** Calls `work` while nobody else holds the directory's lock. Throws LAB_FAILED after `waitSec`. */
export function withDirectoryLock<T>(
  directory: string,
  work: () => T,
  waitSec: number = LOCK_WAIT_SEC,
): T {
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    // The lock belongs to the open directory, not to the process that took it.
    const words = ["--exclusive", "--wait", String(waitSec), "3"];
    const { status, error } = spawnSync("flock", words, {
      stdio: ["ignore", "ignore", "ignore", fd],
    });
    if (error !== undefined || status !== 0) {
      const reason = error === undefined ? `another program holds it for ${waitSec} s` : "";
      const text = `Cannot lock the directory "${directory}": ${reason || "no program flock"}`;
      throw new FlowliftError("LAB_FAILED", text, { cause: error });
    }
    return work();
  } finally {
    closeSync(fd);
  }
}
