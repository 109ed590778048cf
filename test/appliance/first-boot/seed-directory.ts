/** A folder with first-boot documents, as the VM's boot leaves them. Effect: a temporary folder. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatProblem, ProblemList } from "../../../src/appliance/first-boot/report.ts";
import { readSeed, type Seed } from "../../../src/appliance/first-boot/seed-files.ts";

export interface ReadSeed {
  readonly seed: Seed;
  /** One line each. */
  readonly problems: readonly string[];
}

/** Writes the documents, reads the seed, removes the folder. */
export function readDocuments(documents: Readonly<Record<string, string | Uint8Array>>): ReadSeed {
  const directory = mkdtempSync(join(tmpdir(), "flowlift-seed-"));
  try {
    for (const [name, content] of Object.entries(documents)) {
      writeFileSync(join(directory, name), content);
    }
    const problems = new ProblemList();
    const seed = readSeed(directory, problems);
    return { seed, problems: problems.list().map(formatProblem) };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

export const KEY =
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICUv5xqFBX8c6YYZdF1xRllKR0vvUE8Dyn4vzLhY1u7X me@there";
