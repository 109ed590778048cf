/**
 * Query parameters of data resources.
 *
 * Pure. Source: RFC 8040 §4.8. Every parameter is known, allowed for the method, and there once.
 */
import { err, ok, type Result } from "../../lib/base/result.ts";
import { protocolError, type RpcError } from "../../lib/netconf/rpc-error.ts";
import type { WithDefaults } from "../../lib/yang/data-tree.ts";

export const DEPTH_MAX = 65_535;
export const FIELDS_BYTES_MAX = 4096;

/** What a `fields` expression selects below one node; undefined: everything. */
export interface FieldTree {
  readonly children: ReadonlyMap<string, FieldTree | undefined>;
}

export interface ReadQuery {
  readonly content: "config" | "nonconfig" | "all";
  /** Undefined: unbounded. */
  readonly depth: number | undefined;
  readonly fields: FieldTree | undefined;
  readonly withDefaults: WithDefaults | undefined;
}

export interface WriteQuery {
  readonly insert: "first" | "last" | "before" | "after" | undefined;
  /** The path of the other entry, as in the URI. */
  readonly point: string | undefined;
}

const READ_NAMES: ReadonlySet<string> = new Set(["content", "depth", "fields", "with-defaults"]);
const WRITE_NAMES: ReadonlySet<string> = new Set(["insert", "point"]);
const DEFAULT_MODES = ["report-all", "report-all-tagged", "trim", "explicit"] as const;

type Raw = ReadonlyMap<string, string>;

function refuse<T>(message: string): Result<T, RpcError> {
  return err(protocolError("invalid-value", message));
}

/** Splits a query; `allowed` are the method's parameters. */
function readRaw(text: string, allowed: ReadonlySet<string>): Result<Raw, RpcError> {
  const values = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(text.replaceAll("+", "%2B"))) {
    if (!allowed.has(name)) return refuse(`Query parameter "${name}" is not for this method`);
    if (values.has(name)) return refuse(`Query parameter "${name}" is there twice`);
    values.set(name, value);
  }
  return ok(values);
}

/** Reads the query of GET and HEAD. */
export function parseReadQuery(text: string): Result<ReadQuery, RpcError> {
  const raw = readRaw(text, READ_NAMES);
  if (!raw.ok) return raw;
  const content = raw.value.get("content") ?? "all";
  if (content !== "config" && content !== "nonconfig" && content !== "all") {
    return refuse(`content is "config", "nonconfig" or "all", not "${content}"`);
  }
  const depth = readDepth(raw.value.get("depth"));
  if (!depth.ok) return depth;
  const fieldsText = raw.value.get("fields");
  const fields = fieldsText === undefined ? ok(undefined) : parseFields(fieldsText);
  if (!fields.ok) return fields;
  const mode = raw.value.get("with-defaults");
  const withDefaults = DEFAULT_MODES.find((known) => known === mode);
  if (mode !== undefined && withDefaults === undefined) {
    return refuse(`with-defaults is one of ${DEFAULT_MODES.join(", ")}, not "${mode}"`);
  }
  return ok({ content, depth: depth.value, fields: fields.value, withDefaults });
}

function readDepth(text: string | undefined): Result<number | undefined, RpcError> {
  if (text === undefined || text === "unbounded") return ok(undefined);
  const depth = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (depth >= 1 && depth <= DEPTH_MAX) return ok(depth);
  return refuse(`depth is "unbounded" or 1 to ${DEPTH_MAX}, not "${text}"`);
}

/** Reads the query of POST and PUT. */
export function parseWriteQuery(text: string): Result<WriteQuery, RpcError> {
  const raw = readRaw(text, WRITE_NAMES);
  if (!raw.ok) return raw;
  const insert = raw.value.get("insert");
  const point = raw.value.get("point");
  const known = (["first", "last", "before", "after"] as const).find((one) => one === insert);
  if (insert !== undefined && known === undefined) {
    return refuse(`insert is "first", "last", "before" or "after", not "${insert}"`);
  }
  const needsPoint = known === "before" || known === "after";
  if (needsPoint && point === undefined) return refuse(`insert=${insert} needs "point"`);
  if (!needsPoint && point !== undefined) return refuse('"point" needs insert=before or after');
  return ok({ insert: known, point });
}

/** Refuses every parameter, for methods that take none. */
export function parseNoQuery(text: string): Result<undefined, RpcError> {
  const raw = readRaw(text, new Set());
  return raw.ok ? ok(undefined) : raw;
}

/** RFC 8040 §4.8.3: `path "(" expr ")" [";" expr]`, `path ";" expr`, `path`. */
export function parseFields(text: string): Result<FieldTree, RpcError> {
  if (Buffer.byteLength(text) > FIELDS_BYTES_MAX) {
    return refuse(`fields has more than ${FIELDS_BYTES_MAX} bytes`);
  }
  const parser = new FieldParser(text);
  const tree = parser.readList();
  if (tree === undefined || !parser.isAtEnd) {
    return refuse(`fields: cannot read "${text}" from place ${parser.place} on`);
  }
  return ok(tree);
}

type GrowingTree = { readonly children: Map<string, GrowingTree | undefined> };

class FieldParser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  get place(): number {
    return this.#at;
  }

  readList(): GrowingTree | undefined {
    const tree: GrowingTree = { children: new Map() };
    do {
      if (!this.#readItem(tree)) return undefined;
    } while (this.#take(";"));
    return tree;
  }

  #readItem(tree: GrowingTree): boolean {
    let level = tree;
    for (;;) {
      const name = /^(?:[A-Za-z_][\w.-]*:)?[A-Za-z_][\w.-]*/.exec(this.#text.slice(this.#at))?.[0];
      if (name === undefined) return false;
      this.#at += name.length;
      if (this.#take("/")) {
        level = descend(level, name);
      } else if (this.#take("(")) {
        const below = this.readList();
        if (below === undefined || !this.#take(")")) return false;
        const known = descend(level, name);
        for (const [key, value] of below.children) known.children.set(key, value);
        return true;
      } else {
        level.children.set(name, undefined);
        return true;
      }
    }
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }
}

function descend(level: GrowingTree, name: string): GrowingTree {
  const known = level.children.get(name);
  if (known !== undefined) return known;
  const fresh: GrowingTree = { children: new Map() };
  level.children.set(name, fresh);
  return fresh;
}
