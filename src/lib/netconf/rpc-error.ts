/**
 * The errors of NETCONF, and the one place that turns our own errors into them.
 *
 * Pure. Source: RFC 6241 §4.3 and Appendix A; RFC 7950 §15 (error-app-tags).
 */
import { describeError, FlowliftError } from "../base/errors.ts";
import { escapeXml } from "../xml/tree.ts";
import { formatErrorPath, type NamespaceOfModule } from "./error-path.ts";
import { NS_NETCONF } from "./names.ts";

export type ErrorType = "transport" | "rpc" | "protocol" | "application";

export type ErrorTag =
  | "in-use"
  | "invalid-value"
  | "too-big"
  | "missing-attribute"
  | "bad-attribute"
  | "unknown-attribute"
  | "missing-element"
  | "bad-element"
  | "unknown-element"
  | "unknown-namespace"
  | "access-denied"
  | "lock-denied"
  | "resource-denied"
  | "rollback-failed"
  | "data-exists"
  | "data-missing"
  | "operation-not-supported"
  | "operation-failed"
  | "malformed-message";

/** One element of `error-info`. */
export interface ErrorInfo {
  readonly name: string;
  readonly text: string;
  /** Absent: the namespace of NETCONF itself. */
  readonly namespace?: string;
}

export interface RpcError {
  readonly type: ErrorType;
  readonly tag: ErrorTag;
  readonly message: string;
  readonly appTag?: string;
  /** Instance path with module names as prefixes, as libyang and RFC 7951 §6.11 write it. */
  readonly path?: string;
  readonly info?: readonly ErrorInfo[];
}

/** An error of the application layer. */
export function applicationError(
  tag: ErrorTag,
  message: string,
  more: Partial<Omit<RpcError, "tag" | "message">> = {},
): RpcError {
  return { type: "application", tag, message, ...more };
}

/** An error in an operation or its parameters. */
export function protocolError(
  tag: ErrorTag,
  message: string,
  more: Partial<Omit<RpcError, "tag" | "message">> = {},
): RpcError {
  return { type: "protocol", tag, message, ...more };
}

/** `missing-element`, `bad-element`, `unknown-element`: they must name the element (Appendix A). */
export function elementError(
  tag: "missing-element" | "bad-element" | "unknown-element",
  element: string,
  message: string,
  more: Partial<Omit<RpcError, "tag" | "message" | "info">> = {},
): RpcError {
  return protocolError(tag, message, { ...more, info: [{ name: "bad-element", text: element }] });
}

/** `missing-attribute`, `bad-attribute`, `unknown-attribute`: they must name both (Appendix A). */
export function attributeError(
  tag: "missing-attribute" | "bad-attribute" | "unknown-attribute",
  attribute: string,
  element: string,
  message: string,
): RpcError {
  const info = [
    { name: "bad-attribute", text: attribute },
    { name: "bad-element", text: element },
  ];
  return protocolError(tag, message, {
    type: attribute === "message-id" ? "rpc" : "protocol",
    info,
  });
}

/** The bytes of a message are no NETCONF message (base 1.1; 1.0 knows only operation-failed). */
export function malformedMessage(message: string): RpcError {
  return { type: "rpc", tag: "malformed-message", message };
}

/** Somebody else holds the lock; session 0 is a holder that is no NETCONF session. */
export function lockDenied(holderSessionId: number, message: string): RpcError {
  const info = [{ name: "session-id", text: String(holderSessionId) }];
  return protocolError("lock-denied", message, { info });
}

/** Somebody else holds a lock that this operation would break. */
export function inUse(holderSessionId: number, message: string): RpcError {
  return protocolError("in-use", message, {
    info: [{ name: "session-id", text: String(holderSessionId) }],
  });
}

/** Maps what an effect threw. Bugs become operation-failed without details: those are in the log. */
export function rpcErrorOf(error: unknown): RpcError {
  if (!(error instanceof FlowliftError)) {
    return applicationError("operation-failed", "The server failed; its log says why");
  }
  const message = describeError(error);
  switch (error.code) {
    case "YANG_INVALID":
      return applicationError("invalid-value", message);
    case "LOCAL_RPC_TIMEOUT":
    case "LOCAL_RPC_CLOSED":
      return applicationError("operation-failed", message, { appTag: "data-process-unavailable" });
    case "STATE_FILE_UNWRITABLE":
      return applicationError("operation-failed", message, { appTag: "storage-failed" });
    default:
      return applicationError("operation-failed", message);
  }
}

/** Returns the `rpc-error` element; the namespace of NETCONF is the default namespace in scope. */
export function formatRpcError(error: RpcError, namespaceOf: NamespaceOfModule): string {
  const parts = [
    `<error-type>${error.type}</error-type>`,
    `<error-tag>${error.tag}</error-tag>`,
    "<error-severity>error</error-severity>",
  ];
  if (error.appTag !== undefined) {
    parts.push(`<error-app-tag>${escapeXml(error.appTag)}</error-app-tag>`);
  }
  if (error.path !== undefined) parts.push(formatErrorPath(error.path, namespaceOf));
  parts.push(`<error-message xml:lang="en">${escapeXml(error.message)}</error-message>`);
  if (error.info !== undefined && error.info.length > 0) {
    const items = error.info.map(({ name, text, namespace }) => {
      const scope = namespace === undefined ? "" : ` xmlns="${escapeXml(namespace)}"`;
      return `<${name}${scope}>${escapeXml(text)}</${name}>`;
    });
    parts.push(`<error-info>${items.join("")}</error-info>`);
  }
  return `<rpc-error>${parts.join("")}</rpc-error>`;
}

/** The form that base 1.0 sessions know: `malformed-message` came with 1.1 (RFC 6241 Appendix A). */
export function inBase10(error: RpcError): RpcError {
  return error.tag === "malformed-message" ? { ...error, tag: "operation-failed" } : error;
}

/** Returns a whole reply for a message that had no usable `rpc` element. */
export function formatBareErrorReply(error: RpcError, namespaceOf: NamespaceOfModule): string {
  return `<rpc-reply xmlns="${NS_NETCONF}">${formatRpcError(error, namespaceOf)}</rpc-reply>`;
}
