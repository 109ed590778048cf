/**
 * YANG schemas, and the parsing and validation of data and operations against them.
 *
 *     const yang = YangContext.create({
 *       searchDirectories: defaultYangDirectories(findProjectRoot()),
 *       modules: [{ name: "ietf-nat", features: ["napt44"] }, { name: "flowlift-offload" }],
 *     });
 *     const parsed = yang.parseConfig(text, "json");          // strict and validated
 *     if (!parsed.ok) return parsed;                           // YangProblem: message, path, line
 *     const json = parsed.value.toJson();                      // or .print("xml", {…})
 *     parsed.value.free();
 *
 *     candidate.newPath("/ietf-nat:nat/instances/instance[id='1']/name", "red");
 *     const rpc = yang.parseOperation(xml, "rpc");            // <request-offload …>, or "reply", …
 *
 * Effect: owns C memory; `destroy()` ends it, and every tree of it. Calls block: 10,000 list
 * entries take some 100 ms, an offload request of one flow some 20 µs. One context serves one
 * thread; each worker thread creates its own.
 * Limit: INPUT_BYTES_MAX for each text, JSON_DEPTH_MAX nested values; XML has libyang's own limit.
 */
import { FlowliftError } from "../base/errors.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type DataFormat, DataTree } from "./data-tree.ts";
import { INPUT_BYTES_MAX, InputText } from "./input-text.ts";
import { type LibYang, loadLibYang, NULL_POINTER, type Pointer } from "./libyang.ts";
import { getSchemaText, listModules, modulePointers, type YangModule } from "./module-list.ts";
import { readModule } from "./native-memory.ts";
import { readSchemaTree, type SchemaTree } from "./schema-tree.ts";
import { installAdvice } from "./yang-directories.ts";
import { problemOf, takeErrors, takeProblem, type YangProblem } from "./yang-problem.ts";

/** A module to implement. `features` absent: none is supported. */
export interface YangModuleRequest {
  readonly name: string;
  /** Absent: the newest that is found. */
  readonly revision?: string;
  readonly features?: readonly string[] | "all";
}

export interface YangContextOptions {
  readonly searchDirectories: readonly string[];
  readonly modules: readonly YangModuleRequest[];
  /** Default: INPUT_BYTES_MAX. */
  readonly inputBytesMax?: number;
}

export interface ParseConfigOptions {
  /** Refuses unknown nodes. Default: true. */
  readonly strict?: boolean;
  /** Checks constraints and adds defaults. Default: true. */
  readonly validate?: boolean;
  /** Accepts state (config false); then only modules with data are validated. Default: false. */
  readonly withState?: boolean;
}

/** `rpc` and `reply`: the operation's element with its input or output; `notification`: its element. */
export type OperationKind = "rpc" | "reply" | "notification";

/** Compiled schemas. */
export class YangContext {
  readonly library: LibYang;
  readonly pointer: Pointer;
  readonly searchDirectories: readonly string[];
  readonly #input: InputText;
  #alive = true;
  #schema: SchemaTree | undefined;

  private constructor(library: LibYang, pointer: Pointer, options: YangContextOptions) {
    this.library = library;
    this.pointer = pointer;
    this.searchDirectories = options.searchDirectories;
    this.#input = new InputText(options.inputBytesMax ?? INPUT_BYTES_MAX);
  }

  /** Throws YANG_MODULE_UNLOADABLE or NATIVE_LIBRARY_MISSING. */
  static create(options: YangContextOptions): YangContext {
    const library = loadLibYang();
    const { constants, functions } = library;
    const created = new BigUint64Array(1);
    const flags = constants.LY_CTX_NO_YANGLIBRARY | constants.LY_CTX_DISABLE_SEARCHDIR_CWD;
    if (functions.ly_ctx_new(null, flags, created) !== 0) {
      throw new FlowliftError("YANG_MODULE_UNLOADABLE", "libyang cannot create a context");
    }
    const context = new YangContext(library, created[0] ?? NULL_POINTER, options);
    try {
      context.#addDirectories();
      for (const request of options.modules) context.#load(request);
      return context;
    } catch (error) {
      context.destroy();
      throw error;
    }
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Gives all memory back. Trees of this context must not be used afterwards. */
  destroy(): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.library.functions.ly_ctx_destroy(this.pointer);
  }

