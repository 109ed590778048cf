/**
 * Applies an edit to a tree: all of it, or nothing.
 *
 * Pure: (tree, edit) => new tree. The old tree stays whole, which is what rollback-on-error needs.
 * Source: RFC 6241 §7.2; RFC 7950 §7.5.8, §7.6.7, §7.7.9, §7.8.6, §7.9.1 (a choice keeps one case).
 */
import { assert } from "../lib/base/assert.ts";
import { err, ok, type Result } from "../lib/base/result.ts";
import { applicationError, type RpcError } from "../lib/netconf/rpc-error.ts";
import {
  type ContainerNode,
  type DataNode,
  type DataRoot,
  type EntryNode,
  formatPredicates,
  isEmpty,
  isPlainContainer,
} from "./data-node.ts";
import type { DefaultOperation, EditNode, EditOperation, RemovedLeaf } from "./edit-node.ts";
import { moveEntry } from "./edit-order.ts";
import { excludeEachOther, type SchemaNode } from "./schema.ts";

type Draft = Map<SchemaNode, DataNode>;
type Entries = Map<string, EntryNode>;

/** Where the engine stands, for error paths; texts are made only when something is wrong. */
interface Place {
  readonly above: Place | undefined;
  readonly schema: SchemaNode;
  readonly entryKey: string;
}

/** Returns the tree after the edit. Errors: data-exists, data-missing, bad-attribute. */
export function applyEdit(
  root: DataRoot,
  edits: readonly EditNode[],
  defaultOperation: DefaultOperation,
): Result<DataRoot, RpcError> {
  const start: Draft = new Map(root);
  if (defaultOperation === "replace") {
    const mentioned = new Set(edits.map((edit) => edit.schema));
    for (const schema of root.keys()) if (!mentioned.has(schema)) start.delete(schema);
  }
  const problem = applyChildren(start, edits, defaultOperation, undefined);
  return problem === undefined ? ok(start) : err(problem);
}

function applyChildren(
  draft: Draft,
  edits: readonly EditNode[],
  inherited: EditOperation,
  above: Place | undefined,
): RpcError | undefined {
  const lists = new Map<SchemaNode, Entries>();
  const replaced = new Set<SchemaNode>();
  for (const edit of edits) {
    const { schema } = edit;
    const operation = edit.operation ?? inherited;
    const place: Place = { above, schema, entryKey: edit.entryKey };
    const isList = schema.kind === "list" || schema.kind === "leaf-list";
    if (!isList) {
      const problem = applySingle(draft, edit, operation, place);
      if (problem !== undefined) return problem;
    } else {
      const entries = lists.get(schema) ?? openList(draft, schema);
      // default-operation "replace" replaces a whole top-level list, entries not mentioned included.
      if (above === undefined && inherited === "replace" && !replaced.has(schema)) {
        replaced.add(schema);
        entries.clear();
      }
      lists.set(schema, entries);
      const problem = applyEntry(entries, edit, operation, place);
      if (problem !== undefined) return problem;
    }
    if (operation !== "delete" && operation !== "remove" && operation !== "none") {
      dropOtherCases(draft, lists, schema);
    }
  }
  for (const [schema, entries] of lists) {
    if (entries.size === 0) draft.delete(schema);
    else draft.set(schema, { kind: "list", schema, entries });
  }
  return undefined;
}

function openList(draft: Draft, schema: SchemaNode): Entries {
  const present = draft.get(schema);
  if (present === undefined) return new Map();
  assert(present.kind === "list", "a list's schema node holds a list");
  return new Map(present.entries);
}

/** RFC 7950 §7.9.1: creating a node of one case deletes the nodes of the others. */
function dropOtherCases(draft: Draft, lists: Map<SchemaNode, Entries>, schema: SchemaNode): void {
  if (schema.choices.length === 0) return;
  for (const other of [...draft.keys(), ...lists.keys()]) {
    if (!excludeEachOther(schema, other)) continue;
    draft.delete(other);
    lists.delete(other);
  }
}

