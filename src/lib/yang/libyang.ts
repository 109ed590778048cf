/**
 * The one file that loads libyang: its functions, its constants and its structs.
 *
 * Effect: loads a shared library. Everything above speaks of contexts and trees (yang-context.ts).
 * Source: libyang 2.1.30, headers parser_data.h, tree_data.h, tree_schema.h, context.h, log.h.
 * Invariant: constants and struct layouts are those of the soname in BINDINGS that was loaded.
 */
import koffi, { type TypeObject } from "koffi";
import { describeError, FlowliftError } from "../base/errors.ts";

/** An address in C memory; 0n is NULL. */
export type Pointer = bigint;
export const NULL_POINTER: Pointer = 0n;

/** Numbers that differ from one libyang to the next. */
export interface LibYangConstants {
  readonly LY_CTX_NO_YANGLIBRARY: number;
  readonly LY_CTX_DISABLE_SEARCHDIR_CWD: number;
  readonly LY_LOSTORE: number;
  readonly LYD_XML: number;
  readonly LYD_JSON: number;
  readonly LYD_PARSE_ONLY: number;
  readonly LYD_PARSE_STRICT: number;
  readonly LYD_PARSE_NO_STATE: number;
  readonly LYD_VALIDATE_NO_STATE: number;
  readonly LYD_VALIDATE_PRESENT: number;
  readonly LYD_TYPE_RPC_YANG: number;
  readonly LYD_TYPE_NOTIF_YANG: number;
  readonly LYD_TYPE_REPLY_YANG: number;
  readonly LYD_TYPE_RPC_NETCONF: number;
  readonly LYD_TYPE_NOTIF_NETCONF: number;
  readonly LYD_PRINT_WITHSIBLINGS: number;
  readonly LYD_PRINT_SHRINK: number;
  readonly LYD_PRINT_KEEPEMPTYCONT: number;
  readonly LYD_PRINT_WD_EXPLICIT: number;
  readonly LYD_PRINT_WD_TRIM: number;
  readonly LYD_PRINT_WD_ALL: number;
  readonly LYD_PRINT_WD_ALL_TAG: number;
  readonly LYD_DUP_RECURSIVE: number;
  readonly LYD_DUP_WITH_FLAGS: number;
  readonly LYD_NEW_PATH_UPDATE: number;
  readonly LYD_IMPLICIT_NO_STATE: number;
  readonly LYD_COMPARE_FULL_RECURSION: number;
  readonly LYD_MERGE_DEFAULTS: number;
  readonly LYS_OUT_YANG: number;
  readonly LYS_GETNEXT_OUTPUT: number;
}

