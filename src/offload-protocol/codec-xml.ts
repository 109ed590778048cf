/**
 * The messages of the serial port as NETCONF XML: rpc, rpc-reply, notification.
 *
 * Pure: text out, bytes in. Source: RFC 6241 §4, RFC 5277 §4, yang/flowlift-offload.yang.
 * Invariant: what is encoded is valid under the module; what is decoded was checked as the module
 * says (types, ranges, mandatory nodes, keys, counts, `must`), so a message that names a tenant or
 * anything else that the module does not know is refused.
 * Limit: MESSAGE_BYTES_MAX, MESSAGE_ID_CHARACTERS_MAX.
 */
import { isUtf8 } from "node:buffer";
import { err, ok, type Result } from "../lib/base/result.ts";
import {
  attributeError,
  elementError,
  formatRpcError,
  malformedMessage,
  protocolError,
  type RpcError,
} from "../lib/netconf/rpc-error.ts";
import { escapeXml } from "../lib/xml/tree.ts";
import { decodeNotificationBody } from "./decode-notification.ts";
import { decodeReplyBody } from "./decode-reply.ts";
import { decodeRequestBody } from "./decode-request.ts";
import { decodeRpcErrors, type ReceivedRpcError } from "./decode-rpc-error.ts";
import { encodeNotificationBody, encodeReplyBody, encodeRequestBody } from "./encode-message.ts";
import { NETCONF_NAMESPACE, OFFLOAD_NAMESPACE } from "./hello.ts";
import {
  MESSAGE_BYTES_MAX,
  type OffloadNotification,
  type OffloadReply,
  type OffloadRequest,
} from "./messages.ts";
import { failUnknown } from "./xml-failures.ts";
import { nextData } from "./xml-leaf.ts";
import { XmlReader } from "./xml-reader.ts";

export const NOTIFICATION_NAMESPACE = "urn:ietf:params:xml:ns:netconf:notification:1.0";
export const MESSAGE_ID_CHARACTERS_MAX = 64;
export const OFFLOAD_MODULE = "flowlift-offload";

/** Returns an `rpc`. */
export function encodeRpc(messageId: string, request: OffloadRequest): string {
  const head = `<rpc xmlns="${NETCONF_NAMESPACE}" message-id="${escapeXml(messageId)}">`;
  return `${head}${encodeRequestBody(request)}</rpc>`;
}

/** Returns an `rpc-reply`. */
export function encodeReply(messageId: string, reply: OffloadReply): string {
  const body = encodeReplyBody(reply);
  if (body === "") return `${replyHead(messageId)}<ok/></rpc-reply>`;
  return (
    `<nc:rpc-reply xmlns:nc="${NETCONF_NAMESPACE}" xmlns="${OFFLOAD_NAMESPACE}"` +
    ` message-id="${escapeXml(messageId)}">${body}</nc:rpc-reply>`
  );
}

/** Returns an `rpc-reply` with errors; without an id when the `rpc` had none that could be read. */
export function encodeErrorReply(
  messageId: string | undefined,
  errors: readonly RpcError[],
): string {
  const body = errors.map((error) => formatRpcError(error, namespaceOfModule)).join("");
  return `${replyHead(messageId)}${body}</rpc-reply>`;
}

function replyHead(messageId: string | undefined): string {
  const id = messageId === undefined ? "" : ` message-id="${escapeXml(messageId)}"`;
  return `<rpc-reply xmlns="${NETCONF_NAMESPACE}"${id}>`;
}

function namespaceOfModule(module: string): string | undefined {
  return module === OFFLOAD_MODULE ? OFFLOAD_NAMESPACE : undefined;
}

/** Returns a `notification`; `eventTime` is an RFC 3339 date and time. */
export function encodeNotification(eventTime: string, notification: OffloadNotification): string {
  return (
    `<notification xmlns="${NOTIFICATION_NAMESPACE}"><eventTime>${eventTime}</eventTime>` +
    `${encodeNotificationBody(notification)}</notification>`
  );
}

export interface ReceivedRpc {
  readonly messageId: string;
  readonly request: OffloadRequest;
}

/** Why an `rpc` cannot be used; answer with `encodeErrorReply(messageId, [error])`. */
export interface RpcRefusal {
  readonly messageId: string | undefined;
  readonly error: RpcError;
}

/** Reads an `rpc`: the controller's side. */
export function decodeRpc(bytes: Uint8Array): Result<ReceivedRpc, RpcRefusal> {
  const opened = openMessage(bytes);
  if (!opened.ok) return err({ messageId: undefined, error: opened.error });
  const reader = opened.value;
  const root = reader.nextChild();
  if (reader.failure === undefined && (root !== "rpc" || reader.namespace !== NETCONF_NAMESPACE)) {
    reader.fail({ ...malformedMessage(`"${root}" is no rpc`), type: "rpc" });
  }
  const messageId = reader.failure === undefined ? readMessageId(reader, "rpc") : undefined;
  const request = readOperation(reader);
  if (reader.failure !== undefined) return err({ messageId, error: reader.failure });
  if (request === undefined || messageId === undefined) {
    return err({
      messageId,
      error: elementError("missing-element", "rpc", "There is no operation"),
    });
  }
  return ok({ messageId, request });
}

