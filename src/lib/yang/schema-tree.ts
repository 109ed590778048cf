/**
 * The schema nodes of a context that data can have, as plain objects.
 *
 * Effect: reads libyang's compiled schema once; the objects outlive the context. Choices and cases
 * have no data: they are named on the nodes below them. Augmented nodes carry their own module.
 */
import { assert } from "../base/assert.ts";
import type { TreeOwner } from "./data-tree.ts";
import type { Pointer } from "./libyang.ts";
import {
  type NativeModule,
  readBaseType,
  readExtensions,
  readModule,
  readSchemaNode,
  readValueTypes,
} from "./native-memory.ts";

export type SchemaKind =
  | "container"
  | "list"
  | "leaf"
  | "leaf-list"
  | "anyxml"
  | "anydata"
  | "rpc"
  | "action"
  | "notification";

/** Built-in types (RFC 7950 §4.2.4), in libyang's order (LY_DATA_TYPE). */
export const BASE_TYPES = [
  "unknown",
  "binary",
  "uint8",
  "uint16",
  "uint32",
  "uint64",
  "string",
  "bits",
  "boolean",
  "decimal64",
  "empty",
  "enumeration",
  "identityref",
  "instance-identifier",
  "leafref",
  "union",
  "int8",
  "int16",
  "int32",
  "int64",
] as const;

export type BaseType = (typeof BASE_TYPES)[number];

export interface SchemaNode {
  /** As data paths without keys: a module name where it differs from the parent's. */
  readonly path: string;
  readonly kind: SchemaKind;
  readonly name: string;
  readonly module: string;
  readonly namespace: string;
  /** False for state, and inside of operations and notifications it means nothing. */
  readonly config: boolean;
  /** Keys of a list in order; empty for a list without keys and for everything else. */
  readonly keys: readonly string[];
  readonly orderedBy: "user" | "system";
  /** Of a leaf or leaf-list. */
  readonly baseType: BaseType | undefined;
  /** What a value can be in the end: members of unions, targets of leafrefs. */
  readonly valueTypes: readonly BaseType[];
  /** Extensions at the node itself, by name. */
  readonly extensions: readonly string[];
  readonly isKey: boolean;
  /** True for a container that exists by itself. */
  readonly presence: boolean;
  readonly mandatory: boolean;
  /** The cases in which the node lies, outermost first: at most one case of a choice has data. */
  readonly cases: readonly { readonly choice: string; readonly case: string }[];
  readonly parent: SchemaNode | undefined;
  /** Of an rpc or action: its input. */
  readonly children: readonly SchemaNode[];
  /** Of an rpc or action. */
  readonly output: readonly SchemaNode[];
}

const KINDS: Readonly<Record<number, SchemaKind>> = {
  1: "container",
  4: "leaf",
  8: "leaf-list",
  16: "list",
  32: "anyxml",
  96: "anydata",
  256: "rpc",
  512: "action",
  1024: "notification",
};
const LYS_CHOICE = 0x02;
const LYS_CASE = 0x80;
const LYS_CONFIG_R = 0x02;
const LYS_MAND_TRUE = 0x20;
const LYS_ORDBY_USER = 0x40;
const LYS_PRESENCE = 0x80;
const LYS_KEY = 0x100;

type Building = {
  -readonly [Key in keyof SchemaNode]: SchemaNode[Key];
};

/** Every schema node, reachable by name and by path. */
export class SchemaTree {
  /** Top-level data nodes, rpcs and notifications. */
  readonly roots: readonly SchemaNode[];
  readonly #byParent = new Map<SchemaNode | undefined, Map<string, SchemaNode>>();
  readonly #byPath = new Map<string, SchemaNode>();

  constructor(roots: readonly SchemaNode[]) {
    this.roots = roots;
    this.#index(undefined, roots);
  }

  get nodeCount(): number {
    return this.#byPath.size;
  }

  /** Returns the node below `parent` (undefined: at the top) with an XML name. */
  child(
    parent: SchemaNode | undefined,
    namespace: string,
    localName: string,
  ): SchemaNode | undefined {
    return this.#byParent.get(parent)?.get(`${namespace} ${localName}`);
  }

  /** Returns the node below `parent` with a name as in RFC 7951, `module:name` or, if the module is
   * the parent's, `name`. */
  member(parent: SchemaNode | undefined, name: string): SchemaNode | undefined {
    const [module, local] = name.includes(":") ? name.split(":", 2) : [parent?.module, name];
    const nodes = parent === undefined ? this.roots : parent.children;
    return nodes.find((node) => node.name === local && node.module === module);
  }

  /** Returns the node at a schema path, or at a data path whose keys are then ignored. */
  find(path: string): SchemaNode | undefined {
    return this.#byPath.get(path) ?? this.#byPath.get(withoutPredicates(path));
  }

