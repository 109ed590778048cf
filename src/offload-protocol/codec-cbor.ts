/**
 * The messages of the serial port in CBOR: what codec-xml.ts says in XML, with the same results.
 *
 *   rpc           [0, message-id, {SID: input}]
 *   rpc-reply     [1, message-id, {SID: output}], or null in place of the map for "ok"
 *   rpc-error     [2, message-id or null, [error, …]]
 *   notification  [3, event-time, {SID: content}]
 *
 * Pure. Source: RFC 9254; docs/offload-binding.md, "CBOR". What a strict reader refuses is said again in XML,
 * so that the reason is found where reasons of XML messages are found.
 * Limit: MESSAGE_BYTES_MAX, MESSAGE_ID_CHARACTERS_MAX.
 */
import { err, ok, type Result } from "../lib/base/result.ts";
import { malformedMessage, protocolError, type RpcError } from "../lib/netconf/rpc-error.ts";
import { escapeXml } from "../lib/xml/tree.ts";
import { type FlowPlaces, readRequest } from "./cbor-decode-request.ts";
import { readNotification, readReply } from "./cbor-decode-server.ts";
import { writeNotification, writeReply, writeRequest } from "./cbor-encode-message.ts";
import { CBOR_REFUSED, CborReader } from "./cbor-reader.ts";
import { readErrors, writeErrors } from "./cbor-rpc-error.ts";
import { SID_OF_NOTIFICATION, SID_OF_RPC } from "./cbor-sids.ts";
import { operationToXml } from "./cbor-to-xml.ts";
import { CborWriter } from "./cbor-writer.ts";
import {
  decodeRpc as decodeXmlRpc,
  encodeErrorReply as encodeXmlErrorReply,
  MESSAGE_ID_CHARACTERS_MAX,
  type ReceivedRpc,
  type RpcRefusal,
  type ServerMessage,
} from "./codec-xml.ts";
import { decodeRpcErrors } from "./decode-rpc-error.ts";
import { NETCONF_NAMESPACE } from "./hello.ts";
import {
  MESSAGE_BYTES_MAX,
  type OffloadNotification,
  type OffloadReply,
  type OffloadRequest,
} from "./messages.ts";

const RPC = 0;
/** The first byte of every message, an array of three, and the second of answers. */
export const CBOR_ENVELOPE = 0x83;
export const CBOR_REPLY = 1;
export const CBOR_ERROR = 2;
const NOTIFICATION = 3;
const ENVELOPE_ITEMS = 3;
/** Head of the array, kind, head of the map, SID. */
const ENVELOPE_BYTES = 32;

const KIND_OF_RPC: ReadonlyMap<number, OffloadRequest["kind"]> = invert(SID_OF_RPC);
const KIND_OF_NOTIFICATION: ReadonlyMap<number, OffloadNotification["kind"]> =
  invert(SID_OF_NOTIFICATION);

function invert<K extends string>(sids: Readonly<Record<K, number>>): ReadonlyMap<number, K> {
  return new Map(Object.entries(sids).map(([kind, sid]) => [sid as number, kind as K]));
}

/** One buffer for all: a message is copied out before the next begins. */
const shared = new CborWriter();

function begin(kind: number, label: string | undefined, sid: number | undefined): CborWriter {
  shared.begin();
  shared.reserve(ENVELOPE_BYTES);
  shared.array(ENVELOPE_ITEMS);
  shared.uint(kind);
  if (label === undefined) shared.null();
  else shared.text(label);
  if (sid === undefined) return shared;
  shared.reserve(ENVELOPE_BYTES);
  shared.map(1);
  shared.uint(sid);
  return shared;
}

/** Returns an `rpc`. */
export function encodeRpc(messageId: string, request: OffloadRequest): Buffer {
  const writer = begin(RPC, messageId, SID_OF_RPC[request.kind]);
  writeRequest(writer, request);
  return writer.finish();
}

/** Returns an `rpc-reply`. */
export function encodeReply(messageId: string, reply: OffloadReply): Buffer {
  if (reply.kind === "acknowledge-events") {
    const writer = begin(CBOR_REPLY, messageId, undefined);
    writer.reserve(1);
    writer.null();
    return writer.finish();
  }
  const writer = begin(CBOR_REPLY, messageId, SID_OF_RPC[reply.kind]);
  writeReply(writer, reply);
  return writer.finish();
}

/** Returns an `rpc-reply` with errors, which say what those of XML say. */
export function encodeErrorReply(
  messageId: string | undefined,
  errors: readonly RpcError[],
): Buffer {
  const said = decodeRpcErrors(Buffer.from(encodeXmlErrorReply(messageId, errors)));
  const writer = begin(CBOR_ERROR, messageId, undefined);
  writeErrors(writer, said.ok ? said.value : []);
  return writer.finish();
}

/** Returns a `notification`; `eventTime` is an RFC 3339 date and time. */
export function encodeNotification(eventTime: string, notification: OffloadNotification): Buffer {
  const writer = begin(NOTIFICATION, eventTime, SID_OF_NOTIFICATION[notification.kind]);
  writeNotification(writer, notification);
  return writer.finish();
}

