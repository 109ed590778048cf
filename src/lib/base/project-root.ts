/** Where the program's own files (yang/, the BPF object, package.json) are. Effect: looks at the file system. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { assert } from "./assert.ts";

/** Returns the nearest folder above this file that holds package.json. */
export function findProjectRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json"))) {
    const parent = dirname(folder);
    assert(parent !== folder, "the program lies below a folder with package.json");
    folder = parent;
  }
  return folder;
}
