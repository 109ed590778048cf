/**
 * RFC 7951 data for people: a tree with braces, `set` lines, tables.
 *
 * Pure. Order is that of the data.
 */
import type { SchemaNode } from "../lib/yang/schema-tree.ts";
import { quoteWord } from "./words.ts";

type Data = Readonly<Record<string, unknown>>;

const INDENT = "    ";

function findChild(siblings: readonly SchemaNode[], member: string): SchemaNode | undefined {
  const colon = member.indexOf(":");
  const name = member.slice(colon + 1);
  const module = colon < 0 ? undefined : member.slice(0, colon);
  return siblings.find(
    (node) => node.name === name && (module === undefined || node.module === module),
  );
}

function isRecord(value: unknown): value is Data {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Identities are written without their module: the schema tells which is meant. */
export function formatScalar(value: unknown, schema: SchemaNode | undefined): string {
  if (Array.isArray(value)) return ""; // The empty type is [null].
  const text = String(value);
  if (schema?.valueTypes.includes("identityref") !== true) return text;
  return text.slice(text.indexOf(":") + 1);
}

interface Visit {
  /** A leaf, or one entry of a leaf-list. */
  leaf(path: readonly string[], schema: SchemaNode | undefined, value: string): void;
  open(path: readonly string[], words: readonly string[]): void;
  close(path: readonly string[]): void;
}

function walk(
  data: Data,
  siblings: readonly SchemaNode[],
  path: readonly string[],
  visit: Visit,
  skip: readonly string[] = [],
): void {
  for (const [member, value] of Object.entries(data)) {
    const name = member.slice(member.indexOf(":") + 1);
    if (member.startsWith("@") || skip.includes(name)) continue;
    const schema = findChild(siblings, member);
    if (schema?.kind === "list" && Array.isArray(value)) {
      for (const entry of value) if (isRecord(entry)) walkEntry(entry, schema, name, path, visit);
    } else if (schema?.kind === "leaf-list" && Array.isArray(value)) {
      for (const one of value) visit.leaf([...path, name], schema, formatScalar(one, schema));
    } else if (isRecord(value)) {
      visit.open(path, [name]);
      walk(value, schema?.children ?? [], [...path, name], visit);
      visit.close(path);
    } else visit.leaf([...path, name], schema, formatScalar(value, schema));
  }
}

function walkEntry(
  entry: Data,
  schema: SchemaNode,
  name: string,
  path: readonly string[],
  visit: Visit,
): void {
  const keys = schema.keys.map((key) => {
    const leaf = schema.children.find((child) => child.name === key);
    return formatScalar(entry[key] ?? "", leaf);
  });
  visit.open(path, [name, ...keys]);
  walk(entry, schema.children, [...path, name, ...keys], visit, schema.keys);
  visit.close(path);
}

/** `set interfaces interface eth0 enabled true`, one line for each leaf and each entry without any. */
export function renderSet(
  data: Data,
  roots: readonly SchemaNode[],
  base: readonly string[] = [],
): string[] {
  const lines: string[] = [];
  const opened: { words: readonly string[]; at: number }[] = [];
  walk(data, roots, base, {
    leaf: (path, _schema, value) => {
      const words = value === "" ? path : [...path, value];
      lines.push(`set ${words.map(quoteWord).join(" ")}`);
    },
    open: (path, words) => opened.push({ words: [...path, ...words], at: lines.length }),
    close: () => {
      const last = opened.pop();
      if (last === undefined || last.at < lines.length) return;
      lines.push(`set ${last.words.map(quoteWord).join(" ")}`);
    },
  });
  return lines;
}

/** Braces and indentation, as Junos and VyOS show it. */
export function renderTree(data: Data, roots: readonly SchemaNode[]): string[] {
  const lines: string[] = [];
  let depth = 0;
  const push = (text: string): void => void lines.push(INDENT.repeat(depth) + text);
  walk(data, roots, [], {
    leaf: (path, _schema, value) => {
      const name = path.at(-1) ?? "";
      push(value === "" ? `${name};` : `${name} ${quoteWord(value)};`);
    },
    open: (_path, words) => {
      push(`${words.map(quoteWord).join(" ")} {`);
      depth++;
    },
    close: () => {
      depth--;
      const opened = lines.at(-1) ?? "";
      if (opened.endsWith(" {")) lines[lines.length - 1] = `${opened.slice(0, -2)};`;
      else push("}");
    },
  });
  return lines;
}

/** One table for each list, with its leaves as columns; what is in no list comes as name and value. */
export function renderTable(data: Data, roots: readonly SchemaNode[]): string[] {
  const out: string[] = [];
  const visit = (node: Data, siblings: readonly SchemaNode[], path: readonly string[]): void => {
    const plain: string[][] = [];
    for (const [member, value] of Object.entries(node)) {
      const schema = findChild(siblings, member);
      const name = member.slice(member.indexOf(":") + 1);
      if (Array.isArray(value) && value.every(isRecord) && value.length > 0) {
        out.push(...formatList([...path, name], value, schema));
        for (const entry of value) {
          const keys = schema?.keys.map((key) => formatScalar(entry[key], undefined)) ?? [];
          visit(nestedOf(entry), schema?.children ?? [], [...path, name, ...keys]);
        }
      } else if (isRecord(value)) visit(value, schema?.children ?? [], [...path, name]);
      else plain.push([name, formatCell(value, schema)]);
    }
    if (plain.length > 0) out.push("", path.join(" "), ...alignRows(plain));
  };
  visit(data, roots, []);
  return out[0] === "" ? out.slice(1) : out;
}

function nestedOf(entry: Data): Data {
  const nested = Object.entries(entry).filter(
    ([, value]) => isRecord(value) || (Array.isArray(value) && value.some(isRecord)),
  );
  return Object.fromEntries(nested);
}

function formatCell(value: unknown, schema: SchemaNode | undefined): string {
  if (!Array.isArray(value)) return formatScalar(value, schema);
  if (value.length === 1 && value[0] === null) return "yes";
  return value.map((one) => formatScalar(one, schema)).join(" ");
}

function formatList(
  path: readonly string[],
  entries: readonly Data[],
  schema: SchemaNode | undefined,
): string[] {
  const columns = new Set<string>();
  for (const entry of entries) {
    for (const [member, value] of Object.entries(entry)) {
      const isNested = isRecord(value) || (Array.isArray(value) && value.some(isRecord));
      if (!isNested) columns.add(member);
    }
  }
  const names = [...columns];
  const head = names.map((member) => member.slice(member.indexOf(":") + 1));
  const rows = entries.map((entry) =>
    names.map((member) => {
      const value = entry[member];
      const leaf = findChild(schema?.children ?? [], member);
      return value === undefined ? "-" : formatCell(value, leaf);
    }),
  );
  return ["", path.join(" "), ...alignRows([head, ...rows])];
}

function alignRows(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, index) => {
      widths[index] = Math.max(widths[index] ?? 0, cell.length);
    });
  }
  return rows.map((row) =>
    row
      .map((cell, index) => cell.padEnd(index === row.length - 1 ? 0 : (widths[index] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
}

/** Lines that only one of two has, in the order of the second; `-` goes, `+` comes. */
export function renderDifference(before: readonly string[], after: readonly string[]): string[] {
  const old = new Set(before);
  const next = new Set(after);
  return [
    ...before.filter((line) => !next.has(line)).map((line) => `- ${line.slice(4)}`),
    ...after.filter((line) => !old.has(line)).map((line) => `+ ${line.slice(4)}`),
  ];
}
