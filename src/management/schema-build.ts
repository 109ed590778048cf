/** Turns libyang's schema into ours: data nodes only, children by name. Pure. */
import type { SchemaNode as LibrarySchemaNode, SchemaTree } from "../lib/yang/schema-tree.ts";
import type { Schema, SchemaKind, SchemaNode } from "./schema.ts";

const KINDS: Readonly<Record<string, SchemaKind>> = {
  container: "container",
  list: "list",
  leaf: "leaf",
  "leaf-list": "leaf-list",
  anydata: "any",
  anyxml: "any",
};

/** Returns the data nodes of all modules. */
export function buildSchema(tree: SchemaTree): Schema {
  return { roots: buildAll(tree.roots, undefined) };
}

function buildAll(
  nodes: readonly LibrarySchemaNode[],
  parent: SchemaNode | undefined,
): ReadonlyMap<string, readonly SchemaNode[]> {
  const byName = new Map<string, SchemaNode[]>();
  for (const node of nodes) {
    const kind = KINDS[node.kind];
    if (kind === undefined) continue; // Operations and notifications are no data.
    const built = build(node, kind, parent);
    const sameName = byName.get(node.name);
    if (sameName === undefined) byName.set(node.name, [built]);
    else sameName.push(built);
  }
  return byName;
}

function build(
  node: LibrarySchemaNode,
  kind: SchemaKind,
  parent: SchemaNode | undefined,
): SchemaNode {
  const built = {
    kind,
    name: node.name,
    module: node.module,
    namespace: node.namespace,
    config: node.config,
    presence: node.presence,
    userOrdered: node.orderedBy === "user",
    keys: node.keys,
    choices: node.cases.map((item) => ({ choice: item.choice, caseName: item.case })),
    parent,
    children: new Map() as ReadonlyMap<string, readonly SchemaNode[]>,
  };
  built.children = buildAll(node.children, built);
  return built;
}
