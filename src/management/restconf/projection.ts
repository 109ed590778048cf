/**
 * The part of a resource that its reader asked for: content, depth and fields.
 *
 * Pure. Source: RFC 8040 §4.8.1 (content), §4.8.2 (depth), §4.8.3 (fields).
 */
import type { ContainerNode, DataNode, DataRoot, EntryNode } from "../data-node.ts";
import type { SchemaNode } from "../schema.ts";
import type { FieldTree, ReadQuery } from "./query.ts";

type Siblings = ReadonlyMap<SchemaNode, DataNode>;

/** Returns the node with what the query selects, or undefined when nothing is left. */
export function projectNode(node: DataNode, query: ReadQuery): DataNode | undefined {
  return project(node, query, query.depth ?? Number.POSITIVE_INFINITY, query.fields);
}

/** As projectNode, for the datastore: its top-level nodes are one level down. */
export function projectRoot(root: DataRoot, query: ReadQuery): DataRoot {
  const depth = (query.depth ?? Number.POSITIVE_INFINITY) - 1;
  return projectSiblings(root, query, depth, query.fields, undefined);
}

function project(
  node: DataNode,
  query: ReadQuery,
  depth: number,
  fields: FieldTree | undefined,
): DataNode | undefined {
  if (node.kind === "list") {
    const entries = new Map<string, EntryNode>();
    for (const [key, entry] of node.entries) {
      const kept = project(entry, query, depth, fields);
      if (kept?.kind === "container" || kept?.kind === "leaf") entries.set(key, kept);
    }
    return entries.size === 0 ? undefined : { ...node, entries };
  }
  if (node.kind !== "container") return isWanted(node.schema, query) ? node : undefined;
  if (query.content === "config" && !node.schema.config) return undefined;
  const children = projectSiblings(node.children, query, depth - 1, fields, node.schema);
  if (query.content === "nonconfig" && node.schema.config) {
    if (!hasContent(children, node.schema)) return undefined;
  }
  return { kind: "container", schema: node.schema, children } satisfies ContainerNode;
}

function projectSiblings(
  siblings: Siblings,
  query: ReadQuery,
  depth: number,
  fields: FieldTree | undefined,
  parent: SchemaNode | undefined,
): Map<SchemaNode, DataNode> {
  const out = new Map<SchemaNode, DataNode>();
  for (const [schema, child] of siblings) {
    if (isKey(parent, schema)) {
      out.set(schema, child); // An entry without its keys would not be one.
      continue;
    }
    if (depth <= 0) continue;
    const below = selectField(fields, schema, parent);
    if (below === "none") continue;
    const kept = project(child, query, depth, below);
    if (kept !== undefined) out.set(schema, kept);
  }
  return out;
}

/** The names of `fields` may have the module in front. */
function selectField(
  fields: FieldTree | undefined,
  schema: SchemaNode,
  parent: SchemaNode | undefined,
): FieldTree | undefined | "none" {
  if (fields === undefined) return undefined;
  const qualified = `${schema.module}:${schema.name}`;
  if (fields.children.has(qualified)) return fields.children.get(qualified);
  const isOwn = parent === undefined || parent.module === schema.module;
  if (isOwn && fields.children.has(schema.name)) return fields.children.get(schema.name);
  return "none";
}

function isWanted(schema: SchemaNode, { content }: ReadQuery): boolean {
  if (content === "all") return true;
  return content === "config" ? schema.config : !schema.config;
}

function hasContent(children: Siblings, schema: SchemaNode): boolean {
  for (const child of children.keys()) if (!isKey(schema, child)) return true;
  return false;
}

function isKey(list: SchemaNode | undefined, child: SchemaNode): boolean {
  return list?.kind === "list" && list.keys.includes(child.name) && child.module === list.module;
}
