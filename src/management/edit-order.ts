/**
 * Places an entry of a user-ordered list. Pure, but for the map it is given.
 *
 * Source: RFC 7950 §7.7.9, §7.8.6, §15.7 (missing-instance).
 */
import { assert } from "../lib/base/assert.ts";
import { attributeError, type RpcError } from "../lib/netconf/rpc-error.ts";
import type { EntryNode } from "./data-node.ts";
import type { EditNode } from "./edit-node.ts";

/** Moves the entry that `edit` has just set to where it says; the map keeps its identity. */
export function moveEntry(
  entries: Map<string, EntryNode>,
  edit: EditNode,
  path: string,
): RpcError | undefined {
  const { insert, entryKey } = edit;
  assert(insert !== undefined, "only an edit with `insert` moves");
  const entry = entries.get(entryKey);
  assert(entry !== undefined, "the entry that moves was set before");
  if (insert.where === "last") {
    entries.delete(entryKey);
    entries.set(entryKey, entry);
    return undefined;
  }
  const anchorKey = "anchorKey" in insert ? insert.anchorKey : undefined;
  if (anchorKey !== undefined && !entries.has(anchorKey)) {
    const name = edit.schema.kind === "list" ? "key" : "value";
    const text = `The entry that "${name}" names does not exist`;
    const error = attributeError("bad-attribute", name, edit.schema.name, text);
    return { ...error, type: "application", appTag: "missing-instance", path };
  }
  if (anchorKey === entryKey) return undefined;
  entries.delete(entryKey);
  const others = [...entries];
  const anchorIndex = others.findIndex(([key]) => key === anchorKey);
  const index = insert.where === "first" ? 0 : anchorIndex + (insert.where === "after" ? 1 : 0);
  others.splice(index, 0, [entryKey, entry]);
  entries.clear();
  for (const [key, value] of others) entries.set(key, value);
  return undefined;
}
