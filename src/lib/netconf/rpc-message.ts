/**
 * The envelope of a request and of its reply.
 *
 * Pure. Source: RFC 6241 §4.1 (rpc), §4.2 (rpc-reply repeats the attributes of its rpc).
 */
import { err, ok, type Result } from "../base/result.ts";
import { attributeOf, escapeXml, parseXml, type XmlElement } from "../xml/tree.ts";
import type { NamespaceOfModule } from "./error-path.ts";
import { NS_NETCONF } from "./names.ts";
import {
  attributeError,
  elementError,
  formatRpcError,
  malformedMessage,
  protocolError,
  type RpcError,
} from "./rpc-error.ts";

/** A request whose envelope is right. */
export interface RpcRequest {
  /** The `rpc` element itself, for its attributes and the namespaces in scope. */
  readonly rpc: XmlElement;
  readonly operation: XmlElement;
}

/** Why a message is no request; `rpc` is there when its attributes can still be repeated. */
export interface RpcRequestError {
  readonly kind: "rpc-malformed";
  readonly error: RpcError;
  readonly rpc?: XmlElement;
}

/** Reads one message of a client. */
export function parseRpc(message: Uint8Array): Result<RpcRequest, RpcRequestError> {
  const parsed = parseXml(message);
  if (!parsed.ok) {
    return err({ kind: "rpc-malformed", error: malformedMessage(parsed.error.message) });
  }
  const rpc = parsed.value;
  if (rpc.local !== "rpc" || rpc.namespace !== NS_NETCONF) {
    const error = malformedMessage(`The message is a "${rpc.local}", not an rpc of NETCONF`);
    return err({ kind: "rpc-malformed", error });
  }
  const fail = (error: RpcError): Result<RpcRequest, RpcRequestError> =>
    err({ kind: "rpc-malformed", error, rpc });
  if (attributeOf(rpc, "message-id") === undefined) {
    const text = "The rpc has no message-id";
    return fail(attributeError("missing-attribute", "message-id", "rpc", text));
  }
  const [operation, second] = rpc.children;
  if (operation === undefined) {
    return fail(
      protocolError("missing-element", "The rpc names no operation", {
        type: "rpc",
        info: [{ name: "bad-element", text: "rpc" }],
      }),
    );
  }
  if (second !== undefined) {
    return fail(elementError("bad-element", second.local, "The rpc names two operations"));
  }
  return ok({ rpc, operation });
}

/** Returns the reply around `body`, with the attributes and prefixes of the request. */
export function formatReply(rpc: XmlElement | undefined, body: string): string {
  const scope: string[] = [`xmlns="${NS_NETCONF}"`];
  for (const [prefix, namespace] of Object.entries(rpc?.declared ?? {})) {
    // The reply's own element names need the default namespace.
    if (prefix !== "") scope.push(`xmlns:${prefix}="${escapeXml(namespace)}"`);
  }
  for (const { name, prefix, value } of rpc?.attributes ?? []) {
    if (name !== "xmlns" && prefix !== "xmlns") scope.push(`${name}="${escapeAttribute(value)}"`);
  }
  return `<rpc-reply ${scope.join(" ")}>${body}</rpc-reply>`;
}

/** Line ends and tabs as references: a parser would turn them into spaces (XML 1.0 §3.3.3). */
function escapeAttribute(value: string): string {
  return escapeXml(value)
    .replaceAll("\n", "&#10;")
    .replaceAll("\r", "&#13;")
    .replaceAll("\t", "&#9;");
}

/** Returns the body of a reply that refuses. */
export function formatErrorBody(
  errors: readonly RpcError[],
  namespaceOf: NamespaceOfModule,
): string {
  return errors.map((error) => formatRpcError(error, namespaceOf)).join("");
}

export const OK_BODY = "<ok/>";
