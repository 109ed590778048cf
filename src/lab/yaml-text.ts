/**
 * YAML as a way to write RFC 7951 data: turned into JSON text of which each line knows its YAML line.
 *
 * Pure. Anchors and aliases work; merge keys, tags and several documents do not.
 * Limit: YAML_BYTES_MAX, NODES_MAX after aliases are followed, DEPTH_MAX.
 */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
} from "yaml";
import { err, ok, type Result } from "../lib/base/result.ts";

export const YAML_BYTES_MAX: number = 1024 * 1024;
export const NODES_MAX = 100_000;
export const DEPTH_MAX = 64;

export interface YamlProblem {
  readonly kind: "yaml-invalid";
  /** From 1. */
  readonly line: number;
  readonly reason: string;
}

/** JSON text, and for each of its lines the YAML line it comes from. */
export class YamlText {
  readonly json: string;
  readonly #yamlLines: readonly number[];
  readonly #root: YamlNode;

  constructor(json: string, yamlLines: readonly number[], root: YamlNode) {
    this.json = json;
    this.#yamlLines = yamlLines;
    this.#root = root;
  }

  /** Returns the YAML line of a line of the JSON text; both from 1. */
  lineOfJsonLine(line: number): number {
    return this.#yamlLines[line - 1] ?? this.#yamlLines.at(-1) ?? 1;
  }

  /** Returns the YAML line of an instance path, or of the nearest node above that exists. */
  lineOfPath(path: string): number {
    let node = this.#root;
    for (const { name, predicates } of parsePath(path)) {
      const child = node.members.get(name) ?? node.members.get(name.replace(/^[^:]*:/, ""));
      if (child === undefined) break;
      node = child.items.length === 0 ? child : (selectItem(child, predicates) ?? child);
    }
    return node.line;
  }
}

interface YamlNode {
  readonly line: number;
  readonly value: unknown;
  readonly members: Map<string, YamlNode>;
  readonly items: YamlNode[];
}

interface Step {
  readonly name: string;
  /** Key name (or "." or "") and value; an empty name is a position from 1. */
  readonly predicates: readonly (readonly [string, string])[];
}

