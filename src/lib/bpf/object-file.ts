/**
 * Where the compiled BPF objects are: `build.sh DIST/bpf` puts them beside the compiled program.
 *
 * Effect: looks at the file system.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { FlowliftError } from "../base/errors.ts";
import { findProjectRoot } from "../base/project-root.ts";

/** Returns the path of an object that was built, by its name without ".bpf.o". */
export function findBpfObject(name: "flow" | "count" | "reflect" | "sink"): string {
  const file = `${name}.bpf.o`;
  const beside = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "bpf", file);
  const path = existsSync(beside) ? beside : join(findProjectRoot(), "dist", "bpf", file);
  if (existsSync(path)) return path;
  throw new FlowliftError(
    "ENVIRONMENT_LACKS",
    `"${path}" is missing; build it: sh src/fast-path/bpf/build.sh dist/bpf`,
  );
}
