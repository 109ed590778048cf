/**
 * One HTTP request, as the resources see it: media types, headers, body.
 *
 * Pure. Source: RFC 8040 §3.5.1 to §5.2; RFC 9110 §12 (negotiation).
 */
import type { FastifyRequest } from "fastify";
import type { Result } from "../../lib/base/result.ts";
import { protocolError } from "../../lib/netconf/rpc-error.ts";
import type { SessionEntry } from "../session-registry.ts";
import type { DataRequest } from "./data-request.ts";
import { NS_RESTCONF, type RestError } from "./errors.ts";
import type { Encoding } from "./resource-data.ts";

/** RFC 8040 §3.3.3. */
export const LIBRARY_VERSION = "2019-01-04";
export const YANG_JSON = "application/yang-data+json";
export const YANG_XML = "application/yang-data+xml";
export const PATCH_JSON = "application/yang-patch+json";

export interface Asked {
  readonly session: SessionEntry;
  readonly request: FastifyRequest;
  /** Below the resource's own name, percent-encoded. */
  readonly path: string;
  readonly query: string;
  readonly accepts: Encoding;
}

export function readDataRequest(asked: Asked): Result<DataRequest, RestError> {
  const { request, session, path, query, accepts } = asked;
  const header = (name: string): string | undefined => {
    const value = request.headers[name];
    return typeof value === "string" ? value : undefined;
  };
  const conditions = {
    ifMatch: header("if-match"),
    ifNoneMatch: header("if-none-match"),
    ifModifiedSince: header("if-modified-since"),
    ifUnmodifiedSince: header("if-unmodified-since"),
  };
  const base = { session, path, query, conditions, accepts };
  if (typeof request.body !== "string" || request.body === "") return { ok: true, value: base };
  const encoding = encodingOf(mediaTypeOf(request));
  if (encoding === undefined) {
    const text = `Content-Type must be ${YANG_JSON} or ${YANG_XML}`;
    return { ok: false, error: { error: protocolError("invalid-value", text), status: 415 } };
  }
  return { ok: true, value: { ...base, body: { encoding, text: request.body } } };
}

export function mediaTypeOf(request: FastifyRequest): string {
  return (request.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
}

function encodingOf(type: string): Encoding | undefined {
  if (type === YANG_JSON || type === "application/json" || type === PATCH_JSON) return "json";
  return type === YANG_XML || type === "application/xml" ? "xml" : undefined;
}

/** Returns what to send: JSON unless XML is what the client wants. */
export function negotiate(accept: string | undefined): Encoding | undefined {
  if (accept === undefined) return "json";
  const types = accept.split(",").map((item) => item.split(";")[0]?.trim().toLowerCase() ?? "");
  for (const type of types) {
    const encoding = encodingOf(type);
    if (encoding !== undefined) return encoding;
    if (type === "*/*" || type === "application/*") return "json";
  }
  return undefined;
}

export function formatLibraryVersion(encoding: Encoding): string {
  const name = "yang-library-version";
  if (encoding === "json") return JSON.stringify({ [`ietf-restconf:${name}`]: LIBRARY_VERSION });
  return `<${name} xmlns="${NS_RESTCONF}">${LIBRARY_VERSION}</${name}>`;
}

export function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