/** Why a CBOR `rpc` cannot be used; `xml` says the same message, when one can. */
export interface CborRefusal extends RpcRefusal {
  readonly xml?: Buffer;
}

const MALFORMED: RpcError = malformedMessage("The message is not the CBOR of this binding");

/** Reads an `rpc`: the controller's side. `places` is told where its flows stand. */
export function decodeRpc(
  bytes: Uint8Array,
  places?: FlowPlaces,
): Result<ReceivedRpc, CborRefusal> {
  if (bytes.length > MESSAGE_BYTES_MAX) {
    const error = protocolError("too-big", `A message has more than ${MESSAGE_BYTES_MAX} bytes`);
    return err({ messageId: undefined, error });
  }
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return attempt(() => ok(readRpc(new CborReader(buffer), places))) ?? err(explainRpc(buffer));
}

/** Returns undefined where the reader refuses. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (reason) {
    if (reason !== CBOR_REFUSED) throw reason;
    return undefined;
  }
}

function readRpc(reader: CborReader, places?: FlowPlaces): ReceivedRpc {
  openEnvelope(reader, RPC);
  const messageId = readMessageId(reader);
  if (reader.map() !== 1) reader.refuse();
  const kind = KIND_OF_RPC.get(reader.key());
  if (kind === undefined) return reader.refuse();
  const request = readRequest(reader, kind, places);
  reader.end();
  return { messageId, request };
}

function openEnvelope(reader: CborReader, kind: number): void {
  if (reader.array() !== ENVELOPE_ITEMS || reader.key() !== kind) reader.refuse();
}

function readMessageId(reader: CborReader): string {
  const messageId = reader.text();
  if (messageId.length > MESSAGE_ID_CHARACTERS_MAX) reader.refuse();
  return messageId;
}

/** Finds the reason by the same message in XML. */
function explainRpc(bytes: Buffer): CborRefusal {
  const reader = new CborReader(bytes);
  const id: { messageId: string | undefined } = { messageId: undefined };
  const xml = attempt(() => {
    openEnvelope(reader, RPC);
    const messageId = reader.text();
    if (messageId.length <= MESSAGE_ID_CHARACTERS_MAX) id.messageId = messageId;
    const body = operationToXml(reader);
    reader.end();
    const head = `<rpc xmlns="${NETCONF_NAMESPACE}" message-id="${escapeXml(messageId)}">`;
    return Buffer.from(`${head}${body}</rpc>`);
  });
  const { messageId } = id;
  if (xml === undefined) return { messageId, error: MALFORMED };
  const judged = decodeXmlRpc(xml);
  // Right in XML: only its encoding is wrong.
  return judged.ok ? { messageId, error: MALFORMED } : { ...judged.error, xml };
}

/**
 * Reads what the controller sends: the virtual machine's side. `kindOf` says which operation a message-id
 * was used for; undefined makes the reply an error.
 */
export function decodeServerMessage(
  bytes: Uint8Array,
  kindOf: (messageId: string) => OffloadRequest["kind"] | undefined,
): Result<ServerMessage, RpcError> {
  if (bytes.length > MESSAGE_BYTES_MAX) {
    return err(protocolError("too-big", `A message has more than ${MESSAGE_BYTES_MAX} bytes`));
  }
  const reader = new CborReader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const message = attempt(() => {
    const read = readServerMessage(reader, kindOf);
    if (typeof read !== "string") reader.end();
    return read;
  });
  if (message === undefined) return err(MALFORMED);
  if (typeof message !== "string") return ok(message);
  return err(protocolError("operation-failed", `No request has the id "${message}"`));
}

/** Returns the message, or a message-id that nobody used. */
function readServerMessage(
  reader: CborReader,
  kindOf: (messageId: string) => OffloadRequest["kind"] | undefined,
): ServerMessage | string {
  if (reader.array() !== ENVELOPE_ITEMS) reader.refuse();
  switch (reader.key()) {
    case CBOR_REPLY: {
      const messageId = readMessageId(reader);
      const kind = kindOf(messageId);
      return kind === undefined ? messageId : readReplyOf(reader, messageId, kind);
    }
    case CBOR_ERROR: {
      const messageId = reader.isNull ? undefined : readMessageId(reader);
      if (messageId === undefined) reader.null();
      return { kind: "error", messageId, errors: readErrors(reader) };
    }
    case NOTIFICATION: {
      const eventTime = reader.text();
      if (reader.map() !== 1) reader.refuse();
      const kind = KIND_OF_NOTIFICATION.get(reader.key());
      if (kind === undefined) return reader.refuse();
      return { kind: "notification", eventTime, notification: readNotification(reader, kind) };
    }
    default:
      return reader.refuse();
  }
}

function readReplyOf(
  reader: CborReader,
  messageId: string,
  kind: OffloadReply["kind"],
): ServerMessage {
  if (kind === "acknowledge-events") {
    reader.null();
    return { kind: "reply", messageId, reply: { kind } };
  }
  if (reader.map() !== 1 || reader.key() !== SID_OF_RPC[kind]) reader.refuse();
  return { kind: "reply", messageId, reply: readReply(reader, kind) };
}
