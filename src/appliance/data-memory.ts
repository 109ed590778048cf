/**
 * The last committed configuration, kept beside the sockets for a restart of the process.
 *
 * Effect: one file in the run directory, replaced by rename. It is no datastore: it only tells a process that
 * finds its table in the kernel what that table means. Another boot's file is ignored.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FlowliftError } from "../lib/base/errors.ts";
import type { ConfigData } from "../lib/service/provider.ts";

const FILE_NAME = "data-config.json";
const FILE_MODE = 0o600;

interface Memory {
  readonly bootId: string;
  readonly policyEpoch: string;
  readonly interfaces: readonly string[];
  readonly config: ConfigData;
}

export interface RememberedConfig {
  readonly config: ConfigData;
  readonly policyEpoch: bigint;
  /** Names that have a place in the ct mark, in its order. */
  readonly interfaces: readonly string[];
}

/** Returns what this boot committed last; undefined when nothing was, or the file is not readable. */
export function recallConfig(runDirectory: string, bootId: string): RememberedConfig | undefined {
  try {
    const memory = JSON.parse(readFileSync(join(runDirectory, FILE_NAME), "utf8")) as Memory;
    if (memory.bootId !== bootId) return undefined;
    const { config, interfaces } = memory;
    return { config, policyEpoch: BigInt(memory.policyEpoch), interfaces };
  } catch {
    return undefined;
  }
}

/** Writes the committed configuration. Throws STATE_FILE_UNREADABLE. */
export function rememberConfig(
  runDirectory: string,
  bootId: string,
  remembered: RememberedConfig,
): void {
  const path = join(runDirectory, FILE_NAME);
  const { config, policyEpoch, interfaces } = remembered;
  const memory: Memory = { bootId, policyEpoch: `${policyEpoch}`, interfaces, config };
  try {
    writeFileSync(`${path}.new`, JSON.stringify(memory), { mode: FILE_MODE });
    renameSync(`${path}.new`, path);
  } catch (cause) {
    throw new FlowliftError("STATE_FILE_UNREADABLE", `Cannot write "${path}"`, { cause });
  }
}
