/**
 * The path of a data resource: `ietf-interfaces:interfaces/interface=eth0/enabled`.
 *
 * Pure. Source: RFC 8040 §3.5.3 (encoding data resource identifiers in the request URI).
 * Limit: PATH_STEPS_MAX steps.
 */
import { err, ok, type Result } from "../../lib/base/result.ts";
import { protocolError, type RpcError } from "../../lib/netconf/rpc-error.ts";
import type { Schema, SchemaNode, SchemaOperation } from "../schema.ts";

export const PATH_STEPS_MAX = 128;

export interface ResourceStep {
  readonly schema: SchemaNode;
  /** The key values of a list entry, or the value of a leaf-list entry; empty for a whole list. */
  readonly keys: readonly string[];
}

export interface ResourcePath {
  /** Empty: the datastore itself. */
  readonly steps: readonly ResourceStep[];
  /** An action below the last step. */
  readonly action: SchemaOperation | undefined;
}

const NAME = /^(?:([A-Za-z_][\w.-]*):)?([A-Za-z_][\w.-]*)$/;

/** Reads a path as it stands in the URI, still percent-encoded. */
export function parseResourcePath(schema: Schema, text: string): Result<ResourcePath, RpcError> {
  const parts = text.split("/").filter((part) => part !== "");
  if (parts.length > PATH_STEPS_MAX) return bad(`The path has more than ${PATH_STEPS_MAX} steps`);
  const steps: ResourceStep[] = [];
  for (const [index, part] of parts.entries()) {
    const above = steps.at(-1)?.schema;
    const split = splitStep(part);
    if (!split.ok) return split;
    const { module, name, keys } = split.value;
    if (above === undefined && module === undefined) {
      return bad(`"${name}" needs the name of its module: "module:${name}"`);
    }
    const found = findChild(schema, above, module, name);
    if (found === undefined) {
      const action = findAction(above, module, name);
      if (action !== undefined && index === parts.length - 1) return ok({ steps, action });
      return err(unknown(module === undefined ? name : `${module}:${name}`, above));
    }
    const problem = checkKeys(found, keys, index === parts.length - 1);
    if (problem !== undefined) return bad(problem);
    steps.push({ schema: found, keys: keys ?? [] });
  }
  return ok({ steps, action: undefined });
}

function unknown(name: string, above: SchemaNode | undefined): RpcError {
  const place = above === undefined ? "at the top" : `in "${above.name}"`;
  return protocolError("unknown-element", `There is no "${name}" ${place}`, {
    info: [{ name: "bad-element", text: name }],
  });
}

function bad<T>(message: string): Result<T, RpcError> {
  return err(protocolError("invalid-value", message));
}

interface SplitStep {
  readonly module: string | undefined;
  readonly name: string;
  readonly keys: readonly string[] | undefined;
}

function splitStep(part: string): Result<SplitStep, RpcError> {
  const at = part.indexOf("=");
  const head = decode(at < 0 ? part : part.slice(0, at));
  const match = head === undefined ? null : NAME.exec(head);
  if (match === null) return bad(`"${part}" is no step of a path`);
  const [, module, name = ""] = match;
  if (at < 0) return ok({ module, name, keys: undefined });
  const keys: string[] = [];
  for (const value of part.slice(at + 1).split(",")) {
    const decoded = decode(value);
    if (decoded === undefined) return bad(`"${value}" is not percent-encoded UTF-8`);
    keys.push(decoded);
  }
  return ok({ module, name, keys });
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function findChild(
  schema: Schema,
  above: SchemaNode | undefined,
  module: string | undefined,
  name: string,
): SchemaNode | undefined {
  const siblings = above === undefined ? schema.roots : above.children;
  const wanted = module ?? above?.module;
  return siblings.get(name)?.find((node) => node.module === wanted);
}

function findAction(
  above: SchemaNode | undefined,
  module: string | undefined,
  name: string,
): SchemaOperation | undefined {
  const wanted = module ?? above?.module;
  return above?.operations?.find(
    (operation) =>
      operation.kind === "action" && operation.name === name && operation.module === wanted,
  );
}

/** Returns what is wrong with a step's keys. Only the last step may be a whole list. */
function checkKeys(
  schema: SchemaNode,
  keys: readonly string[] | undefined,
  isLast: boolean,
): string | undefined {
  if (schema.kind === "list") {
    if (keys === undefined) {
      return isLast
        ? undefined
        : `List "${schema.name}" needs its keys: "${formatExample(schema)}"`;
    }
    if (keys.length === schema.keys.length) return undefined;
    return `List "${schema.name}" has ${schema.keys.length} keys: "${formatExample(schema)}"`;
  }
  if (schema.kind === "leaf-list") {
    if (keys === undefined || keys.length === 1) return undefined;
    return `Percent-encode commas in the value of leaf-list "${schema.name}" ("%2C")`;
  }
  return keys === undefined ? undefined : `"${schema.name}" is no list and takes no "="`;
}

function formatExample(schema: SchemaNode): string {
  return `${schema.name}=${schema.keys.map((key) => `{${key}}`).join(",")}`;
}

/** Whether the path names one instance and not a whole list. */
export function isOneInstance({ steps }: ResourcePath): boolean {
  const last = steps.at(-1);
  const isMany = last?.schema.kind === "list" || last?.schema.kind === "leaf-list";
  return !isMany || last.keys.length > 0;
}
