/**
 * Reads RFC 7951 data that libyang has already validated.
 *
 * Pure. Types are settled by the schema, so a wrong one reads as absent; what the schema allows and the
 * appliance cannot do is collected as `ConfigProblem`.
 */
import type { ConfigProblem } from "./provider.ts";

export type DataNode = Readonly<Record<string, unknown>>;

const EMPTY: DataNode = {};

function isNode(value: unknown): value is DataNode {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Returns a container; an absent one is empty. */
export function childNode(node: DataNode, name: string): DataNode {
  const value = node[name];
  return isNode(value) ? value : EMPTY;
}

/** Returns a container, or undefined when it is absent. */
export function optionalNode(node: DataNode, name: string): DataNode | undefined {
  const value = node[name];
  return isNode(value) ? value : undefined;
}

/** Returns a list's entries. */
export function childList(node: DataNode, name: string): readonly DataNode[] {
  const value = node[name];
  return Array.isArray(value) ? value.filter(isNode) : [];
}

/** Returns a leaf of text. */
export function readText(node: DataNode, name: string): string | undefined {
  const value = node[name];
  return typeof value === "string" ? value : undefined;
}

/** Returns a leaf-list of text. */
export function readTexts(node: DataNode, name: string): readonly string[] {
  const value = node[name];
  return Array.isArray(value)
    ? value.filter((item): item is string => typeof item === "string")
    : [];
}

/** Returns a number, written as one or (64 bits) as text. */
export function readNumber(node: DataNode, name: string): number | undefined {
  const value = node[name];
  if (typeof value === "number") return value;
  return typeof value === "string" && /^-?\d+$/.test(value) ? Number(value) : undefined;
}

/** Returns a boolean leaf; `absent` when it is not there. */
export function readBoolean(node: DataNode, name: string, absent: boolean): boolean {
  const value = node[name];
  return typeof value === "boolean" ? value : absent;
}

/** Returns an identity's name without the module. */
export function readIdentity(node: DataNode, name: string): string | undefined {
  return readText(node, name)?.split(":").at(-1);
}

/** Returns an instance path's list step; the key is quoted as in RFC 7950 §9.13. */
export function listStep(list: string, key: string, value: string): string {
  const quote = value.includes("'") ? '"' : "'";
  return `${list}[${key}=${quote}${value}${quote}]`;
}

/** Collects what cannot be carried out. */
export class ProblemCollector {
  readonly #problems: ConfigProblem[] = [];

  add(path: string, message: string): undefined {
    this.#problems.push({ kind: "config-not-applicable", path, message });
  }

  get first(): ConfigProblem | undefined {
    return this.#problems[0];
  }

  /** Refuses every member of `node` that is not in `known`: nothing is accepted and then ignored. */
  refuseUnknown(node: DataNode, path: string, known: readonly string[]): void {
    for (const name of Object.keys(node)) {
      if (!known.includes(name) && !name.startsWith("@")) {
        this.add(`${path}/${name}`, `"${name}" is not supported`);
      }
    }
  }
}
