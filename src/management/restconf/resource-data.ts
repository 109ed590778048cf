/**
 * A path and a body as an edit, and a path as a way through a tree.
 *
 * Effect: calls libyang, which checks names and types and makes keys canonical.
 * Source: RFC 8040 §4.4 to §4.7; RFC 7951 (JSON), RFC 7950 (XML).
 */
import { err, ok, type Result } from "../../lib/base/result.ts";
import { malformedMessage, protocolError, type RpcError } from "../../lib/netconf/rpc-error.ts";
import { escapeXml, formatXml, parseXml } from "../../lib/xml/tree.ts";
import type { YangContext } from "../../lib/yang/yang-context.ts";
import type { DataNode, DataRoot } from "../data-node.ts";
import type { EditNode, EditOperation, Insert } from "../edit-node.ts";
import { readConfigJson, readEditPayload } from "../edit-payload.ts";
import type { Schema, SchemaNode } from "../schema.ts";
import { isOneInstance, type ResourcePath, type ResourceStep } from "./resource-path.ts";

export type Encoding = "json" | "xml";

export interface Body {
  readonly encoding: Encoding;
  readonly text: string;
}

export interface ResourceContext {
  readonly yang: YangContext;
  readonly schema: Schema;
  readonly namespaceOf: (module: string) => string | undefined;
}

/** Returns the edit nodes of the path itself, from the top to the resource, or to a list's parent. */
export function resolvePath(
  context: ResourceContext,
  path: ResourcePath,
): Result<EditNode[], RpcError> {
  const last = path.steps.at(-1);
  if (last === undefined) return ok([]);
  const hasValue = last.schema.kind === "leaf" || last.schema.kind === "any";
  const above = hasValue || !isOneInstance(path) ? path.steps.slice(0, -1) : path.steps;
  const text = wrapJson(above, undefined);
  const read = readConfigJson(context.yang, context.schema, text, true);
  if (!read.ok) return read;
  const chain = chainOf(read.value, above);
  return ok(hasValue ? withLeaf(chain, last.schema) : chain);
}

/** A leaf is named without a value, which libyang would want: it joins the chain afterwards. */
function withLeaf(chain: readonly EditNode[], schema: SchemaNode): EditNode[] {
  let below: EditNode = {
    ...{ schema, operation: undefined, entryKey: "", value: "", prefixes: {}, insert: undefined },
    ...{ children: [], removedLeaves: [], xml: "" },
  };
  const out = [below];
  for (const node of [...chain].reverse()) {
    const next = out[0];
    const others = node.children.filter((child) => child.schema !== next?.schema);
    below = { ...node, children: next === undefined ? others : [...others, next] };
    out.unshift(below);
  }
  return out;
}

/** Returns the edit of a body that is the resource (PUT, PATCH). */
export function readResourceBody(
  context: ResourceContext,
  path: ResourcePath,
  body: Body,
): Result<EditNode[], RpcError> {
  const { steps } = path;
  const last = steps.at(-1);
  if (last === undefined) return readWhole(context, body);
  const above = steps.slice(0, -1);
  const edits = readBelow(context, above, body);
  if (!edits.ok) return edits;
  const found = lastOf(edits.value, above)?.filter((node) => !isKeyOf(above.at(-1), node)) ?? [];
  const [only, ...others] = found;
  if (only === undefined || others.length > 0 || only.schema !== last.schema) {
    const name = `${last.schema.module}:${last.schema.name}`;
    return err(protocolError("invalid-value", `The body must be one "${name}"`));
  }
  const wanted = resolvePath(context, path);
  if (!wanted.ok) return wanted;
  if (wanted.value.at(-1)?.entryKey !== only.entryKey) {
    const text = `The keys in the body are not those of the path`;
    return err(protocolError("invalid-value", text));
  }
  return edits;
}

/** Returns the edit of a body that is one child of the resource (POST). */
export function readChildBody(
  context: ResourceContext,
  path: ResourcePath,
  body: Body,
): Result<{ readonly edits: EditNode[]; readonly child: EditNode }, RpcError> {
  const edits = readBelow(context, path.steps, body);
  if (!edits.ok) return edits;
  const last = path.steps.at(-1);
  const found = (lastOf(edits.value, path.steps) ?? []).filter((node) => !isKeyOf(last, node));
  const [child, ...others] = found;
  if (child !== undefined && others.length === 0) return ok({ edits: edits.value, child });
  return err(protocolError("invalid-value", "The body must be one child of the resource"));
}

/** `{"ietf-restconf:data": {…}}` or `<data>…</data>`: everything. */
function readWhole(context: ResourceContext, body: Body): Result<EditNode[], RpcError> {
  const { yang, schema } = context;
  if (body.encoding === "xml") {
    const tree = parseXml(body.text);
    if (!tree.ok) return err(malformedMessage(tree.error.message));
    if (tree.value.local !== "data") return err(protocolError("invalid-value", "Not a <data>"));
    return readEditPayload(yang, schema, tree.value, {});
  }
  const members = parseMembers(body.text);
  if (!members.ok) return members;
  const data = members.value["ietf-restconf:data"];
  if (typeof data !== "object" || data === null) {
    return err(protocolError("invalid-value", 'The body must be one "ietf-restconf:data"'));
  }
  return readConfigJson(yang, schema, JSON.stringify(data), false);
}

