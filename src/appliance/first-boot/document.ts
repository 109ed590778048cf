/**
 * A first-boot document as a tree in which each value knows its line.
 *
 * Pure. Source: YAML 1.2, of which JSON is a part. Anchors, aliases, tags and several documents are refused:
 * no source of these documents writes them, and aliases can be made to grow without end.
 * Limit: DOCUMENT_BYTES_MAX, NODES_MAX, DEPTH_MAX.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseAllDocuments } from "yaml";
import type { ProblemList } from "./report.ts";

export const DOCUMENT_BYTES_MAX: number = 1024 * 1024;
export const NODES_MAX = 20_000;
export const DEPTH_MAX = 32;

/** A value with its place. */
export interface Value {
  readonly line: number;
  /** For messages: `ethernets.inside.mtu`. */
  readonly path: string;
  readonly scalar: string | number | boolean | null | undefined;
  readonly members: ReadonlyMap<string, Value> | undefined;
  readonly items: readonly Value[] | undefined;
}

interface Reading {
  readonly lines: LineCounter;
  readonly fail: (line: number | undefined, message: string) => undefined;
  nodes: number;
}

/** Returns the tree; undefined when there is none, or the text cannot be used, which is then told. */
export function readDocument(name: string, text: string, problems: ProblemList): Value | undefined {
  const lines = new LineCounter();
  const fail = (line: number | undefined, message: string): undefined =>
    problems.add(name, line, message);
  if (Buffer.byteLength(text) > DOCUMENT_BYTES_MAX) {
    return fail(undefined, `it has more than ${DOCUMENT_BYTES_MAX} bytes; make it smaller`);
  }
  const options = {
    strict: true,
    uniqueKeys: true,
    lineCounter: lines,
    logLevel: "silent",
  } as const;
  const documents = parseAllDocuments(text, options);
  if (!Array.isArray(documents) || documents.length === 0) return undefined;
  if (documents.length > 1) return fail(undefined, "it holds several YAML documents; keep one");
  const [document] = documents;
  const [error] = document?.errors ?? [];
  if (error !== undefined) {
    const [reason = ""] = error.message.split(" at line ");
    return fail(lines.linePos(error.pos[0]).line, `no valid YAML: ${reason}`);
  }
  const root = document?.contents;
  if (root === null || root === undefined) return undefined;
  return convert(root as Node, "", 0, { lines, fail, nodes: 0 });
}

function convert(node: Node, path: string, depth: number, reading: Reading): Value | undefined {
  const line = reading.lines.linePos(node.range?.[0] ?? 0).line;
  if (++reading.nodes > NODES_MAX) return reading.fail(line, `more than ${NODES_MAX} values`);
  if (depth > DEPTH_MAX) return reading.fail(line, `nested deeper than ${DEPTH_MAX}`);
  if (isAlias(node)) return reading.fail(line, "aliases are not supported; write the value again");
  const place = { line, path, scalar: undefined, members: undefined, items: undefined };
  if (isScalar(node)) return { ...place, scalar: readScalar(node.value) };
  if (isSeq(node)) {
    const items: Value[] = [];
    for (const [index, item] of node.items.entries()) {
      const value = convert(item as Node, `${path}[${index}]`, depth + 1, reading);
      if (value === undefined) return undefined;
      items.push(value);
    }
    return { ...place, items };
  }
  if (!isMap(node)) return reading.fail(line, "a value of this kind is not supported");
  return convertMap(node.items, { ...place, path }, depth, reading);
}

function convertMap(
  pairs: readonly { readonly key: unknown; readonly value: unknown }[],
  place: Value,
  depth: number,
  reading: Reading,
): Value | undefined {
  const members = new Map<string, Value>();
  for (const { key, value } of pairs) {
    if (!isScalar(key)) return reading.fail(place.line, "a key is not a text");
    const name = String(key.value);
    const below = place.path === "" ? name : `${place.path}.${name}`;
    const keyLine = reading.lines.linePos(key.range?.[0] ?? 0).line;
    const child =
      value === null
        ? { ...place, line: keyLine, path: below, scalar: null }
        : convert(value as Node, below, depth + 1, reading);
    if (child === undefined) return undefined;
    members.set(name, { ...child, line: child.scalar === undefined ? keyLine : child.line });
  }
  return { ...place, members };
}

function readScalar(value: unknown): string | number | boolean | null {
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
    return value;
  }
  return value === null || value === undefined ? null : String(value);
}

/** Reads the members of one document, and tells what does not fit. */
export class DocumentReader {
  readonly #name: string;
  readonly #problems: ProblemList;

  constructor(name: string, problems: ProblemList) {
    this.#name = name;
    this.#problems = problems;
  }

  fail(at: Value, message: string): undefined {
    const where = at.path === "" ? "" : `${at.path}: `;
    return this.#problems.add(this.#name, at.line, `${where}${message}`);
  }

  /** Returns the members of a mapping; null counts as empty. */
  map(at: Value | undefined): ReadonlyMap<string, Value> {
    if (at === undefined || at.scalar === null) return new Map();
    if (at.members === undefined) this.fail(at, "this must be a mapping (key: value)");
    return at.members ?? new Map();
  }

  list(at: Value | undefined): readonly Value[] {
    if (at === undefined || at.scalar === null) return [];
    if (at.items === undefined) this.fail(at, "this must be a list");
    return at.items ?? [];
  }

  /** Returns a text; a number that stands where a text belongs is taken as written. */
  text(at: Value | undefined): string | undefined {
    if (at === undefined || at.scalar === null) return undefined;
    if (typeof at.scalar === "string") return at.scalar;
    if (typeof at.scalar === "number") return String(at.scalar);
    return this.fail(at, "this must be a text");
  }

  flag(at: Value | undefined): boolean | undefined {
    if (at === undefined || at.scalar === null) return undefined;
    if (typeof at.scalar === "boolean") return at.scalar;
    // YAML 1.1's words, which cloud-init's documents still use.
    if (at.scalar === "yes" || at.scalar === "on") return true;
    if (at.scalar === "no" || at.scalar === "off") return false;
    return this.fail(at, "this must be true or false");
  }

  integer(at: Value | undefined, min: number, max: number): number | undefined {
    if (at === undefined || at.scalar === null) return undefined;
    const value = typeof at.scalar === "string" ? Number(at.scalar) : at.scalar;
    if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) {
      return value;
    }
    return this.fail(at, `this must be a whole number from ${min} to ${max}`);
  }

  /** Tells each member that is in neither list. `ignored` ones mean nothing to an appliance. */
  refuseUnknown(
    members: ReadonlyMap<string, Value>,
    known: readonly string[],
    ignored: readonly string[] = [],
  ): void {
    for (const [name, value] of members) {
      if (!known.includes(name) && !ignored.includes(name)) {
        this.fail(value, `"${name}" is not supported; remove it`);
      }
    }
  }
}
