/**
 * Writes a seed volume (ISO 9660 with Joliet and Rock Ridge) without mounting anything.
 *
 * Effect: a temporary directory, one call of xorriso. Throws ENVIRONMENT_LACKS when it is missing.
 * Equal documents give equal bytes: times, owners and identifiers are fixed.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { FlowliftError } from "../../lib/base/errors.ts";
import type { SeedVolume } from "./documents.ts";

/** 2024-01-01; xorriso wants digits. */
const VOLUME_DATE = "2024010100000000";
const OUTPUT_BYTES_MAX: number = 1024 * 1024;

/** Writes the volume to `file`, which is replaced only when it is whole. */
export function writeSeedVolume(volume: SeedVolume, file: string): void {
  const folder = mkdtempSync(join(tmpdir(), "flowlift-seed-"));
  try {
    const tree = join(folder, "tree");
    mkdirSync(tree);
    for (const [name, text] of volume.files) {
      mkdirSync(dirname(join(tree, name)), { recursive: true });
      writeFileSync(join(tree, name), text, { mode: 0o644 });
    }
    runXorriso([
      ...["-report_about", "WARNING", "-as", "mkisofs"],
      ...["-output", `${file}.new`, "-volid", volume.label, "-joliet", "-rational-rock"],
      ...[`--modification-date=${VOLUME_DATE}`, "--set_all_file_dates", VOLUME_DATE],
      tree,
    ]);
    renameSync(`${file}.new`, file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    rmSync(`${file}.new`, { force: true });
  }
}

function runXorriso(words: readonly string[]): void {
  try {
    execFileSync("xorriso", words, { stdio: "pipe", maxBuffer: OUTPUT_BYTES_MAX });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") {
      const text = 'There is no "xorriso": apt install xorriso';
      throw new FlowliftError("ENVIRONMENT_LACKS", text, { cause });
    }
    throw new FlowliftError("STATE_FILE_UNWRITABLE", "xorriso made no volume", { cause });
  }
}
