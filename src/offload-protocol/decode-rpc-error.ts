/**
 * The errors of an `rpc-reply`, for the side that asked.
 *
 * Pure. Source: RFC 6241 §4.3. Rare, so read as a tree.
 */
import { err, ok, type Result } from "../lib/base/result.ts";
import { malformedMessage, type RpcError } from "../lib/netconf/rpc-error.ts";
import { childrenOf, parseXml, textOf, type XmlElement } from "../lib/xml/tree.ts";

/** What a peer reported; the tag is its word, not checked against the closed list. */
export interface ReceivedRpcError {
  readonly type: string;
  readonly tag: string;
  readonly message: string;
  readonly appTag?: string;
  readonly path?: string;
  /** Names and texts of `error-info`. */
  readonly info: readonly { readonly name: string; readonly text: string }[];
}

/** Returns the errors of a whole `rpc-reply`. */
export function decodeRpcErrors(bytes: Uint8Array): Result<ReceivedRpcError[], RpcError> {
  const root = parseXml(bytes);
  if (!root.ok) return err(malformedMessage(root.error.message));
  return ok(childrenOf(root.value, "rpc-error").map(readError));
}

function readError(element: XmlElement): ReceivedRpcError {
  const appTag = textOf(element, "error-app-tag");
  const path = textOf(element, "error-path");
  return {
    type: textOf(element, "error-type") ?? "",
    tag: textOf(element, "error-tag") ?? "",
    message: textOf(element, "error-message") ?? "",
    ...(appTag === undefined ? {} : { appTag }),
    ...(path === undefined ? {} : { path }),
    info: childrenOf(element, "error-info").flatMap((info) =>
      info.children.map((child) => ({ name: child.local, text: child.text.trim() })),
    ),
  };
}
