/**
 * The gRPC service between a bridge (client) and the controller (server): one call for each VM.
 *
 * Pure, but for the types of grpc-js: frames to bytes and back, the stamp to metadata and back.
 * Source: src/offload-protocol/upstream.proto, which says the same.
 * Limit: FRAME_BYTES_MAX for each frame, NAME_BYTES_MAX for each name in a stamp.
 */
import { Metadata, type ServiceDefinition } from "@grpc/grpc-js";
import { err, ok, type Result } from "../lib/base/result.ts";
import { parseSessionId, type SessionId } from "./framing.ts";
import { MESSAGE_BYTES_MAX } from "./messages.ts";
import { decodeFields, encodeField } from "./protobuf.ts";

/** Limits at which a bridge drops something; `framing` is a broken or oversized chunk or marker. */
export const BRIDGE_LIMITS = [
  "message-bytes",
  "message-rate",
  "byte-rate",
  "framing",
  "upstream-queue",
  "downstream-queue",
] as const;
export type BridgeLimit = (typeof BRIDGE_LIMITS)[number];

export type UpstreamFrame =
  | { readonly kind: "marker"; readonly sessionId: SessionId }
  | { readonly kind: "message"; readonly bytes: Uint8Array }
  | { readonly kind: "serial-up" }
  | { readonly kind: "serial-down" }
  | { readonly kind: "refused-by-limit"; readonly what: BridgeLimit };

/** Who the bridge says a call's serial port belongs to. */
export interface VmStamp {
  readonly tenant: string;
  readonly vm: string;
}

export type UpstreamError = {
  readonly kind: "protobuf-malformed" | "frame-unknown" | "stamp-invalid";
  readonly message: string;
};

/** A message and its field's head. */
export const FRAME_BYTES_MAX: number = MESSAGE_BYTES_MAX + 64;
export const NAME_BYTES_MAX = 64;
export const ATTACH_PATH = "/flowlift.offload.v1.Upstream/Attach";
export const TENANT_KEY = "flowlift-tenant-bin";
export const VM_KEY = "flowlift-vm-bin";

/** Options for the channel and for the server, so that the largest message passes. */
export const UPSTREAM_CHANNEL_OPTIONS: Readonly<Record<string, number>> = {
  "grpc.max_receive_message_length": FRAME_BYTES_MAX,
  "grpc.max_send_message_length": FRAME_BYTES_MAX,
};

const FIELD_MARKER = 1;
const FIELD_MESSAGE = 2;
const FIELD_SERIAL_UP = 3;
const FIELD_SERIAL_DOWN = 4;
const FIELD_REFUSED_BY_LIMIT = 5;
const EMPTY = new Uint8Array(0);

/** Returns the protobuf bytes of a frame. */
export function encodeFrame(frame: UpstreamFrame): Buffer {
  switch (frame.kind) {
    case "marker":
      return encodeField(FIELD_MARKER, Buffer.from(frame.sessionId, "latin1"));
    case "message":
      return encodeField(FIELD_MESSAGE, frame.bytes);
    case "serial-up":
      return encodeField(FIELD_SERIAL_UP, EMPTY);
    case "serial-down":
      return encodeField(FIELD_SERIAL_DOWN, EMPTY);
    case "refused-by-limit":
      return encodeField(FIELD_REFUSED_BY_LIMIT, Buffer.from(frame.what, "latin1"));
  }
}

/** Returns the frame; of several fields of the `oneof` the last counts, unknown ones are passed over. */
export function decodeFrame(bytes: Uint8Array): Result<UpstreamFrame, UpstreamError> {
  const fields = decodeFields(bytes);
  if (!fields.ok) return fields;
  const field = fields.value.findLast(
    ({ number }) => number >= FIELD_MARKER && number <= FIELD_REFUSED_BY_LIMIT,
  );
  switch (field?.number) {
    case FIELD_MARKER: {
      const sessionId = parseSessionId(Buffer.from(field.bytes).toString("latin1"));
      if (sessionId === undefined) return unknownFrame("its marker is not 16 hexadecimal digits");
      return ok({ kind: "marker", sessionId });
    }
    case FIELD_MESSAGE:
      return ok({ kind: "message", bytes: field.bytes });
    case FIELD_SERIAL_UP:
      return ok({ kind: "serial-up" });
    case FIELD_SERIAL_DOWN:
      return ok({ kind: "serial-down" });
    case FIELD_REFUSED_BY_LIMIT: {
      const name = Buffer.from(field.bytes).toString("latin1");
      const what = BRIDGE_LIMITS.find((limit) => limit === name);
      return what === undefined
        ? unknownFrame("it names no known limit")
        : ok({ kind: "refused-by-limit", what });
    }
    default:
      return unknownFrame("it has no known kind");
  }
}

function unknownFrame(why: string): Result<never, UpstreamError> {
  return err({ kind: "frame-unknown", message: `The frame cannot be used: ${why}` });
}

function deserializeFrame(bytes: Buffer): UpstreamFrame {
  const frame = decodeFrame(bytes);
  // grpc-js turns the exception into a status for the peer; it has no other way.
  if (!frame.ok) throw new Error(frame.error.message);
  return frame.value;
}

/** The service, for `Server.addService` and for `Client.makeBidiStreamRequest`. */
export const UPSTREAM_SERVICE: ServiceDefinition = {
  attach: {
    path: ATTACH_PATH,
    requestStream: true,
    responseStream: true,
    requestSerialize: encodeFrame,
    requestDeserialize: deserializeFrame,
    responseSerialize: encodeFrame,
    responseDeserialize: deserializeFrame,
    originalName: "attach",
  },
};

/** Returns the metadata that stamps a call. */
export function stampMetadata(stamp: VmStamp): Metadata {
  const metadata = new Metadata();
  metadata.set(TENANT_KEY, Buffer.from(stamp.tenant, "utf8"));
  metadata.set(VM_KEY, Buffer.from(stamp.vm, "utf8"));
  return metadata;
}

/** Returns the stamp of a call; each name has 1 to NAME_BYTES_MAX bytes. */
export function readStamp(metadata: Metadata): Result<VmStamp, UpstreamError> {
  const tenant = readName(metadata, TENANT_KEY);
  const vm = readName(metadata, VM_KEY);
  if (tenant === undefined || vm === undefined) {
    const message = `The call is not stamped with one "${TENANT_KEY}" and one "${VM_KEY}"`;
    return err({ kind: "stamp-invalid", message });
  }
  return ok({ tenant, vm });
}

function readName(metadata: Metadata, key: string): string | undefined {
  const values = metadata.get(key);
  const value = values.length === 1 ? values[0] : undefined;
  if (!Buffer.isBuffer(value) || value.length === 0) return undefined;
  return value.length > NAME_BYTES_MAX ? undefined : value.toString("utf8");
}
