/**
 * A tree of YANG instance data in libyang's memory.
 * Effect: owns C memory; whoever holds a tree calls `free()` (a tree that is forgotten is freed
 * some time after garbage collection). Paths are libyang's: `/module:list[key='x']/leaf`; see
 * `quoteXpath` for values. Nodes are never handed out, only their descriptions, so nothing dangles.
 */
import { assert } from "../base/assert.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type LibYang, NULL_POINTER, type Pointer } from "./libyang.ts";
import { readDataNode, readModule, readSchemaNode, readSet, takeString } from "./native-memory.ts";
import { problemOf, takeProblem, type YangProblem } from "./yang-problem.ts";

export type DataFormat = "json" | "xml";

/** RFC 6243: `explicit` prints what was set, `all` everything, `trim` what differs from defaults. */
export type WithDefaults = "explicit" | "trim" | "report-all" | "report-all-tagged";

export interface PrintOptions {
  /** Default: explicit. */
  readonly withDefaults?: WithDefaults;
  /** Default: false. */
  readonly pretty?: boolean;
  /** Prints empty containers without presence too. Default: false. */
  readonly keepEmptyContainers?: boolean;
}

/** A node of a tree, by description. */
export interface DataNode {
  readonly path: string;
  readonly name: string;
  readonly module: string;
  /** Canonical value of a leaf or leaf-list entry. */
  readonly value?: string;
  /** True for a default that nobody set. */
  readonly isDefault: boolean;
}

/** What a tree needs to know of its context. */
export interface TreeOwner {
  readonly library: LibYang;
  readonly pointer: Pointer;
  /** False once the context is destroyed; its trees are then unusable. */
  readonly alive: boolean;
}

interface Held {
  readonly owner: TreeOwner;
  first: Pointer;
}

const LYS_LEAF_OR_LEAFLIST = 0x04 | 0x08;

const forgotten = new FinalizationRegistry<Held>((held) => release(held));

function release(held: Held): void {
  if (held.first !== NULL_POINTER && held.owner.alive) {
    held.owner.library.functions.lyd_free_all(held.first);
  }
  held.first = NULL_POINTER;
}

/** A list of top-level nodes with everything below; may be empty. */
export class DataTree {
  readonly #held: Held;
  #freed = false;