  #addDirectories(): void {
    for (const directory of this.searchDirectories) {
      if (this.library.functions.ly_ctx_set_searchdir(this.pointer, directory) === 0) continue;
      const [reason] = takeErrors(this.library, this.pointer);
      throw new FlowliftError(
        "YANG_MODULE_UNLOADABLE",
        `Cannot search "${directory}" for YANG modules: ${reason?.msg ?? "unknown reason"}`,
      );
    }
  }

  #load(request: YangModuleRequest): void {
    const { functions } = this.library;
    const wanted = request.features === "all" ? ["*"] : (request.features ?? []);
    const module = functions.ly_ctx_load_module(
      this.pointer,
      request.name,
      request.revision ?? null,
      [...wanted, null],
    );
    if (module !== null) {
      this.#checkRevision(request, module);
      return;
    }
    const reasons = takeErrors(this.library, this.pointer).map((error) => {
      return `${error.msg ?? ""}${error.path === null ? "" : ` (${error.path})`}`;
    });
    const at = request.revision === undefined ? "" : `@${request.revision}`;
    throw new FlowliftError(
      "YANG_MODULE_UNLOADABLE",
      `Cannot load YANG module "${request.name}${at}" from ${this.searchDirectories.join(", ")}: ` +
        `${reasons.join(" ").replace(/\.$/, "")}${installAdvice()}`,
    );
  }

  #checkRevision(request: YangModuleRequest, module: Pointer): void {
    const { revision } = readModule(module);
    if (request.revision === undefined || request.revision === revision) return;
    throw new FlowliftError(
      "YANG_MODULE_UNLOADABLE",
      `YANG module "${request.name}" is loaded in revision ${revision}, not ${request.revision}`,
    );
  }

  /** Returns every module, also those that are only imported. */
  listModules(): YangModule[] {
    return listModules(this);
  }

  /** Returns a module's YANG text, or undefined when it is not loaded in this revision. */
  getSchemaText(name: string, revision?: string): string | undefined {
    return getSchemaText(this, name, revision);
  }

  /** Returns the schema nodes; the first call reads them. */
  walkSchema(): SchemaTree {
    this.#schema ??= readSchemaTree(this, modulePointers(this));
    return this.#schema;
  }

  /** Returns a tree without nodes. */
  emptyTree(): DataTree {
    return new DataTree(this, NULL_POINTER);
  }

  /** Parses configuration; JSON after RFC 7951, XML as any number of top-level elements. */
  parseConfig(
    text: string | Uint8Array,
    format: DataFormat,
    options: ParseConfigOptions = {},
  ): Result<DataTree, YangProblem> {
    const { constants, functions } = this.library;
    const input = this.#input.take(text, format);
    if (!input.ok) return input;
    const withState = options.withState ?? false;
    const parseOptions =
      ((options.strict ?? true) ? constants.LYD_PARSE_STRICT : 0) |
      ((options.validate ?? true) ? 0 : constants.LYD_PARSE_ONLY) |
      (withState ? 0 : constants.LYD_PARSE_NO_STATE);
    const tree = new BigUint64Array(1);
    const code = functions.lyd_parse_data_mem(
      this.pointer,
      input.value,
      format === "json" ? constants.LYD_JSON : constants.LYD_XML,
      parseOptions,
      withState ? constants.LYD_VALIDATE_PRESENT : constants.LYD_VALIDATE_NO_STATE,
      tree,
    );
    this.#input.release();
    if (code === 0) return ok(new DataTree(this, tree[0] ?? NULL_POINTER));
    return err(takeProblem(this.library, this.pointer, "parse the data"));
  }

  /**
   * Checks every constraint, adds defaults, and deletes what a `when` no longer allows.
   * Returns undefined for valid data.
   */
  validate(
    tree: DataTree,
    options: { readonly withState?: boolean } = {},
  ): YangProblem | undefined {
    const { constants, functions } = this.library;
    const first = new BigUint64Array([tree.first]);
    const flags =
      options.withState === true ? constants.LYD_VALIDATE_PRESENT : constants.LYD_VALIDATE_NO_STATE;
    const code = functions.lyd_validate_all(first, this.pointer, flags, null);
    tree.replaceFirst(first[0] ?? NULL_POINTER);
    return code === 0 ? undefined : takeProblem(this.library, this.pointer, "validate the data");
  }

  /** Parses and validates an operation without envelope. References look into `dependencies`. */
  parseOperation(
    text: string | Uint8Array,
    kind: OperationKind,
    format: DataFormat = "xml",
    dependencies?: DataTree,
  ): Result<DataTree, YangProblem> {
    const { constants } = this.library;
    const type = {
      rpc: constants.LYD_TYPE_RPC_YANG,
      reply: constants.LYD_TYPE_REPLY_YANG,
      notification: constants.LYD_TYPE_NOTIF_YANG,
    }[kind];
    return this.#parseOperation(text, format, type, type, dependencies);
  }

  /** Parses and validates `<rpc>` with its operation; the tree is the operation. */
  parseNetconfRpc(
    text: string | Uint8Array,
    dependencies?: DataTree,
  ): Result<DataTree, YangProblem> {
    const { LYD_TYPE_RPC_NETCONF, LYD_TYPE_RPC_YANG } = this.library.constants;
    return this.#parseOperation(text, "xml", LYD_TYPE_RPC_NETCONF, LYD_TYPE_RPC_YANG, dependencies);
  }

  /** Parses and validates `<notification>` (RFC 5277); the tree is what it carries. */
  parseNetconfNotification(text: string | Uint8Array): Result<DataTree, YangProblem> {
    const { LYD_TYPE_NOTIF_NETCONF, LYD_TYPE_NOTIF_YANG } = this.library.constants;
    return this.#parseOperation(text, "xml", LYD_TYPE_NOTIF_NETCONF, LYD_TYPE_NOTIF_YANG);
  }

  readonly #tree = new BigUint64Array(1);
  readonly #operation = new BigUint64Array(1);

  #parseOperation(
    text: string | Uint8Array,
    format: DataFormat,
    parseType: number,
    validateType: number,
    dependencies?: DataTree,
  ): Result<DataTree, YangProblem> {
    const { constants, functions } = this.library;
    const input = this.#input.take(text, format);
    if (!input.ok) return input;
    this.#tree[0] = NULL_POINTER;
    this.#operation[0] = NULL_POINTER;
    const handle = new BigUint64Array(1);
    functions.ly_in_new_memory(input.value, handle);
    const code = functions.lyd_parse_op(
      this.pointer,
      null,
      handle[0] ?? NULL_POINTER,
      format === "json" ? constants.LYD_JSON : constants.LYD_XML,
      parseType,
      this.#tree,
      this.#operation,
    );
    functions.ly_in_free(handle[0] ?? NULL_POINTER, 0);
    this.#input.release();
    const first = this.#tree[0] ?? NULL_POINTER;
    const operation = this.#operation[0] ?? NULL_POINTER;
    const hasEnvelope = parseType !== validateType;
    if (hasEnvelope && first !== NULL_POINTER) functions.lyd_free_all(first);
    const root = hasEnvelope ? operation : first;
    if (code !== 0) {
      const problem = takeProblem(this.library, this.pointer, "parse the operation");
      if (root !== NULL_POINTER) functions.lyd_free_all(root);
      return err(problem);
    }
    if (operation === NULL_POINTER) return err(problemOf("No operation was found"));
    const related = dependencies?.first ?? NULL_POINTER;
    if (functions.lyd_validate_op(root, related, validateType, null) !== 0) {
      const problem = takeProblem(this.library, this.pointer, "validate the operation");
      functions.lyd_free_all(root);
      return err(problem);
    }
    return ok(new DataTree(this, root));
  }
}
