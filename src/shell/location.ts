/**
 * Words as a place in the configuration: `interfaces interface eth0 description`.
 *
 * Pure. List keys stand behind the list's name, in the order of the schema. A node whose name two modules
 * use is written with its module: `module:name`.
 */
import { err, ok, type Result } from "../lib/base/result.ts";
import { escapeXml } from "../lib/xml/tree.ts";
import type { SchemaNode } from "../lib/yang/schema-tree.ts";

export interface LocationStep {
  readonly schema: SchemaNode;
  /** Of a list entry, in order. Fewer than the list has while a line is being typed. */
  readonly keys: readonly string[];
  /** Of a leaf or leaf-list. */
  readonly value?: string;
}

export interface Location {
  readonly steps: readonly LocationStep[];
}

/** Which modules define an identity of a name. */
export type IdentityModules = ReadonlyMap<string, readonly string[]>;

export const ROOT_LOCATION: Location = { steps: [] };

/** The children of a place that a line can go on with. */
export function listChildren(
  roots: readonly SchemaNode[],
  location: Location,
  configOnly: boolean,
): readonly SchemaNode[] {
  const last = location.steps.at(-1)?.schema;
  const children = last === undefined ? roots : last.children;
  return children.filter((child) => {
    const isData = child.kind !== "rpc" && child.kind !== "action" && child.kind !== "notification";
    return isData && !child.isKey && (!configOnly || child.config);
  });
}

/** How a child is written among its siblings. */
export function nameOf(child: SchemaNode, siblings: readonly SchemaNode[]): string {
  const shared = siblings.filter(({ name }) => name === child.name).length > 1;
  return shared ? `${child.module}:${child.name}` : child.name;
}

/**
 * Reads words below `base`. `takesValue`: a leaf is followed by its value (set), otherwise it may be
 * (delete of one leaf-list entry).
 */
export function parseLocation(
  roots: readonly SchemaNode[],
  base: Location,
  words: readonly string[],
  configOnly: boolean,
): Result<Location, string> {
  const steps = [...base.steps];
  let at = 0;
  while (at < words.length) {
    const word = words[at] ?? "";
    at++;
    const siblings = listChildren(roots, { steps }, configOnly);
    const found = siblings.filter((child) => matches(child, word));
    const [schema, ...others] = found;
    if (schema === undefined) return err(explainUnknown(word, steps, siblings));
    if (others.length > 0) {
      const names = found.map(({ module, name }) => `${module}:${name}`);
      return err(`"${word}" is ambiguous: ${names.join(", ")}`);
    }
    if (schema.kind === "list") {
      const keys = words.slice(at, at + schema.keys.length);
      at += keys.length;
      steps.push({ schema, keys });
    } else if (schema.kind === "leaf" || schema.kind === "leaf-list") {
      const value = words[at];
      at++;
      steps.push({ schema, keys: [], ...(value === undefined ? {} : { value }) });
      if (at < words.length) return err(`"${words[at]}" is one word too many behind "${word}"`);
    } else steps.push({ schema, keys: [] });
  }
  return ok({ steps });
}

function matches(child: SchemaNode, word: string): boolean {
  return word === child.name || word === `${child.module}:${child.name}`;
}

function explainUnknown(
  word: string,
  steps: readonly LocationStep[],
  siblings: readonly SchemaNode[],
): string {
  const place = steps.at(-1);
  const where = place === undefined ? "" : ` in "${place.schema.name}"`;
  const names = siblings.map((child) => nameOf(child, siblings));
  if (names.length === 0) return `There is nothing below "${place?.schema.name ?? ""}"`;
  return `There is no "${word}"${where}; there is: ${names.join(", ")}`;
}

/** Returns what is missing for a change of this place. */
export function findMissing({ steps }: Location): string | undefined {
  for (const { schema, keys } of steps) {
    const missing = schema.keys[keys.length];
    if (schema.kind === "list" && missing !== undefined) {
      return `"${schema.name}" needs its key ${missing}`;
    }
  }
  return undefined;
}

/** The place as words again. */
export function formatWords({ steps }: Location): string[] {
  return steps.flatMap(({ schema, keys, value }) => [
    schema.name,
    ...keys,
    ...(value === undefined ? [] : [value]),
  ]);
}

/** RFC 7951 data that holds this place and nothing else; `value` of a leaf is taken as it is typed. */
export function formatJson(
  { steps }: Location,
  identities: IdentityModules,
): Record<string, unknown> {
  let inner: Record<string, unknown> = {};
  for (const { schema, keys, value } of [...steps].reverse()) {
    const name = `${schema.module}:${schema.name}`;
    if (schema.kind === "list") {
      const leaves = schema.keys.slice(0, keys.length).map((key, at) => {
        const leaf = schema.children.find((child) => child.name === key);
        return [key, formatValue(leaf, keys[at] ?? "", identities)];
      });
      inner = { [name]: [{ ...Object.fromEntries(leaves), ...inner }] };
    } else if (schema.kind === "leaf-list") {
      inner = { [name]: [formatValue(schema, value ?? "", identities)] };
    } else if (schema.kind === "leaf")
      inner = { [name]: formatValue(schema, value ?? "", identities) };
    else inner = { [name]: inner };
  }
  return inner;
}

const NUMBERS: ReadonlySet<string> = new Set([
  "int8",
  "int16",
  "int32",
  "uint8",
  "uint16",
  "uint32",
]);

/** libyang takes numbers as text wherever a union allows text; for plain ones JSON wants numbers. */
function formatValue(
  leaf: SchemaNode | undefined,
  text: string,
  identities: IdentityModules,
): unknown {
  const types = leaf?.valueTypes ?? [];
  if (types.includes("identityref") && !text.includes(":")) {
    const [module, ...others] = identities.get(text) ?? [];
    return module === undefined || others.length > 0 ? text : `${module}:${text}`;
  }
  if (types.some((type) => NUMBERS.has(type)) && /^-?\d{1,10}$/.test(text)) return Number(text);
  if (types.includes("boolean") && (text === "true" || text === "false")) return text === "true";
  if (types.includes("empty") && text === "") return [null];
  return text;
}

/** A subtree filter that selects this place. */
export function formatFilter({ steps }: Location): string {
  return steps.reduceRight((inner, { schema, keys }) => {
    const leaves = schema.keys
      .slice(0, keys.length)
      .map((key, at) => `<${key}>${escapeXml(keys[at] ?? "")}</${key}>`)
      .join("");
    return `<${schema.name} xmlns="${escapeXml(schema.namespace)}">${leaves}${inner}</${schema.name}>`;
  }, "");
}

/** An edit that deletes this place; `operation` is NETCONF's. */
export function formatDeletion(location: Location, operation: "delete" | "remove"): string {
  const { steps } = location;
  return steps.reduceRight((inner, { schema, keys, value }, index) => {
    const isLast = index === steps.length - 1;
    const mark = isLast ? ` nc:operation="${operation}"` : "";
    const leaves = schema.keys
      .map((key, at) => `<${key}>${escapeXml(keys[at] ?? "")}</${key}>`)
      .join("");
    const text = schema.kind === "leaf-list" && value !== undefined ? escapeXml(value) : "";
    const scope = ` xmlns="${escapeXml(schema.namespace)}"`;
    return `<${schema.name}${scope}${mark}>${leaves}${text}${inner}</${schema.name}>`;
  }, "");
}