/** Loose on purpose: the kinds below are checked by C alone, so only yang/ calls them. */
export interface LibYangFunctions {
  ly_log_level(level: number): number;
  ly_log_options(options: number): number;
  ly_ctx_new(searchDirectory: string | null, options: number, context: BigUint64Array): number;
  ly_ctx_destroy(context: Pointer): void;
  ly_ctx_set_searchdir(context: Pointer, directory: string): number;
  ly_ctx_load_module(
    context: Pointer,
    name: string,
    revision: string | null,
    features: readonly (string | null)[] | null,
  ): Pointer | null;
  ly_ctx_get_module_implemented(context: Pointer, name: string): Pointer | null;
  ly_ctx_get_module_iter(context: Pointer, index: Uint32Array): Pointer | null;
  ly_err_first(context: Pointer): Pointer | null;
  ly_err_clean(context: Pointer, item: null): void;
  ly_in_new_memory(text: Uint8Array, input: BigUint64Array): number;
  ly_in_free(input: Pointer, destroy: number): void;
  lyd_parse_data_mem(
    context: Pointer,
    text: Uint8Array,
    format: number,
    parseOptions: number,
    validateOptions: number,
    tree: BigUint64Array,
  ): number;
  lyd_parse_op(
    context: Pointer,
    parent: null,
    input: Pointer,
    format: number,
    type: number,
    tree: BigUint64Array,
    operation: BigUint64Array,
  ): number;
  lyd_validate_all(
    tree: BigUint64Array,
    context: Pointer,
    options: number,
    diff: BigUint64Array | null,
  ): number;
  lyd_new_implicit_all(tree: BigUint64Array, context: Pointer, options: number, diff: null): number;
  lyd_validate_op(tree: Pointer, dependencies: Pointer, type: number, diff: null): number;
  lyd_print_mem(text: BigUint64Array, node: Pointer, format: number, options: number): number;
  lyd_free_all(node: Pointer): void;
  lyd_free_tree(node: Pointer): void;
  lyd_first_sibling(node: Pointer): Pointer | null;
  lyd_dup_siblings(node: Pointer, parent: null, options: number, copy: BigUint64Array): number;
  lyd_dup_single(node: Pointer, parent: null, options: number, copy: BigUint64Array): number;
  lyd_merge_siblings(target: BigUint64Array, source: Pointer, options: number): number;
  lyd_compare_siblings(left: Pointer, right: Pointer, options: number): number;
  lyd_new_path(
    parent: Pointer,
    context: Pointer,
    path: string,
    value: string | null,
    options: number,
    node: BigUint64Array,
  ): number;
  lyd_find_path(start: Pointer, path: string, output: number, match: BigUint64Array): number;
  lyd_find_xpath(start: Pointer, xpath: string, set: BigUint64Array): number;
  lyd_insert_before(sibling: Pointer, node: Pointer): number;
  lyd_insert_after(sibling: Pointer, node: Pointer): number;
  lyd_path(node: Pointer, type: number, buffer: null, bytes: number): string | null;
  lyd_value_get_canonical(context: Pointer, value: Pointer): string | null;
  ly_set_free(set: Pointer, destructor: null): void;
  lys_getnext(
    last: Pointer | null,
    parent: Pointer | null,
    module: Pointer | null,
    options: number,
  ): Pointer | null;
  lys_print_mem(text: BigUint64Array, module: Pointer, format: number, options: number): number;
}

/** A loaded library. */
export interface LibYang {
  readonly soname: string;
  readonly constants: LibYangConstants;
  readonly functions: LibYangFunctions;
}

const LIBYANG_2: LibYangConstants = {
  LY_CTX_NO_YANGLIBRARY: 0x04,
  LY_CTX_DISABLE_SEARCHDIR_CWD: 0x10,
  LY_LOSTORE: 0x02,
  LYD_XML: 1,
  LYD_JSON: 2,
  LYD_PARSE_ONLY: 0x01_0000,
  LYD_PARSE_STRICT: 0x02_0000,
  LYD_PARSE_NO_STATE: 0x08_0000,
  LYD_VALIDATE_NO_STATE: 0x01,
  LYD_VALIDATE_PRESENT: 0x02,
  LYD_TYPE_RPC_YANG: 1,
  LYD_TYPE_NOTIF_YANG: 2,
  LYD_TYPE_REPLY_YANG: 3,
  LYD_TYPE_RPC_NETCONF: 4,
  LYD_TYPE_NOTIF_NETCONF: 5,
  LYD_PRINT_WITHSIBLINGS: 0x01,
  LYD_PRINT_SHRINK: 0x02,
  LYD_PRINT_KEEPEMPTYCONT: 0x04,
  LYD_PRINT_WD_EXPLICIT: 0x00,
  LYD_PRINT_WD_TRIM: 0x10,
  LYD_PRINT_WD_ALL: 0x20,
  LYD_PRINT_WD_ALL_TAG: 0x40,
  LYD_DUP_RECURSIVE: 0x01,
  LYD_DUP_WITH_FLAGS: 0x08,
  LYD_NEW_PATH_UPDATE: 0x01,
  LYD_IMPLICIT_NO_STATE: 0x01,
  LYD_COMPARE_FULL_RECURSION: 0x01,
  LYD_MERGE_DEFAULTS: 0x02,
  LYS_OUT_YANG: 1,
  LYS_GETNEXT_OUTPUT: 0x10,
};

/** A library that this file knows, and its Debian package. */
export interface LibYangBinding {
  readonly soname: string;
  readonly debianPackage: string;
  readonly constants: LibYangConstants;
}

