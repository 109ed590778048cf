/**
 * The encodings of the serial port behind one interface.
 *
 * Pure. Both say the same values; a test compares them pairwise.
 */
import type { Result } from "../lib/base/result.ts";
import type { RpcError } from "../lib/netconf/rpc-error.ts";
import { FLOW_BYTES_MAX, rulesBytesMax } from "./cbor-flow.ts";
import * as cbor from "./codec-cbor.ts";
import * as xml from "./codec-xml.ts";
import { xmlRulesBytes } from "./encode-flow.ts";
import type { Encoding } from "./hello.ts";
import type {
  FlowRule,
  OffloadFlow,
  OffloadNotification,
  OffloadReply,
  OffloadRequest,
} from "./messages.ts";

export interface MessageCodec {
  readonly encoding: Encoding;
  encodeRpc(messageId: string, request: OffloadRequest): Uint8Array;
  encodeReply(messageId: string, reply: OffloadReply): Uint8Array;
  encodeErrorReply(messageId: string | undefined, errors: readonly RpcError[]): Uint8Array;
  encodeNotification(eventTime: string, notification: OffloadNotification): Uint8Array;
  decodeServerMessage(
    bytes: Uint8Array,
    kindOf: (messageId: string) => OffloadRequest["kind"] | undefined,
  ): Result<xml.ServerMessage, RpcError>;
  /** How many bytes a flow takes at most in a message, on the wire, with counters beside it. */
  flowBytesMax(flow: OffloadFlow): number;
}

/** More than a flow in XML takes with its widest numbers and addresses, but for its rules; with counters. */
export const XML_FLOW_BYTES_MAX = 3_072;
/** Numbers may be escaped: twice their bytes. */
const CBOR_FLOW_BYTES_MAX: number = 2 * FLOW_BYTES_MAX;

/** Sizes of rules: flows of one rule list share it. */
function remember(
  measure: (rules: readonly FlowRule[]) => number,
): (rules: readonly FlowRule[]) => number {
  const known = new WeakMap<readonly FlowRule[], number>();
  return (rules) => {
    if (rules.length === 0) return 0;
    let bytes = known.get(rules);
    if (bytes === undefined) {
      bytes = measure(rules);
      known.set(rules, bytes);
    }
    return bytes;
  };
}

const xmlRules = remember(xmlRulesBytes);
const cborRules = remember(rulesBytesMax);

const XML: MessageCodec = {
  encoding: "xml",
  encodeRpc: (messageId, request) => Buffer.from(xml.encodeRpc(messageId, request)),
  encodeReply: (messageId, reply) => Buffer.from(xml.encodeReply(messageId, reply)),
  encodeErrorReply: (messageId, errors) => Buffer.from(xml.encodeErrorReply(messageId, errors)),
  encodeNotification: (eventTime, notification) =>
    Buffer.from(xml.encodeNotification(eventTime, notification)),
  decodeServerMessage: xml.decodeServerMessage,
  flowBytesMax: (flow) => XML_FLOW_BYTES_MAX + xmlRules(flow.rules),
};

const CBOR: MessageCodec = {
  encoding: "cbor",
  encodeRpc: cbor.encodeRpc,
  encodeReply: cbor.encodeReply,
  encodeErrorReply: cbor.encodeErrorReply,
  encodeNotification: cbor.encodeNotification,
  decodeServerMessage: cbor.decodeServerMessage,
  flowBytesMax: (flow) => CBOR_FLOW_BYTES_MAX + cborRules(flow.rules),
};

/** Returns the codec of an encoding. */
export function codecOf(encoding: Encoding): MessageCodec {
  return encoding === "cbor" ? CBOR : XML;
}
