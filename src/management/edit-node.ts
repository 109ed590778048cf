/**
 * One element of an edit, resolved against the schema.
 *
 * Pure: canonical XML (as libyang prints it) => edit nodes.
 * Source: RFC 6241 §7.2 (operation), RFC 7950 §7.7.9 and §7.8.6 (insert, key, value).
 */

import { err, ok, type Result } from "../lib/base/result.ts";
import { NS_NETCONF, NS_YANG } from "../lib/netconf/names.ts";
import { attributeError, elementError, type RpcError } from "../lib/netconf/rpc-error.ts";
import { formatXml, type XmlElement } from "../lib/xml/tree.ts";
import { formatEntryKey, type Prefixes } from "./data-node.ts";
import { findSchemaChild, type Schema, type SchemaNode } from "./schema.ts";

export type EditOperation = "merge" | "replace" | "create" | "delete" | "remove" | "none";
export type DefaultOperation = "merge" | "replace" | "none";

/** Where an entry of a user-ordered list goes. */
export type Insert =
  | { readonly where: "first" | "last" }
  | { readonly where: "before" | "after"; readonly anchorKey: string };

export interface EditNode {
  readonly schema: SchemaNode;
  /** Absent: the parent's. */
  readonly operation: EditOperation | undefined;
  /** The key of a list or leaf-list entry. */
  readonly entryKey: string;
  readonly value: string;
  readonly prefixes: Prefixes;
  readonly insert: Insert | undefined;
  readonly children: readonly EditNode[];
  /** Leaves below this node that go, and whether each must exist. */
  readonly removedLeaves: readonly RemovedLeaf[];
  /** The element's text, for anydata and anyxml. */
  readonly xml: string;
  /** Marked as a default that nobody set (RFC 6243 §6). */
  readonly isDefault?: boolean;
}

export interface RemovedLeaf {
  readonly schema: SchemaNode;
  readonly mustExist: boolean;
}

/** Namespace of our annotation `removed-leaves`: see edit-payload.ts. */
export const NS_EDIT = "urn:flowlift:edit";
/** Namespaces of `default` with report-all-tagged: RFC 6243's own, and the module's, which libyang uses. */
const NS_DEFAULT_ATTRIBUTES: ReadonlySet<string> = new Set([
  "urn:ietf:params:xml:ns:netconf:default:1.0",
  "urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults",
]);
export const REMOVED_LEAVES = "removed-leaves";

const OPERATIONS: ReadonlySet<string> = new Set(["merge", "replace", "create", "delete", "remove"]);

/** What most elements of a large edit have; shared, because there are so many. */
const NO_OPERATION: Result<undefined, RpcError> = ok(undefined);
const NO_PREFIXES: Prefixes = {};
const NO_NODES: Result<EditNode[], RpcError> = ok([]);
const NO_REMOVALS: readonly RemovedLeaf[] = [];

/** Returns the `operation` attribute of an element, undefined when there is none. */
export function readOperation(element: XmlElement): Result<EditOperation | undefined, RpcError> {
  if (element.attributes.length === 0) return NO_OPERATION;
  const attribute = element.attributes.find(
    ({ local, namespace }) => local === "operation" && namespace === NS_NETCONF,
  );
  if (attribute === undefined) return NO_OPERATION;
  if (OPERATIONS.has(attribute.value)) return ok(attribute.value as EditOperation);
  const text = `"${attribute.value}" is no operation of edit-config`;
  return err(attributeError("bad-attribute", "operation", element.local, text));
}

/** Resolves the elements below `<config>`; counts keyless entries (state) on their own. */
export class EditNodeReader {
  readonly #schema: Schema;
  #keylessCount = 0;

  constructor(schema: Schema) {
    this.#schema = schema;
  }

  readRoots(elements: readonly XmlElement[], scope: Prefixes = {}): Result<EditNode[], RpcError> {
    return this.#readAll(elements, this.#schema.roots, scope);
  }

