/**
 * Parts of a tree by instance paths, by XPath, by depth and by kind.
 *
 * Effect: XPath is evaluated by libyang on a copy of the tree. Source: RFC 6241 §8.9, RFC 8526 §3.1.
 * Keys of selected list entries, and all that leads to a selected node, are included.
 */
import { err, ok, type Result } from "../../lib/base/result.ts";
import type { RpcError } from "../../lib/netconf/rpc-error.ts";
import { rpcErrorOfYang } from "../../lib/netconf/yang-error.ts";
import type { YangContext } from "../../lib/yang/yang-context.ts";
import {
  type DataNode,
  type DataRoot,
  EMPTY_ROOT,
  type EntryNode,
  formatEntryKey,
  type ListNode,
} from "../data-node.ts";
import { DEFAULT_MARK, formatRoot } from "../data-xml.ts";
import type { Schema, SchemaNode } from "../schema.ts";

/** What is wanted below one place. */
interface Wanted {
  isWhole: boolean;
  readonly children: Map<SchemaNode, Map<string, Wanted>>;
}

/** Returns what the expression selects; its names are libyang's (see xpath-names.ts). */
export function selectXpath(
  yang: YangContext,
  schema: Schema,
  root: DataRoot,
  xpath: string,
): Result<DataRoot, RpcError> {
  const text = formatRoot(root).replaceAll(DEFAULT_MARK, "");
  const parsed = yang.parseConfig(text, "xml", { validate: false, withState: true });
  if (!parsed.ok) return err(rpcErrorOfYang(parsed.error));
  const found = parsed.value.find(xpath);
  parsed.value.free();
  if (!found.ok) {
    const info = [{ name: "bad-attribute", text: "select" }];
    return err({ type: "protocol", tag: "invalid-value", message: found.error.message, info });
  }
  const wanted: Wanted = { isWhole: false, children: new Map() };
  for (const { path } of found.value) addPath(wanted, schema, root, path);
  return ok(wanted.children.size === 0 ? EMPTY_ROOT : take(root, wanted, []));
}

