/**
 * How two trees of configuration differ: the change set that access control, the journal, events
 * and people look at.
 *
 * Pure. Trees share what they have in common, so only what differs is walked.
 */
import {
  type DataNode,
  type DataRoot,
  EMPTY_ROOT,
  type EntryNode,
  formatPredicates,
  isPlainContainer,
  type ListNode,
} from "../data-node.ts";
import type { SchemaNode } from "../schema.ts";

/** Where a node is. */
export interface NodePlace {
  readonly above: NodePlace | undefined;
  readonly schema: SchemaNode;
  /** Of a list or leaf-list entry; empty for everything else. */
  readonly entryKey: string;
}

/** One node that was created or deleted with all below, a leaf that changed, or a moved entry. */
export type Change =
  | {
      readonly kind: "create";
      readonly place: NodePlace;
      readonly after: Exclude<DataNode, ListNode>;
    }
  | {
      readonly kind: "delete";
      readonly place: NodePlace;
      readonly before: Exclude<DataNode, ListNode>;
    }
  | {
      readonly kind: "modify";
      readonly place: NodePlace;
      readonly before: Exclude<DataNode, ListNode>;
      readonly after: Exclude<DataNode, ListNode>;
    }
  | { readonly kind: "move"; readonly place: NodePlace };

type Siblings = ReadonlyMap<SchemaNode, DataNode>;

/** Returns what makes `after` of `before`. */
export function diffRoots(before: DataRoot, after: DataRoot): Change[] {
  const changes: Change[] = [];
  diffSiblings(before, after, undefined, changes);
  return changes;
}

function diffSiblings(
  before: Siblings,
  after: Siblings,
  above: NodePlace | undefined,
  out: Change[],
): void {
  if (before === after) return;
  for (const [schema, old] of before) {
    const next = after.get(schema);
    if (next === old) continue;
    if (old.kind === "list") diffList(old, next, above, out);
    else diffSingle(old, next, { above, schema, entryKey: "" }, out);
  }
  for (const [schema, next] of after) {
    if (before.has(schema)) continue;
    if (next.kind === "list") diffList(undefined, next, above, out);
    else diffSingle(undefined, next, { above, schema, entryKey: "" }, out);
  }
}

function diffList(
  before: ListNode | undefined,
  after: DataNode | undefined,
  above: NodePlace | undefined,
  out: Change[],
): void {
  const old: ReadonlyMap<string, EntryNode> = before?.entries ?? new Map();
  const next: ReadonlyMap<string, EntryNode> = after?.kind === "list" ? after.entries : new Map();
  const schema = before?.schema ?? after?.schema;
  if (schema === undefined) return;
  for (const [entryKey, entry] of old) {
    const now = next.get(entryKey);
    if (now !== entry) diffSingle(entry, now, { above, schema, entryKey }, out);
  }
  for (const [entryKey, entry] of next) {
    if (!old.has(entryKey)) diffSingle(undefined, entry, { above, schema, entryKey }, out);
  }
  if (schema.userOrdered) {
    for (const entryKey of movedKeys(old, next)) {
      out.push({ kind: "move", place: { above, schema, entryKey } });
    }
  }
}

function diffSingle(
  before: DataNode | undefined,
  after: DataNode | undefined,
  place: NodePlace,
  out: Change[],
): void {
  if (before?.kind === "list" || after?.kind === "list") return;
  if (before === undefined || after === undefined) {
    // A plain container is only its content (RFC 7950 §7.5.1).
    const node = before ?? after;
    if (node?.kind === "container" && isPlainContainer(node.schema)) {
      const none: Siblings = EMPTY_ROOT;
      if (before === undefined) diffSiblings(none, node.children, place, out);
      else diffSiblings(node.children, none, place, out);
    } else if (after !== undefined) out.push({ kind: "create", place, after });
    else if (before !== undefined) out.push({ kind: "delete", place, before });
    return;
  }
  if (before.kind === "container" && after.kind === "container") {
    diffSiblings(before.children, after.children, place, out);
  } else if (!isSameValue(before, after)) out.push({ kind: "modify", place, before, after });
}

function isSameValue(left: DataNode, right: DataNode): boolean {
  if (left.kind === "leaf" && right.kind === "leaf") {
    if (left.value !== right.value) return false;
    const prefixes = Object.keys(left.prefixes);
    return prefixes.every((prefix) => left.prefixes[prefix] === right.prefixes[prefix]);
  }
  return left.kind === "any" && right.kind === "any" && left.xml === right.xml;
}

/** The entries that both have, whose order is not the same. */
function movedKeys(
  before: ReadonlyMap<string, EntryNode>,
  after: ReadonlyMap<string, EntryNode>,
): string[] {
  const old = [...before.keys()].filter((key) => after.has(key));
  const next = [...after.keys()].filter((key) => before.has(key));
  return next.filter((key, index) => old[index] !== key);
}

/** Returns the instance path of a place, with module names as RFC 7951 §6.11 writes them. */
export function formatNodePath(place: NodePlace): string {
  const { above, schema, entryKey } = place;
  const named =
    above?.schema.module === schema.module ? schema.name : `${schema.module}:${schema.name}`;
  const isList = schema.kind === "list" || schema.kind === "leaf-list";
  const predicates = isList ? formatPredicates(schema, entryKey) : "";
  return `${above === undefined ? "" : formatNodePath(above)}/${named}${predicates}`;
}

/** Returns the difference for a person, one line for each change. */
export function formatChanges(changes: readonly Change[]): string {
  return changes.map(formatChange).join("\n");
}

function formatChange(change: Change): string {
  const path = formatNodePath(change.place);
  if (change.kind === "move") return `~ ${path} (moved)`;
  if (change.kind === "modify")
    return `~ ${path}: ${textOfValue(change.before)} -> ${textOfValue(change.after)}`;
  const [sign, node] = change.kind === "create" ? ["+", change.after] : ["-", change.before];
  const lines: string[] = [];
  writeLines(node, path, sign, lines);
  return lines.join("\n");
}

const SECRETS: ReadonlySet<string> = new Set(["password", "shared-secret"]);

function textOfValue(node: DataNode): string {
  if (node.kind !== "leaf") return node.kind === "any" ? node.xml : "";
  return SECRETS.has(node.schema.name) ? "(hidden)" : node.value;
}

function writeLines(node: DataNode, path: string, sign: string, out: string[]): void {
  if (node.kind === "leaf") {
    const isEntry = node.schema.kind === "leaf-list";
    out.push(isEntry ? `${sign} ${path}` : `${sign} ${path}: ${textOfValue(node)}`);
    return;
  }
  if (node.kind === "any") {
    out.push(`${sign} ${path}: ${node.xml}`);
    return;
  }
  if (node.kind === "list") return;
  if (node.schema.kind === "list" || node.schema.presence) out.push(`${sign} ${path}`);
  for (const child of node.children.values()) {
    const { schema } = child;
    if (node.schema.keys.includes(schema.name)) continue;
    const name =
      schema.module === node.schema.module ? schema.name : `${schema.module}:${schema.name}`;
    if (child.kind !== "list") writeLines(child, `${path}/${name}`, sign, out);
    else {
      for (const [key, entry] of child.entries) {
        writeLines(entry, `${path}/${name}${formatPredicates(schema, key)}`, sign, out);
      }
    }
  }
}
