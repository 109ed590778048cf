/**
 * Subtree filters.
 *
 * Pure: (tree, filter) => the selected part of the tree. Source: RFC 6241 §6.2.1 (namespace),
 * §6.2.2 (attribute match), §6.2.3 (containment), §6.2.4 (selection), §6.2.5 (content match).
 * Keys of selected list entries are always included, as §6.4.4 allows.
 */
import type { XmlElement } from "../lib/xml/tree.ts";
import {
  type ContainerNode,
  type DataNode,
  type DataRoot,
  EMPTY_ROOT,
  type EntryNode,
  type LeafNode,
} from "./data-node.ts";
import type { SchemaNode } from "./schema.ts";

/** A filter element with the prefixes in scope, which identity values need. */
interface FilterNode {
  readonly element: XmlElement;
  readonly scope: Readonly<Record<string, string>>;
  readonly children: readonly FilterNode[];
}

/** Returns what the filter selects; a filter without elements selects nothing (§6.4.2). */
export function applySubtreeFilter(
  root: DataRoot,
  filter: XmlElement,
  scope: Readonly<Record<string, string>> = {},
): DataRoot {
  const nodes = filter.children.map((child) => readFilter(child, { ...scope, ...filter.declared }));
  if (nodes.length === 0) return EMPTY_ROOT;
  return selectAmong(root, nodes);
}

/** Returns whether a filter can select anything of this module's top-level nodes. */
export function filterTouches(filter: XmlElement, schema: SchemaNode): boolean {
  return filter.children.some((child) => matchesName(child, schema));
}

function readFilter(element: XmlElement, outer: Readonly<Record<string, string>>): FilterNode {
  const scope = { ...outer, ...element.declared };
  return { element, scope, children: element.children.map((child) => readFilter(child, scope)) };
}

/** §6.2.1: no namespace means any. Data has no attributes, so an attribute matches nothing (§6.2.2). */
function matchesName(element: XmlElement, schema: SchemaNode): boolean {
  if (element.local !== schema.name) return false;
  if (element.namespace !== "" && element.namespace !== schema.namespace) return false;
  return element.attributes.every(({ name, prefix }) => name === "xmlns" || prefix === "xmlns");
}

function isContentMatch(node: FilterNode): boolean {
  return node.children.length === 0 && node.element.text.trim() !== "";
}

/** Returns the nodes that at least one of the filter's siblings selects, in the tree's order. */
function selectAmong(
  nodes: ReadonlyMap<SchemaNode, DataNode>,
  filters: readonly FilterNode[],
): Map<SchemaNode, DataNode> {
  const selected = new Map<SchemaNode, DataNode>();
  for (const [schema, node] of nodes) {
    const matching = filters.filter(({ element }) => matchesName(element, schema));
    if (matching.length === 0) continue;
    const part = selectNode(node, matching);
    if (part !== undefined) selected.set(schema, part);
  }
  return selected;
}

function selectNode(node: DataNode, filters: readonly FilterNode[]): DataNode | undefined {
  if (node.kind === "list") return selectEntries(node.schema, node.entries, filters);
  if (node.kind === "container") return selectContainer(node, filters);
  if (node.kind === "any") return filters.some((filter) => isSelection(filter)) ? node : undefined;
  return filters.some((filter) => isSelection(filter) || valueMatches(node, filter))
    ? node
    : undefined;
}

function isSelection(filter: FilterNode): boolean {
  return filter.children.length === 0 && !isContentMatch(filter);
}

function selectEntries(
  schema: SchemaNode,
  entries: ReadonlyMap<string, EntryNode>,
  filters: readonly FilterNode[],
): DataNode | undefined {
  if (filters.some(isSelection)) return { kind: "list", schema, entries };
  const selected = new Map<string, EntryNode>();
  for (const [key, entry] of entries) {
    const part = selectNode(entry, filters);
    if (part !== undefined && (part.kind === "leaf" || part.kind === "container")) {
      selected.set(key, part);
    }
  }
  return selected.size === 0 ? undefined : { kind: "list", schema, entries: selected };
}

/** The union of what each filter selects; undefined when none of them does. */
function selectContainer(
  node: ContainerNode,
  filters: readonly FilterNode[],
): ContainerNode | undefined {
  const open: FilterNode[] = [];
  let isMatched = false;
  for (const filter of filters) {
    if (isSelection(filter)) return node;
    if (isContentMatch(filter)) continue; // A container has no content to match.
    const contents = filter.children.filter(isContentMatch);
    if (!contents.every((content) => hasContent(node, content))) continue;
    if (contents.length === filter.children.length) return node; // §6.2.5: nothing else is asked.
    isMatched = true;
    open.push(...filter.children);
  }
  if (!isMatched) return undefined;
  const part = selectAmong(node.children, open);
  if (part.size === 0) return undefined;
  return { kind: "container", schema: node.schema, children: withKeys(node, part) };
}

function withKeys(
  node: ContainerNode,
  part: Map<SchemaNode, DataNode>,
): ReadonlyMap<SchemaNode, DataNode> {
  if (node.schema.keys.length === 0) return part;
  const all = new Map<SchemaNode, DataNode>();
  for (const [schema, child] of node.children) {
    if (node.schema.keys.includes(schema.name)) all.set(schema, child);
  }
  for (const [schema, child] of part) all.set(schema, child);
  return all;
}

function hasContent(node: ContainerNode, content: FilterNode): boolean {
  for (const [schema, child] of node.children) {
    if (!matchesName(content.element, schema)) continue;
    if (child.kind === "leaf" && valueMatches(child, content)) return true;
    if (child.kind !== "list") continue;
    for (const entry of child.entries.values()) {
      if (entry.kind === "leaf" && valueMatches(entry, content)) return true;
    }
  }
  return false;
}

/** Compares trimmed text; identities by namespace and name when both sides say which. */
function valueMatches(leaf: LeafNode, filter: FilterNode): boolean {
  if (!isContentMatch(filter)) return false;
  const wanted = filter.element.text.trim();
  if (wanted === leaf.value) return true;
  const [prefix, local] = splitPrefix(leaf.value);
  const namespace = prefix === undefined ? undefined : leaf.prefixes[prefix];
  if (namespace === undefined) return false;
  const [wantedPrefix, wantedLocal] = splitPrefix(wanted);
  const wantedNamespace = filter.scope[wantedPrefix ?? ""];
  return wantedLocal === local && wantedNamespace === namespace;
}

function splitPrefix(value: string): [string | undefined, string] {
  const colon = value.indexOf(":");
  return colon < 0 ? [undefined, value] : [value.slice(0, colon), value.slice(colon + 1)];
}

/** Returns the `type` of a filter; subtree is the default (RFC 6241 §7.1). */
export function filterTypeOf(filter: XmlElement): string {
  return filter.attributes.find(({ local }) => local === "type")?.value ?? "subtree";
}
