/**
 * A request for a data resource, its answer, and what reading and writing have in common.
 *
 * Pure, but for libyang, which makes the keys of a path canonical.
 */
import type { Result } from "../../lib/base/result.ts";
import type { RpcError } from "../../lib/netconf/rpc-error.ts";
import type { EditNode } from "../edit-node.ts";
import type { SessionEntry } from "../session-registry.ts";
import type { Conditions } from "./conditions.ts";
import { notAllowed, type RestError } from "./errors.ts";
import { type Body, type Encoding, type ResourceContext, resolvePath } from "./resource-data.ts";
import { parseResourcePath, type ResourcePath } from "./resource-path.ts";

export interface DataRequest {
  readonly session: SessionEntry;
  /** Below `/restconf/data`, percent-encoded. */
  readonly path: string;
  /** What follows "?". */
  readonly query: string;
  readonly conditions: Conditions;
  readonly accepts: Encoding;
  readonly body?: Body;
}

export interface RestAnswer {
  readonly status: number;
  readonly body?: string;
  /** Below `/restconf/data`: what POST has made. */
  readonly location?: string;
  readonly isConfigOnly?: boolean;
}

export type RestResult = Result<RestAnswer, RestError>;

export function fail(error: RpcError): { readonly ok: false; readonly error: RestError } {
  return { ok: false, error: { error } };
}

/** Reads a path; unknown nodes are resources that do not exist. */
export function readPath(context: ResourceContext, text: string): Result<ResourcePath, RestError> {
  const path = parseResourcePath(context.schema, text);
  if (!path.ok) {
    const isUnknown = path.error.tag === "unknown-element";
    return { ok: false, error: { error: path.error, ...(isUnknown ? { status: 404 } : {}) } };
  }
  if (path.value.action === undefined) return path;
  return { ok: false, error: notAllowed("An action takes POST") };
}

export function resolveNodes(
  context: ResourceContext,
  path: ResourcePath,
): Result<EditNode[], RestError> {
  const chain = resolvePath(context, path);
  return chain.ok ? chain : fail(chain.error);
}
