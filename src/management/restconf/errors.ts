/**
 * RpcError as RESTCONF tells it: status code and `ietf-restconf:errors`.
 *
 * Pure. Source: RFC 8040 §7 (table of status codes), §7.1 (body).
 */
import type { ErrorTag, RpcError } from "../../lib/netconf/rpc-error.ts";
import { escapeXml } from "../../lib/xml/tree.ts";

export const NS_RESTCONF = "urn:ietf:params:xml:ns:yang:ietf-restconf";

const STATUS: Readonly<Record<ErrorTag, number>> = {
  "in-use": 409,
  "invalid-value": 400,
  "too-big": 413,
  "missing-attribute": 400,
  "bad-attribute": 400,
  "unknown-attribute": 400,
  "missing-element": 400,
  "bad-element": 400,
  "unknown-element": 400,
  "unknown-namespace": 400,
  "access-denied": 403,
  "lock-denied": 409,
  "resource-denied": 409,
  "rollback-failed": 500,
  "data-exists": 409,
  "data-missing": 409,
  "operation-not-supported": 501,
  "operation-failed": 500,
  "malformed-message": 400,
};

/** An error with the status that its place gives it, when that is not its tag's. */
export interface RestError {
  readonly error: RpcError;
  readonly status?: number;
}

export function statusOf({ error, status }: RestError): number {
  return status ?? STATUS[error.tag];
}

/** The target resource is not there (§7: 404). */
export function notFound(message: string): RestError {
  return { error: { type: "application", tag: "invalid-value", message }, status: 404 };
}

/** The method is not for this resource (§7: 405). */
export function notAllowed(message: string): RestError {
  return { error: { type: "protocol", tag: "operation-not-supported", message }, status: 405 };
}

/** A condition of the request does not hold (§3.4.1: 412). */
export function conditionFailed(message: string): RestError {
  return { error: { type: "application", tag: "operation-failed", message }, status: 412 };
}

/** RFC 7951 form of one error. */
export function describeRpcError(error: RpcError): Record<string, unknown> {
  return {
    "error-type": error.type,
    "error-tag": error.tag,
    ...(error.appTag === undefined ? {} : { "error-app-tag": error.appTag }),
    ...(error.path === undefined ? {} : { "error-path": error.path }),
    "error-message": error.message,
    ...(error.info === undefined || error.info.length === 0
      ? {}
      : { "error-info": Object.fromEntries(error.info.map(({ name, text }) => [name, text])) }),
  };
}

export function formatErrorsJson(errors: readonly RpcError[]): string {
  return JSON.stringify({ "ietf-restconf:errors": { error: errors.map(describeRpcError) } });
}

export function formatErrorsXml(
  errors: readonly RpcError[],
  namespaceOf: (module: string) => string | undefined,
): string {
  const parts = errors.map((error) => `<error>${formatMembers(error, namespaceOf)}</error>`);
  return `<errors xmlns="${NS_RESTCONF}">${parts.join("")}</errors>`;
}

function formatMembers(
  error: RpcError,
  namespaceOf: (module: string) => string | undefined,
): string {
  const parts = [`<error-type>${error.type}</error-type>`, `<error-tag>${error.tag}</error-tag>`];
  if (error.appTag !== undefined) {
    parts.push(`<error-app-tag>${escapeXml(error.appTag)}</error-app-tag>`);
  }
  if (error.path !== undefined) {
    const modules = new Set([...error.path.matchAll(/[/[]([\w.-]+):/g)].map((match) => match[1]));
    const scope = [...modules].map(
      (module) => ` xmlns:${module}="${escapeXml(namespaceOf(module ?? "") ?? "")}"`,
    );
    parts.push(`<error-path${scope.join("")}>${escapeXml(error.path)}</error-path>`);
  }
  parts.push(`<error-message>${escapeXml(error.message)}</error-message>`);
  const info = (error.info ?? []).map(({ name, text }) => `<${name}>${escapeXml(text)}</${name}>`);
  if (info.length > 0) parts.push(`<error-info>${info.join("")}</error-info>`);
  return parts.join("");
}