function parsePath(path: string): Step[] {
  const steps: Step[] = [];
  const step = /\/([^/[]+)((?:\[(?:[^\]'"]|'[^']*'|"[^"]*")*\])*)/gy;
  for (const match of path.matchAll(step)) {
    const predicates = [
      ...(match[2] ?? "").matchAll(/\[(?:([^\]=]+)=)?(?:'([^']*)'|"([^"]*)"|(\d+))\]/g),
    ];
    steps.push({
      name: match[1] ?? "",
      predicates: predicates.map((found) => [
        (found[1] ?? "").replace(/^[^:]*:/, ""),
        found[2] ?? found[3] ?? found[4] ?? "",
      ]),
    });
  }
  return steps;
}

function selectItem(list: YamlNode, predicates: Step["predicates"]): YamlNode | undefined {
  return list.items.find((item, index) =>
    predicates.every(([key, value]) => {
      if (key === "") return index === Number(value) - 1;
      const found = key === "." ? item : item.members.get(key);
      return found !== undefined && String(found.value) === value;
    }),
  );
}

/** Reads one YAML document whose top is a mapping. */
export function parseYamlText(text: string): Result<YamlText, YamlProblem> {
  if (Buffer.byteLength(text) > YAML_BYTES_MAX) {
    return problem(1, `The file is longer than ${YAML_BYTES_MAX} bytes`);
  }
  const lineCounter = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter, prettyErrors: false, version: "1.2" });
  const [document, second] = documents as Document[];
  if (document === undefined || document.contents === null) return problem(1, "The file is empty");
  if (second !== undefined) return problem(1, "The file holds more than one document");
  const [error] = document.errors;
  if (error !== undefined) {
    return problem(lineCounter.linePos(error.pos[0]).line, error.message.split("\n")[0] ?? "");
  }
  if (!isMap(document.contents)) return problem(1, "The top of the file is no mapping");
  return new Converter(document, lineCounter).convert(document.contents);
}

function problem(line: number, reason: string): Result<never, YamlProblem> {
  return err({ kind: "yaml-invalid", line, reason });
}

class ConversionFailure extends Error {
  readonly line: number;

  constructor(line: number, reason: string) {
    super(reason);
    this.line = line;
  }
}

class Converter {
  readonly #document: Document;
  readonly #lineCounter: LineCounter;
  readonly #jsonLines: string[] = [];
  readonly #yamlLines: number[] = [];
  #nodeCount = 0;

  constructor(document: Document, lineCounter: LineCounter) {
    this.#document = document;
    this.#lineCounter = lineCounter;
  }

  convert(contents: Node): Result<YamlText, YamlProblem> {
    try {
      this.#startLine(1, "");
      const root = this.#write(contents, 1, 0);
      return ok(new YamlText(this.#jsonLines.join("\n"), this.#yamlLines, root));
    } catch (error) {
      if (error instanceof ConversionFailure) return problem(error.line, error.message);
      throw error;
    }
  }

  #startLine(line: number, text: string): void {
    this.#jsonLines.push(text);
    this.#yamlLines.push(line);
  }

  #append(text: string): void {
    this.#jsonLines[this.#jsonLines.length - 1] += text;
  }

  #lineOf(node: Node, fallback: number): number {
    const offset = node.range?.[0];
    return offset === undefined ? fallback : this.#lineCounter.linePos(offset).line;
  }

  #write(node: Node | null, lineAbove: number, depth: number): YamlNode {
    const line = node === null ? lineAbove : this.#lineOf(node, lineAbove);
    this.#nodeCount++;
    if (this.#nodeCount > NODES_MAX) {
      throw new ConversionFailure(line, `The file has more than ${NODES_MAX} values`);
    }
    if (depth > DEPTH_MAX) {
      throw new ConversionFailure(line, `The file nests deeper than ${DEPTH_MAX}`);
    }
    if (node !== null && isAlias(node)) return this.#writeAlias(node, line, depth);
    const here: YamlNode = { line, value: undefined, members: new Map(), items: [] };
    if (node !== null && isMap(node)) {
      this.#append("{");
      for (const [index, pair] of node.items.entries()) {
        this.#writePair(pair.key as Node, pair.value as Node | null, here, index, depth);
      }
      this.#append("}");
      return here;
    }
    if (node !== null && isSeq(node)) {
      this.#append("[");
      for (const [index, item] of node.items.entries()) {
        if (index > 0) this.#append(",");
        this.#startLine(this.#lineOf(item as Node, line), "");
        here.items.push(this.#write(item as Node, line, depth + 1));
      }
      this.#append("]");
      return here;
    }
    return this.#writeScalar(node, here);
  }

  #writeAlias(node: Node, line: number, depth: number): YamlNode {
    const target = isAlias(node) ? node.resolve(this.#document) : undefined;
    if (target === undefined) throw new ConversionFailure(line, "The alias names no anchor");
    return this.#write(target, line, depth + 1);
  }

  #writePair(key: Node, value: Node | null, owner: YamlNode, index: number, depth: number): void {
    const line = this.#lineOf(key, owner.line);
    if (!isScalar(key) || typeof key.value !== "string") {
      throw new ConversionFailure(line, "A name in a mapping is not a plain word");
    }
    if (index > 0) this.#append(",");
    this.#startLine(line, `${JSON.stringify(key.value)}:`);
    const child = this.#write(value, line, depth + 1);
    owner.members.set(key.value, { ...child, line });
  }

  #writeScalar(node: Node | null, here: YamlNode): YamlNode {
    const value = node !== null && isScalar(node) ? node.value : null;
    const simple =
      value === null || typeof value === "string" || typeof value === "boolean"
        ? true
        : typeof value === "number" && Number.isFinite(value);
    if (!simple) throw new ConversionFailure(here.line, "The value has no JSON form");
    this.#append(JSON.stringify(value));
    return { ...here, value };
  }
}
