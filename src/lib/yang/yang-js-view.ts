/**
 * What yang-js reads of our modules: the shape of their configuration, as plain objects.
 *
 * Effect: reads module files; fills yang-js's global list of modules. Used at build time only.
 * Limit: yang-js checks no must, when, unique, leafref or identity, so nothing here may ever accept
 * or refuse data: that is libyang's (yang-context.ts). What it cannot read is reported, not guessed.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import Yang from "yang-js";
import { describeError } from "../base/errors.ts";
import { err, ok, type Result } from "../base/result.ts";

/** A node that configuration can have. */
export interface ShapeNode {
  readonly kind: "container" | "list" | "leaf" | "leaf-list" | "anydata";
  readonly name: string;
  /** False when valid data always has the node: a list key, or mandatory outside of choices. */
  readonly optional: boolean;
  /** RFC 7951 form of a leaf's value. */
  readonly value: ValueShape | undefined;
  readonly children: readonly ShapeNode[];
}

export type ValueShape =
  | { readonly kind: "string" | "number" | "boolean" | "empty" | "any" }
  | { readonly kind: "enumeration"; readonly names: readonly string[] }
  | { readonly kind: "union"; readonly members: readonly ValueShape[] };

export type UnreadableModule = { readonly kind: "yang-js-refuses"; readonly message: string };

/** The part of yang-js's expressions that is used here; its own types say `any`. */
interface Expression {
  readonly kind: string;
  readonly tag: unknown;
  readonly parent?: Expression;
  readonly nodes?: readonly Expression[];
  readonly case?: readonly Expression[];
  readonly type?: TypeExpression;
  readonly key?: { readonly tag: readonly string[] };
  readonly config?: { readonly tag: unknown };
  readonly mandatory?: { readonly tag: unknown };
}

interface TypeExpression {
  readonly tag: string;
  readonly state?: { readonly basetype?: string };
  readonly enum?: readonly { readonly tag: string }[];
  readonly type?: readonly TypeExpression[];
  readonly path?: { readonly tag: unknown };
}

interface YangJs {
  parse(text: string): Expression;
  use(schema: Expression): unknown;
  clear(): void;
}

const yangJs = Yang as unknown as YangJs;

const NUMBER_TYPES: ReadonlySet<string> = new Set([
  ...["int8", "int16", "int32"],
  ...["uint8", "uint16", "uint32"],
]);
/** Union members nest, and typedefs could in theory go on; ours have two levels. */
const TYPE_DEPTH_MAX = 8;

/** Reads a module with everything that it imports; forgets what was read before. */
export function readShape(
  moduleName: string,
  directories: readonly string[],
): Result<ShapeNode[], UnreadableModule> {
  yangJs.clear();
  try {
    const module = load(moduleName, directories, new Map());
    return ok(shapesOf(module.nodes ?? []));
  } catch (error) {
    return err({ kind: "yang-js-refuses", message: describeError(error) });
  }
}

function load(
  name: string,
  directories: readonly string[],
  loaded: Map<string, Expression>,
): Expression {
  const known = loaded.get(name);
  if (known !== undefined) return known;
  const text = readFileSync(findModule(name, directories), "utf8");
  for (const [, imported = ""] of text.matchAll(/^\s*import\s+"?([\w.-]+)"?\s*\{/gm)) {
    load(imported, directories, loaded);
  }
  const module = yangJs.parse(text);
  yangJs.use(module);
  loaded.set(name, module);
  return module;
}

function findModule(name: string, directories: readonly string[]): string {
  for (const directory of directories) {
    const files = readdirSync(directory).filter(
      (file) => file === `${name}.yang` || (file.startsWith(`${name}@`) && file.endsWith(".yang")),
    );
    const newest = files.sort().at(-1);
    if (newest !== undefined) return join(directory, newest);
  }
  throw new Error(`module "${name}" is in none of ${directories.join(", ")}`);
}

function shapesOf(nodes: readonly Expression[], keys: readonly string[] = []): ShapeNode[] {
  return nodes.flatMap((node) => {
    if (node.config?.tag === false) return [];
    if (node.kind === "choice") return alternatives(node);
    const shape = shapeOf(node, keys);
    return shape === undefined ? [] : [shape];
  });
}

/** Nodes of a choice: each may be absent. */
function alternatives(choice: Expression): ShapeNode[] {
  const cases = (choice.case ?? []).flatMap((each) => each.nodes ?? []);
  return shapesOf([...cases, ...(choice.nodes ?? [])]).map((node) => ({ ...node, optional: true }));
}

function shapeOf(node: Expression, keys: readonly string[]): ShapeNode | undefined {
  const name = String(node.tag);
  const optional = !keys.includes(name) && node.mandatory?.tag !== true;
  switch (node.kind) {
    case "container":
    case "list":
      return {
        kind: node.kind,
        name,
        optional: true,
        value: undefined,
        children: shapesOf(node.nodes ?? [], node.key?.tag ?? []),
      };
    case "leaf":
    case "leaf-list":
      return { kind: node.kind, name, optional, value: valueShape(node, node.type), children: [] };
    case "anydata":
    case "anyxml":
      return { kind: "anydata", name, optional, value: undefined, children: [] };
    default:
      return undefined; // Operations and notifications are not configuration.
  }
}

function valueShape(leaf: Expression, type: TypeExpression | undefined, depth = 0): ValueShape {
  const base = type?.state?.basetype ?? type?.tag ?? "";
  if (type === undefined || depth > TYPE_DEPTH_MAX) return { kind: "any" };
  if (NUMBER_TYPES.has(base)) return { kind: "number" };
  switch (base) {
    case "boolean":
      return { kind: "boolean" };
    case "empty":
      return { kind: "empty" };
    case "enumeration":
      return type.enum === undefined
        ? { kind: "string" }
        : { kind: "enumeration", names: type.enum.map(({ tag }) => tag) };
    case "union":
      return type.type === undefined
        ? { kind: "any" }
        : { kind: "union", members: type.type.map((each) => valueShape(leaf, each, depth + 1)) };
    case "leafref": {
      const target = followPath(leaf, String(type.path?.tag ?? ""));
      return target === undefined ? { kind: "any" } : valueShape(target, target.type, depth + 1);
    }
    default:
      return { kind: "string" }; // Among them 64-bit numbers and decimals (RFC 7951 §6.1).
  }
}

/** Follows a leafref's path without predicates inside of one module. */
function followPath(leaf: Expression, path: string): Expression | undefined {
  const steps = path.split("/").filter((step) => step !== "");
  let at: Expression | undefined = leaf;
  if (path.startsWith("/")) while (at?.kind !== "module" && at?.parent) at = at.parent;
  for (const step of steps) {
    const local = step.replace(/^[\w.-]+:/, "");
    at = step === ".." ? dataParent(at) : childNamed(at, local);
    if (at === undefined) return undefined;
  }
  return at?.type === undefined ? undefined : at;
}

function dataParent(node: Expression | undefined): Expression | undefined {
  let parent = node?.parent;
  while (parent?.kind === "case" || parent?.kind === "choice") parent = parent.parent;
  return parent;
}

function childNamed(node: Expression | undefined, name: string): Expression | undefined {
  for (const child of node?.nodes ?? []) {
    if (child.tag === name) return child;
    if (child.kind !== "choice") continue;
    for (const branch of child.case ?? []) {
      const found = childNamed(branch, name);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}
