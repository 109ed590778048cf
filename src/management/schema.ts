/**
 * The schema as the datastores see it: data nodes only, with what editing and filtering need.
 *
 * Pure. Source: RFC 7950 §7; the nodes are built from libyang's compiled schema (schema-tree.ts).
 */

export type SchemaKind = "container" | "list" | "leaf" | "leaf-list" | "any";

/** How RFC 7951 writes a value; `depends`: on the value itself, as in a union of numbers and names. */
export type JsonKind =
  | "string"
  | "number"
  | "boolean"
  | "empty"
  | "identity"
  | "instance"
  | "depends";

/** What access control says of a node that no rule names (RFC 8341 §3.2.4). */
export type DefaultDeny = "none" | "write" | "all";

/** A choice above a node, below its parent data node. */
export interface ChoiceCase {
  readonly choice: string;
  readonly caseName: string;
}

/** One data node of the schema. Identity matters: the same node is the same object. */
export interface SchemaNode {
  readonly kind: SchemaKind;
  readonly name: string;
  readonly module: string;
  readonly namespace: string;
  readonly config: boolean;
  /** A container whose presence means something. */
  readonly presence: boolean;
  readonly userOrdered: boolean;
  /** Key leaves in the order of the `key` statement; empty for a list without keys. */
  readonly keys: readonly string[];
  /** From the outermost choice to the innermost. */
  readonly choices: readonly ChoiceCase[];
  readonly jsonKind?: JsonKind;
  /** Absent: nothing is denied by default. Holds for what is below, too. */
  readonly defaultDeny?: DefaultDeny;
  /** Actions and notifications below this node. */
  readonly operations?: readonly SchemaOperation[];
  readonly parent: SchemaNode | undefined;
  /** By name; siblings of different modules may share one. */
  readonly children: ReadonlyMap<string, readonly SchemaNode[]>;
}

/** An rpc, an action or a notification. */
export interface SchemaOperation {
  readonly kind: "rpc" | "action" | "notification";
  readonly name: string;
  readonly module: string;
  readonly namespace: string;
  readonly defaultDeny: DefaultDeny;
}

/** The top of the schema. */
export interface Schema {
  readonly operations?: readonly SchemaOperation[];
  readonly roots: ReadonlyMap<string, readonly SchemaNode[]>;
}

/** Returns the child with this name, of this namespace (any, when it is undefined). */
export function findSchemaChild(
  children: ReadonlyMap<string, readonly SchemaNode[]>,
  name: string,
  namespace: string | undefined,
): SchemaNode | undefined {
  return children
    .get(name)
    ?.find((node) => namespace === undefined || node.namespace === namespace);
}

/** Returns whether two siblings exclude each other because a choice allows only one of their cases. */
export function excludeEachOther(left: SchemaNode, right: SchemaNode): boolean {
  const count = Math.min(left.choices.length, right.choices.length);
  for (let index = 0; index < count; index++) {
    const a = left.choices[index];
    const b = right.choices[index];
    if (a === undefined || b === undefined || a.choice !== b.choice) return false;
    if (a.caseName !== b.caseName) return true;
  }
  return false;
}
