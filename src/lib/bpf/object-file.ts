/**
 * Where the compiled BPF objects are: `src/fast-path/bpf/build.sh dist/bpf` puts them there.
 *
 * Effect: looks at the file system.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { FlowliftError } from "../base/errors.ts";
import { findProjectRoot } from "../base/project-root.ts";

/** Returns the path of an object that was built, by its name without ".bpf.o". */
export function findBpfObject(name: "flow" | "count"): string {
  const path = join(findProjectRoot(), "dist", "bpf", `${name}.bpf.o`);
  if (existsSync(path)) return path;
  throw new FlowliftError(
    "ENVIRONMENT_LACKS",
    `"${path}" is missing; build it: sh src/fast-path/bpf/build.sh dist/bpf`,
  );
}
