/**
 * Instance data as an immutable tree. Datastores share what they have in common.
 *
 * Pure. Invariant: a node is never changed after it can be seen by a second owner; an edit makes new
 * nodes along its path only, so that keeping the old root is enough to undo it.
 */
import type { SchemaNode } from "./schema.ts";

/** Prefixes that a value uses (identityref, instance-identifier), as prefix => namespace. */
export type Prefixes = Readonly<Record<string, string>>;

export interface LeafNode {
  readonly kind: "leaf";
  readonly schema: SchemaNode;
  readonly value: string;
  readonly prefixes: Prefixes;
  /** Nobody set it, and the reader wants to know (RFC 6243, report-all-tagged). */
  readonly isDefault?: boolean;
  /** Attributes for a reader, as XML text that starts with a blank (origin, RFC 8342 §5.3.4). */
  readonly attributes?: string;
}

/** A container or one entry of a list. */
export interface ContainerNode {
  readonly kind: "container";
  readonly schema: SchemaNode;
  readonly children: ReadonlyMap<SchemaNode, DataNode>;
  /** As of a leaf. */
  readonly attributes?: string;
}

/** All entries of a list or leaf-list, in order, by their key. */
export interface ListNode {
  readonly kind: "list";
  readonly schema: SchemaNode;
  readonly entries: ReadonlyMap<string, EntryNode>;
}

/** anydata or anyxml: the element itself, as text. */
export interface AnyNode {
  readonly kind: "any";
  readonly schema: SchemaNode;
  readonly xml: string;
}

export type EntryNode = LeafNode | ContainerNode;
export type DataNode = LeafNode | ContainerNode | ListNode | AnyNode;
/** The top-level nodes of a datastore. */
export type DataRoot = ReadonlyMap<SchemaNode, DataNode>;

export const EMPTY_ROOT: DataRoot = new Map();
const KEY_SEPARATOR = "\u0000";

/** Returns the key under which an entry with these key values is kept; YANG strings hold no NUL. */
export function formatEntryKey(values: readonly string[]): string {
  return values.join(KEY_SEPARATOR);
}

/** Returns the instance path step of a list entry: `[a='1'][b='2']`, or `[.='1']` for a leaf-list. */
export function formatPredicates(schema: SchemaNode, entryKey: string): string {
  if (schema.kind === "leaf-list") return `[.=${quote(entryKey)}]`;
  const values = entryKey.split(KEY_SEPARATOR);
  return schema.keys.map((name, index) => `[${name}=${quote(values[index] ?? "")}]`).join("");
}

function quote(value: string): string {
  return value.includes("'") ? `"${value}"` : `'${value}'`;
}

/** Returns whether a node says nothing: a container without presence and without content. */
export function isEmpty(node: DataNode): boolean {
  if (node.kind === "list") return node.entries.size === 0;
  return node.kind === "container" && isPlainContainer(node.schema) && node.children.size === 0;
}

/** A container that exists only to hold its children (RFC 7950 §7.5.1). */
export function isPlainContainer(schema: SchemaNode): boolean {
  return schema.kind === "container" && !schema.presence;
}