  /** Visits every node, parents first. */
  *all(): IterableIterator<SchemaNode> {
    yield* this.#byPath.values();
  }

  #index(parent: SchemaNode | undefined, nodes: readonly SchemaNode[]): void {
    const byName = new Map<string, SchemaNode>();
    this.#byParent.set(parent, byName);
    for (const node of nodes) {
      byName.set(`${node.namespace} ${node.name}`, node);
      this.#byPath.set(node.path, node);
      this.#index(node, node.children);
      for (const output of node.output) this.#index(output, output.children);
    }
  }
}

/** Drops `[key='…']` from a data path; quotes may hold brackets and slashes. */
function withoutPredicates(path: string): string {
  return path.replace(/\[(?:[^"'\]]|"[^"]*"|'[^']*')*\]/g, "");
}

/** Reads the schema of a context. */
export function readSchemaTree(owner: TreeOwner, modules: readonly Pointer[]): SchemaTree {
  const walker = new Walker(owner);
  return new SchemaTree(modules.flatMap((module) => walker.roots(module)));
}

class Walker {
  readonly #owner: TreeOwner;
  readonly #modules = new Map<Pointer, NativeModule>();

  constructor(owner: TreeOwner) {
    this.#owner = owner;
  }

  roots(module: Pointer): SchemaNode[] {
    const { implemented, compiled } = this.#module(module);
    if (!implemented || compiled === null) return [];
    return this.#siblings(null, compiled, undefined, 0);
  }

  #module(module: Pointer): NativeModule {
    const known = this.#modules.get(module);
    if (known !== undefined) return known;
    const read = readModule(module);
    this.#modules.set(module, read);
    return read;
  }

  #siblings(
    parent: Pointer | null,
    compiled: Pointer | null,
    parentNode: SchemaNode | undefined,
    options: number,
  ): SchemaNode[] {
    const { functions } = this.#owner.library;
    const nodes: SchemaNode[] = [];
    let at = functions.lys_getnext(null, parent, compiled, options);
    while (at !== null) {
      nodes.push(this.#read(at, parent, parentNode));
      at = functions.lys_getnext(at, parent, compiled, options);
    }
    return nodes;
  }

  #read(pointer: Pointer, parent: Pointer | null, parentNode: SchemaNode | undefined): SchemaNode {
    const { constants } = this.#owner.library;
    const native = readSchemaNode(pointer);
    const module = this.#module(native.module);
    const kind = KINDS[native.nodetype];
    assert(kind !== undefined, "lys_getnext returns nodes that have data");
    const isLeaf = kind === "leaf" || kind === "leaf-list";
    const qualified = parentNode?.module === module.name ? "" : `${module.name}:`;
    const node: Building = {
      path: `${parentNode?.path ?? ""}/${qualified}${native.name}`,
      kind,
      name: native.name,
      module: module.name,
      namespace: module.ns,
      config: (native.flags & LYS_CONFIG_R) === 0,
      keys: [],
      orderedBy:
        (kind === "list" || kind === "leaf-list") && (native.flags & LYS_ORDBY_USER) !== 0
          ? "user"
          : "system",
      baseType: isLeaf ? (BASE_TYPES[readBaseType(pointer)] ?? "unknown") : undefined,
      valueTypes: isLeaf
        ? [...readValueTypes(pointer)].map((type) => BASE_TYPES[type] ?? "unknown")
        : [],
      extensions: readExtensions(native),
      isKey: kind === "leaf" && (native.flags & LYS_KEY) !== 0,
      presence: kind === "container" && (native.flags & LYS_PRESENCE) !== 0,
      mandatory: (native.flags & LYS_MAND_TRUE) !== 0,
      cases: this.#cases(native.parent, parent),
      parent: parentNode,
      children: [],
      output: [],
    };
    if (isLeaf || kind === "anyxml" || kind === "anydata") return node;
    node.children = this.#siblings(pointer, null, node, 0);
    node.keys = node.children.filter((child) => child.isKey).map((child) => child.name);
    if (kind === "rpc" || kind === "action") {
      node.output = this.#siblings(pointer, null, node, constants.LYS_GETNEXT_OUTPUT);
    }
    return node;
  }

  /** Collects the choices and cases between a node and its parent that has data. */
  #cases(first: Pointer | null, parent: Pointer | null): SchemaNode["cases"] {
    const found: { choice: string; case: string }[] = [];
    let caseName = "";
    let at = first;
    while (at !== null && at !== parent) {
      const native = readSchemaNode(at);
      if (native.nodetype === LYS_CASE) caseName = native.name;
      else if (native.nodetype === LYS_CHOICE) {
        found.unshift({ choice: native.name, case: caseName });
      } else break;
      at = native.parent;
    }
    return found;
  }
}
