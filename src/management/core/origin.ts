/**
 * Where each node of the operational datastore comes from (RFC 8342 §5.3.4).
 *
 * Pure. What running has is `intended`; configuration that only the system has is `system`; state
 * has no origin. The attribute stands where the origin differs from that of the node above.
 */
import type { DataNode, DataRoot } from "../data-node.ts";
import type { SchemaNode } from "../schema.ts";
import { mapEntries } from "./selection.ts";

export type Origin = "intended" | "system" | "default";
const NS_ORIGIN = "urn:ietf:params:xml:ns:yang:ietf-origin";

interface View {
  readonly isShown: boolean;
  readonly wants: (origin: Origin) => boolean;
}

/** `isShown`: with attributes. `wants`: which origins stay, if the reader asked for some. */
export function markOrigins(root: DataRoot, running: DataRoot, view: View): DataRoot {
  return markSiblings(root, running, undefined, view);
}

function markSiblings(
  nodes: DataRoot,
  running: DataRoot | undefined,
  above: Origin | undefined,
  view: View,
): Map<SchemaNode, DataNode> {
  const out = new Map<SchemaNode, DataNode>();
  for (const [schema, node] of nodes) {
    const own = running?.get(schema);
    const part =
      node.kind === "list"
        ? mapEntries(node, (entry, key) => mark(entry, entryOf(own, key), above, view))
        : mark(node, own, above, view);
    if (part !== undefined) out.set(schema, part);
  }
  return out;
}

function entryOf(list: DataNode | undefined, key: string): DataNode | undefined {
  return list?.kind === "list" ? list.entries.get(key) : undefined;
}

function mark<T extends DataNode>(
  node: T,
  running: DataNode | undefined,
  above: Origin | undefined,
  view: View,
): T | undefined {
  if (!node.schema.config) return node;
  const isDefault = node.kind === "leaf" && node.isDefault === true;
  const origin: Origin = isDefault ? "default" : running === undefined ? "system" : "intended";
  const attribute = ` xmlns:or="${NS_ORIGIN}" or:origin="or:${origin}"`;
  const isNew = view.isShown && origin !== above;
  if (node.kind !== "container") {
    const isKey = node.schema.parent?.keys.includes(node.schema.name) === true;
    if (!isKey && !view.wants(origin)) return undefined;
    return isNew && node.kind === "leaf" ? { ...node, attributes: attribute } : node;
  }
  const inner = running?.kind === "container" ? running.children : undefined;
  const children = markSiblings(node.children, inner, origin, view);
  if (children.size === 0 && !view.wants(origin)) return undefined;
  return isNew ? { ...node, children, attributes: attribute } : { ...node, children };
}
