/**
 * Instance data as RFC 7951 values, made once for each node.
 *
 * Pure, but for the memory of what was made: trees share nodes, so a small change costs little.
 * What a union's value is depends on the value; `ask` finds out (libyang).
 */
import { assert } from "../lib/base/assert.ts";
import type { ConfigData } from "../lib/service/provider.ts";
import type { ContainerNode, DataNode, DataRoot, LeafNode } from "./data-node.ts";
import type { SchemaNode } from "./schema.ts";

export interface JsonContext {
  /** The module of a namespace. */
  readonly moduleOf: (namespace: string) => string | undefined;
  /** The value of a leaf whose type allows several forms, or that holds a path. */
  readonly ask: (leaf: LeafNode) => unknown;
}

/** Writes trees; keeps what it wrote as long as the nodes live. */
export class JsonWriter {
  readonly #context: JsonContext;
  readonly #made = new WeakMap<ContainerNode, Record<string, unknown>>();

  constructor(context: JsonContext) {
    this.#context = context;
  }

  /** Returns the whole tree; callers must not change it. */
  write(root: DataRoot): ConfigData {
    const out: Record<string, unknown> = {};
    for (const [schema, node] of root)
      out[`${schema.module}:${schema.name}`] = this.writeNode(node);
    return out;
  }

  /** Returns the value of one node. */
  writeNode(node: DataNode): unknown {
    if (node.kind === "leaf") return this.#writeLeaf(node);
    if (node.kind === "container") return this.#writeContainer(node);
    if (node.kind === "any") return {}; // Configuration of ours has none.
    const values: unknown[] = [];
    for (const entry of node.entries.values()) values.push(this.writeNode(entry));
    return values;
  }

  #writeContainer(node: ContainerNode): Record<string, unknown> {
    const known = this.#made.get(node);
    if (known !== undefined) return known;
    const out: Record<string, unknown> = {};
    for (const [schema, child] of node.children) {
      out[memberName(schema, node.schema)] = this.writeNode(child);
    }
    this.#made.set(node, out);
    return out;
  }

  #writeLeaf(leaf: LeafNode): unknown {
    switch (leaf.schema.jsonKind ?? "string") {
      case "string":
        return leaf.value;
      case "number":
        return Number(leaf.value);
      case "boolean":
        return leaf.value === "true";
      case "empty":
        return [null];
      case "identity":
        return this.#writeIdentity(leaf);
      default:
        return this.#context.ask(leaf);
    }
  }

  #writeIdentity(leaf: LeafNode): string {
    const colon = leaf.value.indexOf(":");
    if (colon < 0) return `${leaf.schema.module}:${leaf.value}`;
    const namespace = leaf.prefixes[leaf.value.slice(0, colon)] ?? "";
    const module = this.#context.moduleOf(namespace);
    assert(module !== undefined, "an identity's module is loaded");
    return `${module}:${leaf.value.slice(colon + 1)}`;
  }
}

function memberName(schema: SchemaNode, parent: SchemaNode): string {
  return schema.module === parent.module ? schema.name : `${schema.module}:${schema.name}`;
}
