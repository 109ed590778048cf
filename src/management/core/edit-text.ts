/**
 * The edit that leads from one tree to another, as text: what the journal keeps.
 *
 * Pure. Invariant: applying formatEdit(before, after) to `before` makes `after`.
 */
import { NS_NETCONF, NS_YANG } from "../../lib/netconf/names.ts";
import { escapeXml } from "../../lib/xml/tree.ts";
import type { DataNode, DataRoot, EntryNode } from "../data-node.ts";
import { writeNode } from "../data-xml.ts";
import type { SchemaNode } from "../schema.ts";

type Siblings = ReadonlyMap<SchemaNode, DataNode>;

/** Returns the edit that makes `after` of `before`, as elements with operation attributes. */
export function formatEdit(before: DataRoot, after: DataRoot): string {
  const out: string[] = [];
  editSiblings(before, after, "", out);
  return out.join("");
}

const NC = `xmlns:nc="${NS_NETCONF}"`;

function editSiblings(before: Siblings, after: Siblings, scope: string, out: string[]): void {
  if (before === after) return;
  for (const [schema, old] of before) {
    const next = after.get(schema);
    if (next === old) continue;
    if (old.kind === "list") editList(schema, old.entries, next, scope, out);
    else editSingle(old, next, scope, "", out);
  }
  for (const [schema, next] of after) {
    if (before.has(schema)) continue;
    if (next.kind === "list") editList(schema, new Map(), next, scope, out);
    else editSingle(undefined, next, scope, "", out);
  }
}

function editList(
  schema: SchemaNode,
  old: ReadonlyMap<string, EntryNode>,
  after: DataNode | undefined,
  scope: string,
  out: string[],
): void {
  const next: ReadonlyMap<string, EntryNode> = after?.kind === "list" ? after.entries : new Map();
  for (const [key, entry] of old) {
    const now = next.get(key);
    if (now === undefined) editSingle(entry, undefined, scope, "", out);
    else if (now !== entry) editSingle(entry, now, scope, "", out);
  }
  const keeps = schema.userOrdered ? [...old.keys()].filter((key) => next.has(key)) : [];
  const order = schema.userOrdered ? [...next.keys()] : [];
  const isInOrder = keeps.every((key, index) => order[index] === key);
  for (const [key, entry] of next) {
    const isNew = !old.has(key);
    if (isNew) editSingle(undefined, entry, scope, "", out);
    // Each goes to the end in turn: then they stand as they should.
    else if (schema.userOrdered && !isInOrder)
      editSingle(entry, entry, scope, lastAttribute(), out);
    if (isNew && schema.userOrdered && !isInOrder) {
      editSingle(entry, entry, scope, lastAttribute(), out);
    }
  }
}

function lastAttribute(): string {
  return ` xmlns:yang="${NS_YANG}" yang:insert="last"`;
}

function editSingle(
  before: DataNode | undefined,
  after: DataNode | undefined,
  scope: string,
  attributes: string,
  out: string[],
): void {
  const node = after ?? before;
  if (node === undefined || node.kind === "list") return;
  const { schema } = node;
  if (after === undefined) {
    openTag(schema, scope, ` ${NC} nc:operation="remove"`, out);
    out.push(identify(node), `</${schema.name}>`);
    return;
  }
  if (before?.kind === "container" && after.kind === "container") {
    openTag(schema, scope, attributes, out);
    out.push(identify(after));
    editSiblings(before.children, after.children, schema.namespace, out);
    out.push(`</${schema.name}>`);
    return;
  }
  writeNode(after, scope, out, attributes);
}

function openTag(schema: SchemaNode, scope: string, attributes: string, out: string[]): void {
  const space = schema.namespace === scope ? "" : ` xmlns="${escapeXml(schema.namespace)}"`;
  out.push(`<${schema.name}${space}${attributes}>`);
}

/** What tells an entry from its siblings: its keys, or a leaf-list's value. */
function identify(node: DataNode): string {
  if (node.kind === "leaf") return node.schema.kind === "leaf-list" ? escapeXml(node.value) : "";
  if (node.kind !== "container" || node.schema.kind !== "list") return "";
  const out: string[] = [];
  for (const name of node.schema.keys) {
    for (const child of node.children.values()) {
      if (child.schema.name === name && child.kind === "leaf") {
        writeNode(child, node.schema.namespace, out);
      }
    }
  }
  return out.join("");
}
