/**
 * The `<config>` of an edit: checked and made canonical by libyang, then resolved to edit nodes.
 *
 * Effect: calls libyang (types, unknown nodes, keys: RFC 7950 §8.3.1; constraints come at commit).
 * A leaf that an edit deletes needs no value, but libyang wants one. So it travels as an annotation
 * of its parent (module `flowlift-edit`) through libyang, which keeps annotations.
 */
import { err, ok, type Result } from "../lib/base/result.ts";
import type { RpcError } from "../lib/netconf/rpc-error.ts";
import { rpcErrorOfYang } from "../lib/netconf/yang-error.ts";
import { escapeXml, parseXml, type XmlElement } from "../lib/xml/tree.ts";
import type { YangContext } from "../lib/yang/yang-context.ts";
import { hashClearPasswords } from "./configured-users.ts";
import type { Prefixes } from "./data-node.ts";
import {
  type EditNode,
  EditNodeReader,
  NS_EDIT,
  REMOVED_LEAVES,
  readOperation,
} from "./edit-node.ts";
import { writePlain } from "./plain-xml.ts";
import { findSchemaChild, type Schema, type SchemaNode } from "./schema.ts";

/** Reads the elements below `config`; `scope` holds the prefixes declared above it. */
export function readEditPayload(
  yang: YangContext,
  schema: Schema,
  config: XmlElement,
  scope: Prefixes,
): Result<EditNode[], RpcError> {
  const inner = { ...scope, ...config.declared };
  const plain = writePlain(config.children, inner);
  if (plain !== undefined) return readPlain(yang, schema, plain, config.children, inner);
  const texts: string[] = [];
  for (const child of config.children) {
    const node = findSchemaChild(schema.roots, child.local, child.namespace);
    const text = writeElement(child, node, inner);
    if (!text.ok) return text;
    texts.push(text.value);
  }
  return readText(yang, schema, texts.join(""), "xml", false);
}

/**
 * Most edits are written as libyang writes: then what it prints is what it was given, and the
 * elements that were read already are the edit.
 */
function readPlain(
  yang: YangContext,
  schema: Schema,
  text: string,
  elements: readonly XmlElement[],
  scope: Prefixes,
): Result<EditNode[], RpcError> {
  if (text === "") return ok([]);
  const parsed = yang.parseConfig(text, "xml", { validate: false });
  if (!parsed.ok) return err(rpcErrorOfYang({ ...parsed.error, malformed: false }));
  const canonical = parsed.value.print("xml", { keepEmptyContainers: true });
  parsed.value.free();
  const edits =
    canonical === text
      ? new EditNodeReader(schema).readRoots(elements, scope)
      : readCanonicalXml(schema, canonical);
  return edits.ok ? ok(hashClearPasswords(edits.value)) : edits;
}

/** Reads RFC 7951 data; `withState` accepts config false nodes too. */
export function readConfigJson(
  yang: YangContext,
  schema: Schema,
  json: string,
  withState: boolean,
): Result<EditNode[], RpcError> {
  return readText(yang, schema, json, "json", withState);
}

function readText(
  yang: YangContext,
  schema: Schema,
  text: string,
  format: "xml" | "json",
  withState: boolean,
): Result<EditNode[], RpcError> {
  if (format === "xml" && text.trim() === "") return ok([]);
  const parsed = yang.parseConfig(text, format, { validate: false, withState });
  // The message around it was well-formed, so what libyang could not read is a value in it.
  if (!parsed.ok) return err(rpcErrorOfYang({ ...parsed.error, malformed: false }));
  // An element that only carries an operation is empty, and must not get lost.
  const canonical = parsed.value.print("xml", { keepEmptyContainers: true });
  parsed.value.free();
  const edits = readCanonicalXml(schema, canonical);
  return edits.ok && !withState ? ok(hashClearPasswords(edits.value)) : edits;
}

/** Reads XML as libyang printed it, or as this program made it. */
export function readCanonicalXml(schema: Schema, xml: string): Result<EditNode[], RpcError> {
  const tree = parseXml(`<config>${xml}</config>`);
  if (!tree.ok) return err({ type: "rpc", tag: "operation-failed", message: tree.error.message });
  return new EditNodeReader(schema).readRoots(tree.value.children);
}

/** Returns the element as text, without what its operation makes meaningless. */
function writeElement(
  element: XmlElement,
  schema: SchemaNode | undefined,
  scope: Prefixes | undefined,
): Result<string, RpcError> {
  const operation = readOperation(element);
  if (!operation.ok) return operation;
  const goes = operation.value === "delete" || operation.value === "remove";
  const parts: string[] = [];
  const removed: string[] = [];
  for (const child of element.children) {
    const below =
      schema === undefined
        ? undefined
        : findSchemaChild(schema.children, child.local, child.namespace);
    if (goes && !isKey(schema, below)) continue;
    const removal = below?.kind === "leaf" ? readRemoval(child) : ok(undefined);
    if (!removal.ok) return removal;
    if (removal.value !== undefined && below !== undefined && !isKey(schema, below)) {
      removed.push(`${removal.value}${below.module}:${below.name}`);
      continue;
    }
    const text = writeElement(child, below, undefined);
    if (!text.ok) return text;
    parts.push(text.value);
  }
  const isTerm = schema?.kind === "leaf" || schema?.kind === "leaf-list";
  const own = element.text;
  const content = (isTerm || own.trim() !== "" ? escapeXml(own) : "") + parts.join("");
  const name = element.prefix === "" ? element.local : `${element.prefix}:${element.local}`;
  return ok(`<${name}${writeAttributes(element, scope, removed)}>${content}</${name}>`);
}

function writeAttributes(
  element: XmlElement,
  scope: Prefixes | undefined,
  removed: readonly string[],
): string {
  let text = "";
  for (const [prefix, namespace] of Object.entries(scope ?? {})) {
    if (element.declared[prefix] !== undefined) continue;
    text += ` xmlns${prefix === "" ? "" : `:${prefix}`}="${escapeXml(nameForLibrary(namespace))}"`;
  }
  for (const { name, value } of element.attributes) {
    text += ` ${name}="${escapeXml(nameForLibrary(value))}"`;
  }
  if (removed.length === 0) return text;
  return `${text} xmlns:flowlift-edit="${NS_EDIT}" flowlift-edit:${REMOVED_LEAVES}="${removed.join(" ")}"`;
}

/** libyang knows the attribute `default` (RFC 6243) by its module's namespace only. */
function nameForLibrary(value: string): string {
  return value === "urn:ietf:params:xml:ns:netconf:default:1.0"
    ? "urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults"
    : value;
}

function isKey(list: SchemaNode | undefined, child: SchemaNode | undefined): boolean {
  return list?.kind === "list" && child !== undefined && list.keys.includes(child.name);
}

/** "-" for delete, "~" for remove: see readRemovedLeaves in edit-node.ts. */
function readRemoval(element: XmlElement): Result<"-" | "~" | undefined, RpcError> {
  const operation = readOperation(element);
  if (!operation.ok) return operation;
  if (operation.value === "delete") return ok("-");
  return ok(operation.value === "remove" ? "~" : undefined);
}
