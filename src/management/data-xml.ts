/**
 * Instance data as XML text. Pure. Source: RFC 7950 §7.5.7 and its siblings.
 */
import { escapeXml } from "../lib/xml/tree.ts";
import type { DataNode, DataRoot, LeafNode } from "./data-node.ts";

/** Returns all top-level nodes as text; each namespace is declared where it changes. */
export function formatRoot(root: DataRoot): string {
  const out: string[] = [];
  for (const node of root.values()) write(node, "", out);
  return out.join("");
}

function write(node: DataNode, namespaceAbove: string, out: string[]): void {
  if (node.kind === "list") {
    for (const entry of node.entries.values()) write(entry, namespaceAbove, out);
    return;
  }
  if (node.kind === "any") {
    out.push(node.xml);
    return;
  }
  const { name, namespace } = node.schema;
  const scope = namespace === namespaceAbove ? "" : ` xmlns="${escapeXml(namespace)}"`;
  if (node.kind === "leaf") {
    out.push(formatLeaf(node, `${name}${scope}`));
    return;
  }
  if (node.children.size === 0) {
    out.push(`<${name}${scope}/>`);
    return;
  }
  out.push(`<${name}${scope}>`);
  for (const child of node.children.values()) write(child, namespace, out);
  out.push(`</${name}>`);
}

function formatLeaf(leaf: LeafNode, head: string): string {
  let open = head;
  for (const prefix in leaf.prefixes) {
    const namespace = leaf.prefixes[prefix] ?? "";
    open += ` xmlns:${prefix}="${escapeXml(namespace)}"`;
  }
  if (leaf.value === "") return `<${open}/>`;
  return `<${open}>${escapeXml(leaf.value)}</${leaf.schema.name}>`;
}