function readOperation(reader: XmlReader): OffloadRequest | undefined {
  const local = reader.nextChild();
  if (local === undefined) return undefined;
  const known = reader.namespace === OFFLOAD_NAMESPACE;
  const [attribute] = reader.attributes;
  if (attribute !== undefined) {
    const [name] = attribute;
    reader.fail(attributeError("unknown-attribute", name, local, `"${name}" is not known here`));
  }
  const request = known ? decodeRequestBody(reader, local) : undefined;
  if (request === undefined) {
    reader.fail(protocolError("operation-not-supported", `There is no operation "${local}"`));
  }
  const second = reader.nextChild();
  if (second !== undefined) failUnknown(reader, second);
  readEnd(reader);
  return request;
}

/** After the root element only comments may follow. */
function readEnd(reader: XmlReader): void {
  if (reader.nextChild() !== undefined) reader.malformed("a second root element");
}

function openMessage(bytes: Uint8Array): Result<XmlReader, RpcError> {
  if (bytes.length > MESSAGE_BYTES_MAX) {
    return err(protocolError("too-big", `A message has more than ${MESSAGE_BYTES_MAX} bytes`));
  }
  if (!isUtf8(bytes)) return err(malformedMessage("The message is not UTF-8"));
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return ok(new XmlReader(buffer.toString("utf8"), OFFLOAD_MODULE));
}

function readMessageId(reader: XmlReader, element: string): string | undefined {
  const id = reader.attributes.find(([name]) => name === "message-id")?.[1];
  if (id === undefined) {
    reader.fail(
      attributeError("missing-attribute", "message-id", element, '"message-id" is missing'),
    );
    return undefined;
  }
  if (id.length <= MESSAGE_ID_CHARACTERS_MAX) return id;
  reader.fail(
    attributeError(
      "bad-attribute",
      "message-id",
      element,
      `"message-id" has more than ${MESSAGE_ID_CHARACTERS_MAX} characters`,
    ),
  );
  return undefined;
}

export type ServerMessage =
  | { readonly kind: "reply"; readonly messageId: string; readonly reply: OffloadReply }
  | {
      readonly kind: "error";
      readonly messageId: string | undefined;
      readonly errors: readonly ReceivedRpcError[];
    }
  | {
      readonly kind: "notification";
      readonly eventTime: string;
      readonly notification: OffloadNotification;
    };

/**
 * Reads what the controller sends: the VM's side. `kindOf` says which operation a message-id was
 * used for; undefined makes the reply an error.
 */
export function decodeServerMessage(
  bytes: Uint8Array,
  kindOf: (messageId: string) => OffloadRequest["kind"] | undefined,
): Result<ServerMessage, RpcError> {
  const opened = openMessage(bytes);
  if (!opened.ok) return opened;
  const reader = opened.value;
  const root = reader.nextChild();
  let message: ServerMessage | undefined;
  if (root === "rpc-reply" && reader.namespace === NETCONF_NAMESPACE) {
    message = readReply(reader, bytes, kindOf);
  } else if (root === "notification" && reader.namespace === NOTIFICATION_NAMESPACE) {
    message = readNotification(reader);
  }
  if (message?.kind === "error") return ok(message); // Read as a tree; the reader stopped early.
  if (reader.failure === undefined && message === undefined) {
    reader.fail(malformedMessage(`"${root}" cannot be used`));
  }
  readEnd(reader);
  if (reader.failure !== undefined || message === undefined) {
    return err(reader.failure ?? malformedMessage("The message cannot be used"));
  }
  return ok(message);
}

function readReply(
  reader: XmlReader,
  bytes: Uint8Array,
  kindOf: (messageId: string) => OffloadRequest["kind"] | undefined,
): ServerMessage | undefined {
  const messageId = reader.attributes.find(([name]) => name === "message-id")?.[1];
  let first = reader.nextChild();
  if (first === "rpc-error" && reader.namespace === NETCONF_NAMESPACE) {
    const errors = decodeRpcErrors(bytes);
    if (!errors.ok) reader.fail(errors.error);
    return errors.ok ? { kind: "error", messageId, errors: errors.value } : undefined;
  }
  const kind = messageId === undefined ? undefined : kindOf(messageId);
  if (messageId === undefined || kind === undefined) {
    reader.fail(protocolError("operation-failed", `No request has the id "${messageId ?? ""}"`));
    return undefined;
  }
  if (first === "ok" && reader.namespace === NETCONF_NAMESPACE) {
    reader.leafText();
    first = nextData(reader);
    if (first !== undefined) failUnknown(reader, first);
  } else if (first !== undefined && reader.namespace !== OFFLOAD_NAMESPACE) {
    reader.fail(protocolError("unknown-namespace", `"${first}" is of another namespace`));
  }
  return { kind: "reply", messageId, reply: decodeReplyBody(reader, kind, first) };
}

function readNotification(reader: XmlReader): ServerMessage | undefined {
  if (reader.nextChild() !== "eventTime" || reader.namespace !== NOTIFICATION_NAMESPACE) {
    reader.fail(elementError("missing-element", "eventTime", '"eventTime" is missing'));
  }
  const eventTime = reader.leafText();
  const local = reader.nextChild();
  if (local !== undefined && reader.namespace !== OFFLOAD_NAMESPACE) failUnknown(reader, local);
  const notification = local === undefined ? undefined : decodeNotificationBody(reader, local);
  if (notification === undefined) {
    reader.fail(protocolError("operation-not-supported", `"${local}" is no notification of ours`));
    return undefined;
  }
  const second = reader.nextChild();
  if (second !== undefined) failUnknown(reader, second);
  return { kind: "notification", eventTime, notification };
}
