import { expect, test } from "vitest";
import { decodeRpc, decodeServerMessage } from "../../src/offload-protocol/codec-xml.ts";
import { encodeMarker, FrameDecoder, type SessionId } from "../../src/offload-protocol/framing.ts";
import { decodeHello } from "../../src/offload-protocol/hello.ts";
import type { OffloadRequest } from "../../src/offload-protocol/messages.ts";
import { encodeWire, encodeXml, readVectors, type VectorValue, writeVectors } from "./vectors.ts";

if (process.env["UPDATE_EXPECTED"] === "1") {
  if (process.env["CI"] !== undefined) throw new Error("Expected values are not written in CI");
  writeVectors(readVectors());
}
const VECTORS = readVectors();

/** Reads a message back as the value of a vector. */
function decodeMessage(value: VectorValue, bytes: Buffer): unknown {
  switch (value.kind) {
    case "marker":
      return undefined;
    case "hello": {
      const hello = decodeHello(bytes);
      if (!hello.ok) return hello;
      const { capabilities: _, ...rest } = hello.value;
      return { kind: "hello", hello: rest };
    }
    case "rpc": {
      const rpc = decodeRpc(bytes);
      return rpc.ok ? { kind: "rpc", ...rpc.value } : rpc;
    }
    default: {
      const kind = value.kind === "rpc-reply" ? value.reply.kind : undefined;
      const message = decodeServerMessage(bytes, () => kind);
      if (!message.ok) return message;
      const names = { reply: "rpc-reply", error: "rpc-error", notification: "notification" };
      return { ...message.value, kind: names[message.value.kind] };
    }
  }
}

test("there is a vector for each kind of message of each operation", () => {
  const kinds = new Set(
    VECTORS.map(({ value }) => {
      if (value.kind === "rpc") return `rpc ${value.request.kind}`;
      if (value.kind === "rpc-reply") return `rpc-reply ${value.reply.kind}`;
      if (value.kind === "notification") return `notification ${value.notification.kind}`;
      return value.kind;
    }),
  );
  const operations: OffloadRequest["kind"][] = [
    "request-offload",
    "withdraw-offload",
    "update-offload",
    "get-flows",
    "renew-lease",
    "acknowledge-events",
  ];
  for (const operation of operations) {
    expect(kinds).toContain(`rpc ${operation}`);
    expect(kinds).toContain(`rpc-reply ${operation}`);
  }
  for (const kind of ["marker", "hello", "rpc-error"]) expect(kinds).toContain(kind);
  for (const kind of ["flow-events", "flow-statistics", "credit"]) {
    expect(kinds).toContain(`notification ${kind}`);
  }
});

test.each(VECTORS)("vector $name: the value has these bytes", ({ value, xml, hex }) => {
  expect(encodeXml(value)).toBe(xml);
  expect(encodeWire(value)).toBe(hex);
});

test.each(VECTORS)("vector $name: the bytes have this value", ({ value, hex }) => {
  const decoder = new FrameDecoder();
  if (value.kind !== "marker") decoder.push(encodeMarker("0000000000000000" as SessionId));
  const [item, ...rest] = decoder.push(Buffer.from(hex, "hex"));
  expect(rest).toEqual([]);
  if (value.kind === "marker") expect(item).toEqual(value);
  else if (value.kind === "rpc-error") {
    expect(item?.kind === "message" && decodeMessage(value, item.bytes)).toMatchObject({
      messageId: value.messageId,
      errors: value.errors.map(({ tag, message }) => ({ tag, message })),
    });
  } else expect(item?.kind === "message" && decodeMessage(value, item.bytes)).toEqual(value);
});
