/** Golden vectors of the binding: test/vectors/offload-binding.json, values beside bytes. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import type { RpcError } from "../../src/lib/netconf/rpc-error.ts";
import * as cbor from "../../src/offload-protocol/codec-cbor.ts";
import {
  encodeErrorReply,
  encodeNotification,
  encodeReply,
  encodeRpc,
} from "../../src/offload-protocol/codec-xml.ts";
import { encodeMarker, encodeMessage, type SessionId } from "../../src/offload-protocol/framing.ts";
import { encodeHello, type Hello } from "../../src/offload-protocol/hello.ts";
import type {
  OffloadNotification,
  OffloadReply,
  OffloadRequest,
} from "../../src/offload-protocol/messages.ts";

export type VectorValue =
  | { readonly kind: "marker"; readonly sessionId: SessionId }
  | { readonly kind: "hello"; readonly hello: Hello }
  | { readonly kind: "rpc"; readonly messageId: string; readonly request: OffloadRequest }
  | { readonly kind: "rpc-reply"; readonly messageId: string; readonly reply: OffloadReply }
  | { readonly kind: "rpc-error"; readonly messageId: string; readonly errors: RpcError[] }
  | {
      readonly kind: "notification";
      readonly eventTime: string;
      readonly notification: OffloadNotification;
    };

export interface Vector {
  readonly name: string;
  readonly from: "vm" | "controller" | "either";
  /** Numbers of 64 bits are written as text that ends with "n". */
  readonly value: VectorValue;
  /** The message, without its framing; absent for a marker. */
  readonly xml?: string;
  /** Every byte on the wire. */
  readonly hex: string;
}

export const VECTORS_FILE: string = join(findProjectRoot(), "test/vectors/offload-binding.json");

export function readVectors(): Vector[] {
  const revive = (_: string, value: unknown): unknown =>
    typeof value === "string" && /^\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value;
  return JSON.parse(readFileSync(VECTORS_FILE, "utf8"), revive) as Vector[];
}

/** Writes the file anew from the values alone. */
export function writeVectors(vectors: readonly Vector[]): void {
  const fresh = vectors.map(({ name, from, value }) => {
    const xml = encodeXml(value);
    return { name, from, value, ...(xml === undefined ? {} : { xml }), hex: encodeWire(value) };
  });
  const replace = (_: string, value: unknown): unknown =>
    typeof value === "bigint" ? `${value}n` : value;
  writeFileSync(VECTORS_FILE, `${JSON.stringify(fresh, replace, 2)}\n`);
}

/** Returns the message without framing, or undefined for a marker. */
export function encodeXml(value: VectorValue): string | undefined {
  switch (value.kind) {
    case "marker":
      return undefined;
    case "hello":
      return encodeHello(value.hello).toString();
    case "rpc":
      return encodeRpc(value.messageId, value.request);
    case "rpc-reply":
      return encodeReply(value.messageId, value.reply);
    case "rpc-error":
      return encodeErrorReply(value.messageId, value.errors);
    case "notification":
      return encodeNotification(value.eventTime, value.notification);
  }
}

/** Returns every byte on the wire of a CBOR session, or undefined for what is never CBOR. */
export function encodeCborWire(value: VectorValue): string | undefined {
  const bytes = encodeCbor(value);
  return bytes === undefined ? undefined : encodeMessage(bytes).toString("hex");
}

function encodeCbor(value: VectorValue): Buffer | undefined {
  switch (value.kind) {
    case "rpc":
      return cbor.encodeRpc(value.messageId, value.request);
    case "rpc-reply":
      return cbor.encodeReply(value.messageId, value.reply);
    case "rpc-error":
      return cbor.encodeErrorReply(value.messageId, value.errors);
    case "notification":
      return cbor.encodeNotification(value.eventTime, value.notification);
    default:
      return undefined;
  }
}

/** Returns every byte on the wire, in hexadecimal. */
export function encodeWire(value: VectorValue): string {
  if (value.kind === "marker") return encodeMarker(value.sessionId).toString("hex");
  return encodeMessage(encodeXml(value) ?? "").toString("hex");
}