  /** Takes ownership of `first`, the first of its siblings, or NULL for an empty tree. */
  constructor(owner: TreeOwner, first: Pointer) {
    this.#held = { owner, first };
    forgotten.register(this, this.#held, this);
  }

  get isEmpty(): boolean {
    return this.first === NULL_POINTER;
  }

  /** The first top-level node, for the other files of this folder. */
  get first(): Pointer {
    assert(!this.#freed, "a data tree is not used after free()");
    assert(this.#held.owner.alive, "a data tree is not used after its context was destroyed");
    return this.#held.first;
  }

  /** Says that the top-level nodes changed, for the other files of this folder. */
  replaceFirst(first: Pointer): void {
    assert(!this.#freed, "a data tree is not used after free()");
    this.#held.first = first;
  }

  /** Gives the memory back. May be called again. */
  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    forgotten.unregister(this);
    release(this.#held);
  }

  /** Returns the whole tree as text; an empty tree is `{}` or the empty text. */
  print(format: DataFormat, options: PrintOptions = {}): string {
    const { constants } = this.#held.owner.library;
    return this.#print(this.first, format, options, constants.LYD_PRINT_WITHSIBLINGS);
  }

  /** Returns one node with everything below as text, or undefined when there is none. */
  printAt(path: string, format: DataFormat, options: PrintOptions = {}): string | undefined {
    const node = this.#locate(path);
    return node === undefined ? undefined : this.#print(node, format, options, 0);
  }

  /** Returns the tree as RFC 7951 values. */
  toJson(options: PrintOptions = {}): Record<string, unknown> {
    return JSON.parse(this.print("json", options)) as Record<string, unknown>;
  }

  #print(node: Pointer, format: DataFormat, options: PrintOptions, flags: number): string {
    const { constants, functions } = this.#held.owner.library;
    if (node === NULL_POINTER) return format === "json" ? "{}" : "";
    const defaults = {
      explicit: constants.LYD_PRINT_WD_EXPLICIT,
      trim: constants.LYD_PRINT_WD_TRIM,
      "report-all": constants.LYD_PRINT_WD_ALL,
      "report-all-tagged": constants.LYD_PRINT_WD_ALL_TAG,
    }[options.withDefaults ?? "explicit"];
    const shape =
      (options.pretty === true ? 0 : constants.LYD_PRINT_SHRINK) |
      (options.keepEmptyContainers === true ? constants.LYD_PRINT_KEEPEMPTYCONT : 0);
    const text = new BigUint64Array(1);
    const kind = format === "json" ? constants.LYD_JSON : constants.LYD_XML;
    const code = functions.lyd_print_mem(text, node, kind, flags | shape | defaults);
    assert(code === 0, "libyang prints every tree that it holds");
    return takeString(text[0] ?? NULL_POINTER);
  }

  /** Returns a copy; it keeps the flags by which validation deletes what a `when` no longer allows. */
  duplicate(): DataTree {
    const { owner } = this.#held;
    const { constants, functions } = owner.library;
    const copy = new BigUint64Array(1);
    if (this.first !== NULL_POINTER) {
      const options = constants.LYD_DUP_RECURSIVE | constants.LYD_DUP_WITH_FLAGS;
      const code = functions.lyd_dup_siblings(this.first, null, options, copy);
      assert(code === 0, "libyang copies every tree that it holds");
    }
    return new DataTree(owner, copy[0] ?? NULL_POINTER);
  }

  /** Returns whether both hold the same data; defaults count as data. */
  equals(other: DataTree): boolean {
    const { constants, functions } = this.#held.owner.library;
    if (this.isEmpty || other.isEmpty) return this.isEmpty === other.isEmpty;
    const options = constants.LYD_COMPARE_FULL_RECURSION;
    return functions.lyd_compare_siblings(this.first, other.first, options) === 0;
  }

  /**
   * Adds what `other` has and replaces leaves that differ; `other` stays as it is.
   * Limit: quadratic in list entries (libyang 2.1), so keep `other` below some thousand.
   */
  merge(other: DataTree): Result<undefined, YangProblem> {
    const { owner } = this.#held;
    if (other.isEmpty) return ok(undefined);
    const target = new BigUint64Array([this.first]);
    const { constants, functions } = owner.library;
    const code = functions.lyd_merge_siblings(target, other.first, constants.LYD_MERGE_DEFAULTS);
    this.replaceFirst(target[0] ?? NULL_POINTER);
    return code === 0 ? ok(undefined) : err(takeProblem(owner.library, owner.pointer, "merge"));
  }

  /**
   * Creates the node at `path` with its parents, or gives an existing leaf a new value.
   * Types are checked now, constraints only by validation.
   */
  newPath(path: string, value: string | null = null): Result<undefined, YangProblem> {
    const { owner } = this.#held;
    const { constants, functions } = owner.library;
    if (path.includes("\0") || value?.includes("\0") === true) {
      return err(problemOf("A character with code 0 is not allowed", path));
    }
    const node = new BigUint64Array(1);
    const options = constants.LYD_NEW_PATH_UPDATE;
    const code = functions.lyd_new_path(this.first, owner.pointer, path, value, options, node);
    if (code !== 0) {
      const problem = takeProblem(owner.library, owner.pointer, "create the node");
      return err(problem.path === undefined ? { ...problem, path } : problem);
    }
    const anchor = this.first === NULL_POINTER ? (node[0] ?? NULL_POINTER) : this.first;
    if (anchor !== NULL_POINTER) {
      this.replaceFirst(functions.lyd_first_sibling(anchor) ?? NULL_POINTER);
    }
    return ok(undefined);
  }

  /**
   * Returns the node at a data path (one instance, no wildcard), or undefined. After validation
   * each container without presence is there, as a default.
   */
  get(path: string): DataNode | undefined {
    const node = this.#locate(path);
    return node === undefined ? undefined : this.#describe(node);
  }

  /** Returns the nodes that an XPath 1.0 expression selects, in document order. */
  find(xpath: string): Result<DataNode[], YangProblem> {
    const found = this.#select(xpath);
    return found.ok ? ok(found.value.map((node) => this.#describe(node))) : found;
  }

  /** Deletes the node at a data path with everything below. Returns false when there is none. */
  remove(path: string): boolean {
    const node = this.#locate(path);
    if (node === undefined) return false;
    const { functions } = this.#held.owner.library;
    if (node === this.first) this.replaceFirst(readDataNode(node).next ?? NULL_POINTER);
    functions.lyd_free_tree(node);
    return true;
  }

  /** Moves an entry of a user-ordered list before or after another one of the same list. */
  move(
    path: string,
    where: "before" | "after",
    anchorPath: string,
  ): Result<undefined, YangProblem> {
    const { owner } = this.#held;
    const { functions } = owner.library;
    const node = this.#locate(path);
    const anchor = this.#locate(anchorPath);
    if (node === undefined) return err(problemOf("No such entry", path));
    if (anchor === undefined) return err(problemOf("No such entry", anchorPath));
    if (node === anchor) return ok(undefined);
    const insert = where === "before" ? functions.lyd_insert_before : functions.lyd_insert_after;
    const { first } = this;
    if (insert(anchor, node) !== 0) {
      return err(takeProblem(owner.library, owner.pointer, "move the entry"));
    }
    this.replaceFirst(functions.lyd_first_sibling(first) ?? NULL_POINTER);
    return ok(undefined);
  }

  /** Returns a copy of the node at `path` with its siblings left out, or undefined. */
  copyAt(path: string): DataTree | undefined {
    const node = this.#locate(path);
    if (node === undefined) return undefined;
    const { owner } = this.#held;
    const { constants, functions } = owner.library;
    const copy = new BigUint64Array(1);
    const options = constants.LYD_DUP_RECURSIVE | constants.LYD_DUP_WITH_FLAGS;
    const code = functions.lyd_dup_single(node, null, options, copy);
    assert(code === 0, "libyang copies every node that it holds");
    return new DataTree(owner, copy[0] ?? NULL_POINTER);
  }

  #locate(path: string): Pointer | undefined {
    const { owner } = this.#held;
    if (this.isEmpty || path.includes("\0")) return undefined;
    const match = new BigUint64Array(1);
    const code = owner.library.functions.lyd_find_path(this.first, path, 0, match);
    if (code === 0) return match[0];
    owner.library.functions.ly_err_clean(owner.pointer, null);
    return undefined;
  }

  #select(xpath: string): Result<Pointer[], YangProblem> {
    const { owner } = this.#held;
    const { functions } = owner.library;
    if (xpath.includes("\0")) return err(problemOf("A character with code 0 is not allowed"));
    if (this.isEmpty) return ok([]);
    const set = new BigUint64Array(1);
    const code = functions.lyd_find_xpath(this.first, xpath, set);
    if (code !== 0) return err(takeProblem(owner.library, owner.pointer, "evaluate the XPath"));
    const pointer = set[0] ?? NULL_POINTER;
    const nodes = readSet(pointer);
    functions.ly_set_free(pointer, null);
    return ok(nodes);
  }

  #describe(node: Pointer): DataNode {
    const { owner } = this.#held;
    const { functions } = owner.library;
    const data = readDataNode(node);
    assert(data.schema !== null, "parsed data has a schema");
    const schema = readSchemaNode(data.schema);
    const path = functions.lyd_path(node, 0, null, 0) ?? "";
    const isTerm = (schema.nodetype & LYS_LEAF_OR_LEAFLIST) !== 0 && schema.nodetype < 0x10;
    const value = isTerm ? functions.lyd_value_get_canonical(owner.pointer, data.value) : null;
    return {
      path,
      name: schema.name,
      module: readModule(schema.module).name,
      isDefault: data.isDefault,
      ...(value === null ? {} : { value }),
    };
  }
}

/** Returns a value as an XPath literal, for keys in paths; one with both quotes has none. */
export function quoteXpath(value: string): string | undefined {
  if (!value.includes("'")) return `'${value}'`;
  return value.includes('"') ? undefined : `"${value}"`;
}
