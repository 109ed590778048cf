/**
 * Instance data as XML text. Pure. Source: RFC 7950 §7.5.7 and its siblings; RFC 6243 §6 (default).
 */
import { escapeXml } from "../lib/xml/tree.ts";
import type { DataNode, DataRoot, LeafNode } from "./data-node.ts";

/** Marks a default that nobody set, for readers; values cannot hold it, their quotes are escaped. */
export const DEFAULT_MARK =
  ' xmlns:wd="urn:ietf:params:xml:ns:netconf:default:1.0" wd:default="true"';

/** Returns all top-level nodes as text; each namespace is declared where it changes. */
export function formatRoot(root: DataRoot): string {
  const out: string[] = [];
  for (const node of root.values()) writeNode(node, "", out);
  return out.join("");
}

/** Appends a node with all below; `attributes` starts with a blank and is for the node itself. */
export function writeNode(
  node: DataNode,
  namespaceAbove: string,
  out: string[],
  attributes = "",
): void {
  if (node.kind === "list") {
    for (const entry of node.entries.values()) writeNode(entry, namespaceAbove, out, attributes);
    return;
  }
  if (node.kind === "any") {
    out.push(node.xml);
    return;
  }
  const { name, namespace } = node.schema;
  const scope = namespace === namespaceAbove ? "" : ` xmlns="${escapeXml(namespace)}"`;
  if (node.kind === "leaf") {
    out.push(formatLeaf(node, `${name}${scope}${attributes}`));
    return;
  }
  const origin = node.attributes ?? "";
  if (node.children.size === 0) {
    out.push(`<${name}${scope}${origin}${attributes}/>`);
    return;
  }
  out.push(`<${name}${scope}${origin}${attributes}>`);
  for (const child of node.children.values()) writeNode(child, namespace, out);
  out.push(`</${name}>`);
}

function formatLeaf(leaf: LeafNode, head: string): string {
  let open = head;
  if (leaf.isDefault === true) open += DEFAULT_MARK;
  if (leaf.attributes !== undefined) open += leaf.attributes;
  for (const prefix in leaf.prefixes) {
    const namespace = leaf.prefixes[prefix] ?? "";
    open += ` xmlns:${prefix}="${escapeXml(namespace)}"`;
  }
  if (leaf.value === "") return `<${open}/>`;
  return `<${open}>${escapeXml(leaf.value)}</${leaf.schema.name}>`;
}