const STEP = /\/(?:([\w.-]+):)?([\w.-]+)((?:\[(?:[^\]'"]|'[^']*'|"[^"]*")*\])*)/g;
const PREDICATE = /\[(?:(?:[\w.-]+:)?([\w.-]+)=)?(?:'([^']*)'|"([^"]*)"|(\d+))\]/g;

function addPath(top: Wanted, schema: Schema, root: DataRoot, path: string): void {
  let wanted = top;
  let siblings = schema.roots;
  let nodes: ReadonlyMap<SchemaNode, DataNode> | undefined = root;
  let above: SchemaNode | undefined;
  for (const [, module, name = "", predicates = ""] of path.matchAll(STEP)) {
    const wantedModule = module ?? above?.module;
    const node = siblings.get(name)?.find((item) => item.module === wantedModule);
    if (node === undefined) return;
    const data: DataNode | undefined = nodes?.get(node);
    const key = readKey(node, data, predicates);
    const byKey = wanted.children.get(node) ?? new Map<string, Wanted>();
    wanted.children.set(node, byKey);
    const next = byKey.get(key) ?? { isWhole: false, children: new Map() };
    byKey.set(key, next);
    const inner: DataNode | undefined = data?.kind === "list" ? data.entries.get(key) : data;
    nodes = inner?.kind === "container" ? inner.children : undefined;
    wanted = next;
    siblings = node.children;
    above = node;
  }
  wanted.isWhole = true;
}

function readKey(schema: SchemaNode, data: DataNode | undefined, predicates: string): string {
  if (schema.kind !== "list" && schema.kind !== "leaf-list") return "";
  const found = [...predicates.matchAll(PREDICATE)];
  const position = found[0]?.[4];
  if (position !== undefined && data?.kind === "list") {
    return [...data.entries.keys()][Number(position) - 1] ?? "";
  }
  if (schema.kind === "leaf-list") return leafListKey(data, found[0]?.[2] ?? found[0]?.[3] ?? "");
  const values = new Map(
    found.map(([, name = "", single, double]) => [name, single ?? double ?? ""]),
  );
  return formatEntryKey(schema.keys.map((name) => values.get(name) ?? ""));
}

/** Values that use prefixes are written differently by libyang: the name behind them decides. */
function leafListKey(data: DataNode | undefined, value: string): string {
  if (data?.kind !== "list" || data.entries.has(value)) return value;
  const local = value.replace(/^.*:/, "");
  for (const key of data.entries.keys()) if (key.replace(/^.*:/, "") === local) return key;
  return value;
}

function take(
  nodes: ReadonlyMap<SchemaNode, DataNode>,
  wanted: Wanted,
  keys: readonly string[],
): Map<SchemaNode, DataNode> {
  const out = new Map<SchemaNode, DataNode>();
  for (const [schema, node] of nodes) {
    const byKey = wanted.children.get(schema);
    if (byKey === undefined) {
      if (keys.includes(schema.name)) out.set(schema, node);
    } else if (node.kind === "list") {
      const entries = new Map<string, EntryNode>();
      for (const [key, entry] of node.entries) {
        const inner = byKey.get(key);
        if (inner !== undefined) entries.set(key, takeEntry(entry, inner));
      }
      if (entries.size > 0) out.set(schema, { ...node, entries });
    } else {
      const inner = byKey.get("");
      if (inner !== undefined)
        out.set(schema, node.kind === "container" ? takeEntry(node, inner) : node);
    }
  }
  return out;
}

function takeEntry<T extends EntryNode>(entry: T, wanted: Wanted): T {
  if (wanted.isWhole || entry.kind !== "container") return entry;
  return { ...entry, children: take(entry.children, wanted, entry.schema.keys) };
}

/** Returns the tree with so many levels; the top-level nodes are the first. */
export function limitDepth(root: DataRoot, depth: number): DataRoot {
  const out = new Map<SchemaNode, DataNode>();
  for (const [schema, node] of root) {
    const part = cut(node, depth);
    if (part !== undefined) out.set(schema, part);
  }
  return out;
}

function cut(node: DataNode, depth: number): DataNode | undefined {
  if (depth <= 0) return undefined;
  if (node.kind === "list")
    return mapEntries(node, (entry) => cut(entry, depth) as EntryNode | undefined);
  if (node.kind !== "container") return node;
  const children = new Map<SchemaNode, DataNode>();
  for (const [schema, child] of node.children) {
    const isKey = node.schema.keys.includes(schema.name);
    const part = isKey ? child : cut(child, depth - 1);
    if (part !== undefined) children.set(schema, part);
  }
  return { ...node, children };
}

/** Returns configuration only, or state only with the configuration that leads to it. */
export function filterConfig(root: DataRoot, isConfig: boolean): DataRoot {
  const out = new Map<SchemaNode, DataNode>();
  for (const [schema, node] of root) {
    const part = ofKind(node, isConfig);
    if (part !== undefined) out.set(schema, part);
  }
  return out;
}

function ofKind(node: DataNode, isConfig: boolean): DataNode | undefined {
  if (isConfig && !node.schema.config) return undefined;
  if (!isConfig && !node.schema.config) return node;
  if (node.kind === "list") {
    return mapEntries(node, (entry) => ofKind(entry, isConfig) as EntryNode | undefined);
  }
  if (node.kind !== "container") return isConfig ? node : undefined;
  const children = new Map<SchemaNode, DataNode>();
  let hasState = false;
  for (const [schema, child] of node.children) {
    const isKey = node.schema.keys.includes(schema.name);
    const part = isKey ? child : ofKind(child, isConfig);
    if (part === undefined) continue;
    children.set(schema, part);
    hasState ||= !isKey;
  }
  if (!isConfig && !hasState) return undefined;
  return { ...node, children };
}

export function mapEntries(
  list: ListNode,
  map: (entry: EntryNode, key: string) => EntryNode | undefined,
): ListNode | undefined {
  const entries = new Map<string, EntryNode>();
  for (const [key, entry] of list.entries) {
    const part = map(entry, key);
    if (part !== undefined) entries.set(key, part);
  }
  return entries.size === 0 ? undefined : { ...list, entries };
}