  #readAll(
    elements: readonly XmlElement[],
    siblings: ReadonlyMap<string, readonly SchemaNode[]>,
    scope: Prefixes,
  ): Result<EditNode[], RpcError> {
    const nodes: EditNode[] = [];
    for (const element of elements) {
      const node = this.#read(element, siblings, scope);
      if (!node.ok) return node;
      nodes.push(node.value);
    }
    return ok(nodes);
  }

  #read(
    element: XmlElement,
    siblings: ReadonlyMap<string, readonly SchemaNode[]>,
    outer: Prefixes,
  ): Result<EditNode, RpcError> {
    const schema = findSchemaChild(siblings, element.local, element.namespace);
    if (schema === undefined) {
      const text = `There is no node "${element.local}" here in "${element.namespace}"`;
      return err(elementError("unknown-element", element.local, text, { type: "application" }));
    }
    const operation = readOperation(element);
    if (!operation.ok) return operation;
    const scope = hasOwn(element.declared) ? { ...outer, ...element.declared } : outer;
    const isLeaf = schema.kind === "leaf" || schema.kind === "leaf-list";
    const below =
      isLeaf || schema.kind === "any" ? NO_NODES : this.#readBelow(element, schema, scope);
    if (!below.ok) return below;
    const insert = readInsert(element, schema);
    if (!insert.ok) return insert;
    return ok({
      ...(isMarkedDefault(element) ? { isDefault: true } : {}),
      schema,
      operation: operation.value,
      entryKey: this.#keyOf(schema, element, below.value),
      value: isLeaf ? element.text : "",
      prefixes: isLeaf ? usedPrefixes(element.text, scope) : NO_PREFIXES,
      insert: insert.value,
      children: below.value,
      removedLeaves: readRemovedLeaves(element, schema),
      xml: schema.kind === "any" ? formatXml(element) : "",
    });
  }

  #readBelow(
    element: XmlElement,
    schema: SchemaNode,
    scope: Prefixes,
  ): Result<EditNode[], RpcError> {
    return this.#readAll(element.children, schema.children, scope);
  }

  #keyOf(schema: SchemaNode, element: XmlElement, children: readonly EditNode[]): string {
    if (schema.kind === "leaf-list") {
      return schema.config ? element.text : `${element.text}\u0001${this.#keylessCount++}`;
    }
    if (schema.kind !== "list") return "";
    if (schema.keys.length === 0) return `\u0001${this.#keylessCount++}`;
    const values = schema.keys.map(
      (name) => children.find((child) => child.schema.name === name)?.value ?? "",
    );
    return formatEntryKey(values);
  }
}

function isMarkedDefault({ attributes }: XmlElement): boolean {
  if (attributes.length === 0) return false;
  return attributes.some(
    ({ local, namespace }) => local === "default" && NS_DEFAULT_ATTRIBUTES.has(namespace),
  );
}

function hasOwn(record: Prefixes): boolean {
  for (const _ in record) return true;
  return false;
}

/** A value may name prefixes that were declared above it; only values with a colon can. */
function usedPrefixes(value: string, scope: Prefixes): Prefixes {
  if (!value.includes(":")) return NO_PREFIXES;
  const used: Record<string, string> = {};
  for (const [prefix, namespace] of Object.entries(scope)) {
    if (prefix !== "" && value.includes(`${prefix}:`)) used[prefix] = namespace;
  }
  return used;
}

function readRemovedLeaves(element: XmlElement, schema: SchemaNode): readonly RemovedLeaf[] {
  if (element.attributes.length === 0) return NO_REMOVALS;
  const attribute = element.attributes.find(
    ({ local, namespace }) => local === REMOVED_LEAVES && namespace === NS_EDIT,
  );
  if (attribute === undefined) return NO_REMOVALS;
  return attribute.value.split(" ").flatMap((item) => {
    // "-module:name" must exist, "~module:name" need not.
    const [module = "", name = ""] = item.slice(1).split(":");
    const found = schema.children.get(name)?.find((node) => node.module === module);
    const isKey = schema.keys.includes(name);
    return found?.kind !== "leaf" || isKey
      ? []
      : [{ schema: found, mustExist: item.startsWith("-") }];
  });
}

function readInsert(element: XmlElement, schema: SchemaNode): Result<Insert | undefined, RpcError> {
  if (element.attributes.length === 0) return NO_OPERATION;
  const read = (name: string): string | undefined =>
    element.attributes.find(({ local, namespace }) => local === name && namespace === NS_YANG)
      ?.value;
  const where = read("insert");
  if (where === undefined) return ok(undefined);
  const bad = (name: string, text: string): Result<Insert | undefined, RpcError> =>
    err(attributeError("bad-attribute", name, element.local, text));
  if (!schema.userOrdered) return bad("insert", `"${schema.name}" is not ordered by the user`);
  if (where === "first" || where === "last") return ok({ where });
  if (where !== "before" && where !== "after") {
    return bad("insert", `"${where}" is not first, last, before or after`);
  }
  const name = schema.kind === "list" ? "key" : "value";
  const anchor = read(name);
  if (anchor === undefined) {
    const text = `insert="${where}" needs the attribute "${name}"`;
    return err(attributeError("missing-attribute", name, element.local, text));
  }
  const anchorKey = schema.kind === "list" ? parseKeyPredicates(schema, anchor) : anchor;
  return anchorKey === undefined
    ? bad(name, `"${anchor}" does not name every key of "${schema.name}"`)
    : ok({ where, anchorKey });
}

/** Reads `[p:a='1'][p:b="2"]`; returns undefined when a key is missing or one is too many. */
function parseKeyPredicates(schema: SchemaNode, text: string): string | undefined {
  const predicate = /\[\s*(?:[\w.-]+:)?([\w.-]+)\s*=\s*(?:'([^']*)'|"([^"]*)")\s*\]/y;
  const values = new Map<string, string>();
  let end = 0;
  for (let match = predicate.exec(text); match !== null; match = predicate.exec(text)) {
    values.set(match[1] ?? "", match[2] ?? match[3] ?? "");
    end = predicate.lastIndex;
  }
  if (end !== text.trimEnd().length || values.size !== schema.keys.length) return undefined;
  const ordered: string[] = [];
  for (const key of schema.keys) {
    const value = values.get(key);
    if (value === undefined) return undefined;
    ordered.push(value);
  }
  return formatEntryKey(ordered);
}