function applySingle(
  draft: Draft,
  edit: EditNode,
  operation: EditOperation,
  place: Place,
): RpcError | undefined {
  const { schema } = edit;
  const present = draft.get(schema);
  const refusal = refuse(operation, present !== undefined, schema, place);
  if (refusal !== undefined) return refusal;
  if (operation === "delete" || operation === "remove") {
    draft.delete(schema);
    return undefined;
  }
  if (schema.kind === "container") {
    const base = operation === "replace" ? undefined : present;
    const next = applyContainer(base, edit, operation, place);
    if (!next.ok) return next.error;
    if (isEmpty(next.value)) draft.delete(schema);
    else draft.set(schema, next.value);
    return undefined;
  }
  if (operation === "none") return undefined;
  if (schema.kind === "any") draft.set(schema, { kind: "any", schema, xml: edit.xml });
  else draft.set(schema, leafOf(edit));
  return undefined;
}

function applyEntry(
  entries: Entries,
  edit: EditNode,
  operation: EditOperation,
  place: Place,
): RpcError | undefined {
  const { schema, entryKey } = edit;
  const present = entries.get(entryKey);
  const refusal = refuse(operation, present !== undefined, schema, place);
  if (refusal !== undefined) return refusal;
  if (operation === "delete" || operation === "remove") {
    entries.delete(entryKey);
    return undefined;
  }
  if (schema.kind === "leaf-list") {
    if (operation !== "none") entries.set(entryKey, leafOf(edit));
  } else {
    const base = operation === "replace" ? undefined : present;
    const next = applyContainer(base, edit, operation, place);
    if (!next.ok) return next.error;
    entries.set(entryKey, next.value);
  }
  if (edit.insert === undefined || operation === "none") return undefined;
  return moveEntry(entries, edit, formatPlace(place));
}

/** The checks that need no look inside. A plain container is there whenever its parent is. */
function refuse(
  operation: EditOperation,
  exists: boolean,
  schema: SchemaNode,
  place: Place,
): RpcError | undefined {
  if (operation === "create" && exists) {
    const path = formatPlace(place);
    return applicationError("data-exists", `"${path}" exists already`, { path });
  }
  const needed = operation === "delete" || (operation === "none" && !isPlainContainer(schema));
  if (needed && !exists) {
    const path = formatPlace(place);
    return applicationError("data-missing", `"${path}" does not exist`, { path });
  }
  return undefined;
}

function applyContainer(
  present: DataNode | undefined,
  edit: EditNode,
  operation: EditOperation,
  place: Place,
): Result<ContainerNode, RpcError> {
  const children: Draft = new Map(present?.kind === "container" ? present.children : []);
  const isKey = (child: EditNode): boolean =>
    edit.schema.kind === "list" && edit.schema.keys.includes(child.schema.name);
  for (const child of edit.children) {
    if (isKey(child)) children.set(child.schema, leafOf(child));
  }
  const rest = edit.children.filter((child) => !isKey(child));
  const problem =
    applyChildren(children, rest, operation, place) ??
    removeLeaves(children, edit.removedLeaves, place);
  if (problem !== undefined) return err(problem);
  return ok({ kind: "container", schema: edit.schema, children });
}

function removeLeaves(
  children: Draft,
  removed: readonly RemovedLeaf[],
  above: Place,
): RpcError | undefined {
  for (const { schema, mustExist } of removed) {
    const existed = children.delete(schema);
    if (existed || !mustExist) continue;
    const path = formatPlace({ above, schema, entryKey: "" });
    return applicationError("data-missing", `"${path}" does not exist`, { path });
  }
  return undefined;
}

function leafOf(edit: EditNode): EntryNode {
  const { isDefault, prefixes, schema, value } = edit;
  if (isDefault === true) return { kind: "leaf", schema, value, prefixes, isDefault };
  return { kind: "leaf", schema, value, prefixes };
}

function formatPlace(place: Place): string {
  const { above, schema, entryKey } = place;
  const named =
    above?.schema.module === schema.module ? schema.name : `${schema.module}:${schema.name}`;
  const isList = schema.kind === "list" || schema.kind === "leaf-list";
  const predicates = isList ? formatPredicates(schema, entryKey) : "";
  return `${above === undefined ? "" : formatPlace(above)}/${named}${predicates}`;
}
