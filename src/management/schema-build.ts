/** Turns libyang's schema into ours: data nodes by name, operations beside them. Pure. */
import type {
  BaseType,
  SchemaNode as LibrarySchemaNode,
  SchemaTree,
} from "../lib/yang/schema-tree.ts";
import type {
  DefaultDeny,
  JsonKind,
  Schema,
  SchemaKind,
  SchemaNode,
  SchemaOperation,
} from "./schema.ts";

const KINDS: Readonly<Record<string, SchemaKind>> = {
  container: "container",
  list: "list",
  leaf: "leaf",
  "leaf-list": "leaf-list",
  anydata: "any",
  anyxml: "any",
};

/** RFC 7951 §6: 64-bit numbers are strings. Types that are not named are strings too. */
const JSON_KINDS: Readonly<Partial<Record<BaseType, JsonKind>>> = {
  int8: "number",
  int16: "number",
  int32: "number",
  uint8: "number",
  uint16: "number",
  uint32: "number",
  boolean: "boolean",
  empty: "empty",
  identityref: "identity",
  "instance-identifier": "instance",
};

type Built = { -readonly [Key in keyof SchemaNode]: SchemaNode[Key] };

/** Returns the data nodes of all modules. */
export function buildSchema(tree: SchemaTree): Schema {
  return {
    roots: buildAll(tree.roots, undefined),
    operations: buildOperations(tree.roots, "none"),
  };
}

function buildAll(
  nodes: readonly LibrarySchemaNode[],
  parent: SchemaNode | undefined,
): ReadonlyMap<string, readonly SchemaNode[]> {
  const byName = new Map<string, SchemaNode[]>();
  for (const node of nodes) {
    const kind = KINDS[node.kind];
    if (kind === undefined) continue; // Operations and notifications are no data.
    const built = build(node, kind, parent);
    const sameName = byName.get(node.name);
    if (sameName === undefined) byName.set(node.name, [built]);
    else sameName.push(built);
  }
  return byName;
}

function build(
  node: LibrarySchemaNode,
  kind: SchemaKind,
  parent: SchemaNode | undefined,
): SchemaNode {
  const defaultDeny = defaultDenyOf(node, parent?.defaultDeny ?? "none");
  const operations = buildOperations(node.children, defaultDeny);
  const built: Built = {
    kind,
    name: node.name,
    module: node.module,
    namespace: node.namespace,
    config: node.config,
    presence: node.presence,
    userOrdered: node.orderedBy === "user",
    keys: node.keys,
    choices: node.cases.map((item) => ({ choice: item.choice, caseName: item.case })),
    parent,
    children: new Map() as ReadonlyMap<string, readonly SchemaNode[]>,
  };
  if (node.valueTypes.length > 0) built.jsonKind = jsonKindOf(node.valueTypes);
  if (defaultDeny !== "none") built.defaultDeny = defaultDeny;
  if (operations.length > 0) built.operations = operations;
  built.children = buildAll(node.children, built);
  return built;
}

function jsonKindOf(types: readonly BaseType[]): JsonKind {
  const kinds = new Set(types.map((type) => JSON_KINDS[type] ?? "string"));
  const [first] = kinds;
  return kinds.size === 1 && first !== undefined ? first : "depends";
}

function defaultDenyOf({ extensions }: LibrarySchemaNode, above: DefaultDeny): DefaultDeny {
  if (extensions.includes("default-deny-all")) return "all";
  return extensions.includes("default-deny-write") && above === "none" ? "write" : above;
}

function buildOperations(
  nodes: readonly LibrarySchemaNode[],
  above: DefaultDeny,
): SchemaOperation[] {
  return nodes.flatMap((node) => {
    const { kind, name, module, namespace } = node;
    if (kind !== "rpc" && kind !== "action" && kind !== "notification") return [];
    return [{ kind, name, module, namespace, defaultDeny: defaultDenyOf(node, above) }];
  });
}
