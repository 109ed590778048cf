/**
 * The data volume as a new VM finds it: an empty ext4 file system with the label that the first boot looks for.
 *
 * Effect: runs mke2fs; writes one sparse file.
 */
import { truncateSync, writeFileSync } from "node:fs";
import { DATA_VOLUME_LABEL } from "../lib/guest/contract.ts";
import { runTool } from "./run-tool.ts";

/** Holds configurations, keys and a bounded journal. */
export const DATA_VOLUME_BYTES: number = 64 * 1024 * 1024;
const DATA_ID = "6b1b3a52-6c4e-4c57-9b0e-2d6e6a1f0c06";
const DATA_HASH_SEED = "6b1b3a52-6c4e-4c57-9b0e-2d6e6a1f0c07";

/** Makes an empty data volume: what the disk's last partition holds, or a disk of its own. */
export async function makeDataVolume(file: string, time: number): Promise<void> {
  writeFileSync(file, "");
  truncateSync(file, DATA_VOLUME_BYTES);
  const extended = `hash_seed=${DATA_HASH_SEED},root_owner=0:0,lazy_itable_init=0,nodiscard`;
  // Reserved blocks would only keep the last changes of a full volume from being saved.
  const words = ["-t", "ext4", "-q", "-F", "-m", "0", "-b", "4096", "-L", DATA_VOLUME_LABEL];
  await runTool("mke2fs", [...words, "-U", DATA_ID, "-E", extended, file], {
    environment: { E2FSPROGS_FAKE_TIME: String(time), SOURCE_DATE_EPOCH: String(time) },
  });
}