function readBelow(
  context: ResourceContext,
  above: readonly ResourceStep[],
  body: Body,
): Result<EditNode[], RpcError> {
  const { yang, schema } = context;
  if (body.encoding === "json") {
    const members = parseMembers(body.text);
    if (!members.ok) return members;
    const inner = JSON.stringify(members.value).slice(1, -1);
    return readConfigJson(yang, schema, wrapJson(above, inner), false);
  }
  const tree = parseXml(body.text);
  if (!tree.ok) return err(malformedMessage(tree.error.message));
  const config = parseXml(`<config>${wrapXml(context, above, formatXml(tree.value))}</config>`);
  if (!config.ok) return err(malformedMessage(config.error.message));
  return readEditPayload(yang, schema, config.value, {});
}

function parseMembers(text: string): Result<Record<string, unknown>, RpcError> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return ok(value as Record<string, unknown>);
    }
    return err(malformedMessage("The body must be a JSON object"));
  } catch (error) {
    return err(malformedMessage(`The body is no JSON: ${(error as Error).message}`));
  }
}

/** RFC 7951 text of a path; `inner` are the members below the last step. */
function wrapJson(steps: readonly ResourceStep[], inner: string | undefined): string {
  let text = inner;
  for (let index = steps.length - 1; index >= 0; index--) {
    const step = steps[index];
    if (step === undefined) break;
    const { schema, keys } = step;
    const name = JSON.stringify(`${schema.module}:${schema.name}`);
    if (schema.kind === "list") {
      const members = schema.keys.slice(0, keys.length).map((key, at) => {
        const leaf = keyLeaf(schema, key);
        return `${JSON.stringify(key)}:${formatJsonValue(leaf, keys[at] ?? "")}`;
      });
      if (text !== undefined && text !== "") members.push(text);
      text = `${name}:[{${members.join(",")}}]`;
    } else if (schema.kind === "leaf-list") {
      text = `${name}:[${keys.map((value) => formatJsonValue(schema, value)).join(",")}]`;
    } else text = `${name}:{${text ?? ""}}`;
  }
  return `{${text ?? ""}}`;
}

function keyLeaf(list: SchemaNode, key: string): SchemaNode | undefined {
  return list.children.get(key)?.find((node) => node.module === list.module);
}

function formatJsonValue(leaf: SchemaNode | undefined, text: string): string {
  const kind = leaf?.jsonKind ?? "string";
  if (kind === "number" && /^-?\d+$/.test(text)) return String(BigInt(text));
  if (kind === "boolean" && (text === "true" || text === "false")) return text;
  return JSON.stringify(text);
}

function wrapXml(context: ResourceContext, steps: readonly ResourceStep[], inner: string): string {
  let text = inner;
  for (const { schema, keys } of [...steps].reverse()) {
    const leaves = schema.kind === "list" ? schema.keys : [];
    const own = leaves.map((key, at) => formatKeyLeaf(context, key, keys[at] ?? "")).join("");
    text = `<${schema.name} xmlns="${escapeXml(schema.namespace)}">${own}${text}</${schema.name}>`;
  }
  return text;
}

/** An identity is written with its module's name, which serves as the prefix. */
function formatKeyLeaf(context: ResourceContext, key: string, value: string): string {
  const [module = ""] = value.split(":");
  const namespace = value.includes(":") ? context.namespaceOf(module) : undefined;
  const scope = namespace === undefined ? "" : ` xmlns:${module}="${escapeXml(namespace)}"`;
  return `<${key}${scope}>${escapeXml(value)}</${key}>`;
}

/** The nodes of the path, one for each step. */
function chainOf(edits: readonly EditNode[], steps: readonly ResourceStep[]): EditNode[] {
  const chain: EditNode[] = [];
  let level = edits;
  for (const { schema } of steps) {
    const node = level.find((one) => one.schema === schema);
    if (node === undefined) break;
    chain.push(node);
    level = node.children;
  }
  return chain;
}

function lastOf(
  edits: readonly EditNode[],
  steps: readonly ResourceStep[],
): readonly EditNode[] | undefined {
  if (steps.length === 0) return edits;
  return chainOf(edits, steps)[steps.length - 1]?.children;
}

function isKeyOf(step: ResourceStep | undefined, node: EditNode): boolean {
  return step?.schema.kind === "list" && step.schema.keys.includes(node.schema.name);
}

export interface Mark {
  readonly operation: EditOperation;
  readonly insert?: Insert | undefined;
}

/** Returns the edits with `mark` on `target`; nodes above it only lead there. */
export function markNode(
  edits: readonly EditNode[],
  target: EditNode,
  mark: Mark,
): readonly EditNode[] {
  return edits.map((node) => {
    if (node === target) {
      return { ...node, operation: mark.operation, insert: mark.insert ?? node.insert };
    }
    const children = markNode(node.children, target, mark);
    return children.every((child, index) => child === node.children[index])
      ? node
      : { ...node, children };
  });
}

/** Returns the instance that a resolved path leads to. */
export function findInstance(root: DataRoot, chain: readonly EditNode[]): DataNode | undefined {
  let level: ReadonlyMap<SchemaNode, DataNode> = root;
  let found: DataNode | undefined;
  for (const { schema, entryKey } of chain) {
    found = level.get(schema);
    if (found?.kind === "list") found = found.entries.get(entryKey);
    if (found === undefined) return undefined;
    level = found.kind === "container" ? found.children : new Map();
  }
  return found;
}
