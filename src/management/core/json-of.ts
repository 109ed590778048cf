/**
 * A JSON writer that asks libyang what a union's value or an instance path is.
 *
 * Effect: calls libyang. Limit: ANSWERS_MAX values are remembered.
 */
import type { YangContext } from "../../lib/yang/yang-context.ts";
import { JsonWriter } from "../data-json.ts";
import type { LeafNode } from "../data-node.ts";
import { writeNode } from "../data-xml.ts";
import type { SchemaNode } from "../schema.ts";

export const ANSWERS_MAX = 65_536;

export function makeJsonWriter(yang: YangContext): JsonWriter {
  const modules = new Map(yang.listModules().map(({ name, namespace }) => [namespace, name]));
  let answers = new WeakMap<SchemaNode, Map<string, unknown>>();
  let count = 0;
  const ask = (leaf: LeafNode): unknown => {
    const key = `${leaf.value}\u0000${JSON.stringify(leaf.prefixes)}`;
    const known = answers.get(leaf.schema)?.get(key);
    if (known !== undefined) return known;
    const value = askLibrary(yang, leaf);
    if (count >= ANSWERS_MAX) {
      answers = new WeakMap();
      count = 0;
    }
    const ofLeaf = answers.get(leaf.schema) ?? new Map<string, unknown>();
    answers.set(leaf.schema, ofLeaf.set(key, value));
    count++;
    return value;
  };
  return new JsonWriter({ moduleOf: (namespace) => modules.get(namespace), ask });
}

/** Lets libyang read the leaf alone, below the elements that lead to it, and print it. */
function askLibrary(yang: YangContext, leaf: LeafNode): unknown {
  const out: string[] = [];
  const above: SchemaNode[] = [];
  for (let at = leaf.schema.parent; at !== undefined; at = at.parent) above.unshift(at);
  let namespace = "";
  for (const schema of above) {
    out.push(
      `<${schema.name}${namespace === schema.namespace ? "" : ` xmlns="${schema.namespace}"`}>`,
    );
    namespace = schema.namespace;
  }
  writeNode(leaf, namespace, out);
  for (const schema of [...above].reverse()) out.push(`</${schema.name}>`);
  const text = out.join("");
  // Keys that are missing do not matter: nothing is validated.
  const parsed = yang.parseConfig(text, "xml", { validate: false, withState: true, strict: false });
  if (!parsed.ok) return leaf.value;
  const json = parsed.value.toJson({ keepEmptyContainers: true });
  parsed.value.free();
  let value: unknown = json;
  for (let depth = 0; depth <= above.length; depth++) {
    const [inner] = Object.values(value as Record<string, unknown>);
    value = Array.isArray(inner) && depth < above.length ? inner[0] : inner;
  }
  return leaf.schema.kind === "leaf-list" && Array.isArray(value) ? value[0] : value;
}
