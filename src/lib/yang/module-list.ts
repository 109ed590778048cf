/**
 * The modules of a context: what yang-library and get-schema tell (RFC 8525, RFC 6022).
 *
 * Effect: reads libyang's memory and, for a module's own text, its file.
 */
import { readFileSync } from "node:fs";
import { FlowliftError } from "../base/errors.ts";
import type { TreeOwner } from "./data-tree.ts";
import { NULL_POINTER, type Pointer } from "./libyang.ts";
import { readFeatures, readModule, takeString } from "./native-memory.ts";

export interface YangModule {
  readonly name: string;
  /** Absent for a module without revision statement. */
  readonly revision: string | undefined;
  readonly namespace: string;
  readonly prefix: string;
  /** The features that are supported. */
  readonly features: readonly string[];
  /** Features that the module defines and that are off. */
  readonly disabledFeatures: readonly string[];
  /** `implement`: its nodes can have data; `import`: others use its definitions (RFC 8525). */
  readonly conformance: "implement" | "import";
  /** Where it was read; absent for libyang's built-in modules. */
  readonly file: string | undefined;
}

/** Returns the address of each module, in the order in which they were loaded. */
export function modulePointers(owner: TreeOwner): Pointer[] {
  const index = new Uint32Array(1);
  const pointers: Pointer[] = [];
  let at = owner.library.functions.ly_ctx_get_module_iter(owner.pointer, index);
  while (at !== null) {
    pointers.push(at);
    at = owner.library.functions.ly_ctx_get_module_iter(owner.pointer, index);
  }
  return pointers;
}

export function listModules(owner: TreeOwner): YangModule[] {
  return modulePointers(owner).map((pointer) => {
    const native = readModule(pointer);
    const features = readFeatures(native.parsed);
    return {
      name: native.name,
      revision: native.revision ?? undefined,
      namespace: native.ns,
      prefix: native.prefix,
      features: features.filter(({ enabled }) => enabled).map(({ name }) => name),
      disabledFeatures: features.filter(({ enabled }) => !enabled).map(({ name }) => name),
      conformance: native.implemented ? "implement" : "import",
      file: native.filepath ?? undefined,
    };
  });
}

/** Returns a module's text as in its file, or, when there is no file, as libyang prints it. */
export function getSchemaText(
  owner: TreeOwner,
  name: string,
  revision?: string,
): string | undefined {
  for (const pointer of modulePointers(owner)) {
    const native = readModule(pointer);
    if (native.name !== name) continue;
    if (revision !== undefined && revision !== (native.revision ?? "")) continue;
    return native.filepath === null ? printModule(owner, pointer) : readText(native.filepath);
  }
  return undefined;
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new FlowliftError("YANG_MODULE_UNLOADABLE", `Cannot read "${file}" again`, { cause });
  }
}

function printModule(owner: TreeOwner, module: Pointer): string {
  const { constants, functions } = owner.library;
  const text = new BigUint64Array(1);
  functions.lys_print_mem(text, module, constants.LYS_OUT_YANG, 0);
  return takeString(text[0] ?? NULL_POINTER);
}