/** The best comes first. */
export const BINDINGS: readonly LibYangBinding[] = [
  { soname: "libyang.so.2", debianPackage: "libyang2", constants: LIBYANG_2 },
];

const P = "void *";
const FREED_STRING = koffi.disposable("str");

/** Result and arguments of each function, in koffi's words. */
const SIGNATURES: Readonly<
  Record<keyof LibYangFunctions, readonly [string | TypeObject, readonly (string | TypeObject)[]]>
> = {
  ly_log_level: ["int", ["int"]],
  ly_log_options: ["uint32_t", ["uint32_t"]],
  ly_ctx_new: ["int", ["str", "uint16_t", P]],
  ly_ctx_destroy: ["void", [P]],
  ly_ctx_set_searchdir: ["int", [P, "str"]],
  ly_ctx_load_module: [P, [P, "str", "str", "const char **"]],
  ly_ctx_get_module_implemented: [P, [P, "str"]],
  ly_ctx_get_module_iter: [P, [P, P]],
  ly_err_first: [P, [P]],
  ly_err_clean: ["void", [P, P]],
  ly_in_new_memory: ["int", [P, P]],
  ly_in_free: ["void", [P, "uint8_t"]],
  lyd_parse_data_mem: ["int", [P, P, "int", "uint32_t", "uint32_t", P]],
  lyd_parse_op: ["int", [P, P, P, "int", "int", P, P]],
  lyd_validate_all: ["int", [P, P, "uint32_t", P]],
  lyd_new_implicit_all: ["int", [P, P, "uint32_t", P]],
  lyd_validate_op: ["int", [P, P, "int", P]],
  lyd_print_mem: ["int", [P, P, "int", "uint32_t"]],
  lyd_free_all: ["void", [P]],
  lyd_free_tree: ["void", [P]],
  lyd_first_sibling: [P, [P]],
  lyd_dup_siblings: ["int", [P, P, "uint32_t", P]],
  lyd_dup_single: ["int", [P, P, "uint32_t", P]],
  lyd_merge_siblings: ["int", [P, P, "uint16_t"]],
  lyd_compare_siblings: ["int", [P, P, "uint32_t"]],
  lyd_new_path: ["int", [P, P, "str", "str", "uint32_t", P]],
  lyd_find_path: ["int", [P, "str", "uint8_t", P]],
  lyd_find_xpath: ["int", [P, "str", P]],
  lyd_insert_before: ["int", [P, P]],
  lyd_insert_after: ["int", [P, P]],
  lyd_path: [FREED_STRING, [P, "int", P, "size_t"]],
  lyd_value_get_canonical: ["str", [P, P]],
  ly_set_free: ["void", [P, P]],
  lys_getnext: [P, [P, P, P, "uint32_t"]],
  lys_print_mem: ["int", [P, P, "int", "uint32_t"]],
};

let loaded: LibYang | undefined;

/** Returns the library, loading it once for each thread. Throws NATIVE_LIBRARY_MISSING. */
export function loadLibYang(): LibYang {
  loaded ??= openLibrary(BINDINGS);
  return loaded;
}

/** Returns the first library that is there. Throws NATIVE_LIBRARY_MISSING. */
export function openLibrary(bindings: readonly LibYangBinding[]): LibYang {
  const refusals: string[] = [];
  for (const { soname, constants } of bindings) {
    try {
      const library = koffi.load(soname);
      const table: Record<string, unknown> = {};
      for (const [name, [result, parameters]] of Object.entries(SIGNATURES)) {
        table[name] = library.func(name, result, [...parameters]);
      }
      const functions = table as unknown as LibYangFunctions;
      functions.ly_log_level(0); // Errors only.
      functions.ly_log_options(constants.LY_LOSTORE); // Nothing on standard error.
      return { soname, constants, functions };
    } catch (error) {
      refusals.push(`${soname}: ${describeError(error)}`);
    }
  }
  const packages = bindings.map((binding) => binding.debianPackage).join(" or ");
  throw new FlowliftError(
    "NATIVE_LIBRARY_MISSING",
    `Cannot load libyang (${refusals.join("; ")}). Install it: apt-get install ${packages}`,
  );
}
