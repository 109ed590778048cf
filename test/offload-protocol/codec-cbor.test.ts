/** CBOR says what XML says: the same values, and the same errors. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { DEPTH_MAX } from "../../src/offload-protocol/cbor-to-xml.ts";
import * as cbor from "../../src/offload-protocol/codec-cbor.ts";
import * as xml from "../../src/offload-protocol/codec-xml.ts";
import { codecOf } from "../../src/offload-protocol/message-codec.ts";
import type { OffloadRequest } from "../../src/offload-protocol/messages.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";
import * as arbitrary from "./arbitraries.ts";
import { brokenRequests, completeRequests } from "./broken-requests.ts";
import { xmlToCbor } from "./xml-to-cbor.ts";

/** Random cases; `flowlift test --full` runs many more. */
const RUNS = campaignSize(200, 20_000);
const TIME = "2026-11-21T00:00:00Z";

test(`a request reads the same from both encodings (${RUNS} cases)`, campaignOptions(), () => {
  fc.assert(
    fc.property(arbitrary.request, (request) => {
      const rpc = cbor.decodeRpc(cbor.encodeRpc("a<&é", request));
      expect(rpc).toEqual({ ok: true, value: { messageId: "a<&é", request } });
      expect(rpc).toEqual(xml.decodeRpc(Buffer.from(xml.encodeRpc("a<&é", request))));
    }),
    { numRuns: RUNS },
  );
});

test(`a reply reads the same from both encodings (${RUNS} cases)`, campaignOptions(), () => {
  fc.assert(
    fc.property(arbitrary.reply, (reply) => {
      const message = cbor.decodeServerMessage(cbor.encodeReply("7", reply), () => reply.kind);
      expect(message).toEqual({ ok: true, value: { kind: "reply", messageId: "7", reply } });
      const text = Buffer.from(xml.encodeReply("7", reply));
      expect(message).toEqual(xml.decodeServerMessage(text, () => reply.kind));
    }),
    { numRuns: RUNS },
  );
});

test(`a notification reads the same from both encodings (${RUNS} cases)`, campaignOptions(), () => {
  fc.assert(
    fc.property(arbitrary.notification, (notification) => {
      const bytes = cbor.encodeNotification(TIME, notification);
      const message = cbor.decodeServerMessage(bytes, () => undefined);
      const value = { kind: "notification", eventTime: TIME, notification };
      expect(message).toEqual({ ok: true, value });
      const text = Buffer.from(xml.encodeNotification(TIME, notification));
      expect(message).toEqual(xml.decodeServerMessage(text, () => undefined));
    }),
    { numRuns: RUNS },
  );
});

const BROKEN = brokenRequests().flatMap((broken) => {
  const bytes = xmlToCbor(broken.xml);
  return bytes === undefined ? [] : [{ ...broken, bytes }];
});

test("a complete request said again in CBOR is what the encoder writes", () => {
  for (const request of completeRequests()) {
    const said = xmlToCbor(xml.encodeRpc("1", request)) ?? Buffer.alloc(0);
    const read = cbor.decodeRpc(said);
    expect(read).toEqual({ ok: true, value: { messageId: "1", request } });
  }
});

test("each leaf broken once is refused with the error that XML is refused with", () => {
  expect(BROKEN.length).toBeGreaterThan(500);
  const wrong = BROKEN.flatMap(({ name, xml: text, bytes }) => {
    const inXml = xml.decodeRpc(Buffer.from(text));
    const inCbor = cbor.decodeRpc(bytes);
    if (inXml.ok || inCbor.ok) return [`${name}: accepted`];
    const { xml: _, ...found } = inCbor.error;
    const isSame = JSON.stringify(found) === JSON.stringify(inXml.error);
    return isSame ? [] : [`${name}: ${JSON.stringify(found)}, not ${JSON.stringify(inXml.error)}`];
  });
  expect(wrong).toEqual([]);
});

test("errors read the same from both encodings", () => {
  const errors = BROKEN.slice(0, 200).flatMap(({ bytes }) => {
    const refused = cbor.decodeRpc(bytes);
    return refused.ok ? [] : [refused.error.error];
  });
  for (const id of ["5", undefined]) {
    const bytes = cbor.encodeErrorReply(id, errors);
    const text = Buffer.from(xml.encodeErrorReply(id, errors));
    const message = cbor.decodeServerMessage(bytes, () => "get-flows");
    expect(message).toEqual(xml.decodeServerMessage(text, () => "get-flows"));
    expect(message).toMatchObject({ ok: true, value: { kind: "error" } });
  }
});

test("every proper beginning of a message is refused, and so is a byte after its end", () => {
  for (const request of completeRequests()) {
    const bytes = cbor.encodeRpc("1", request);
    for (let end = 0; end < bytes.length; end++) {
      expect(cbor.decodeRpc(bytes.subarray(0, end)).ok).toBe(false);
    }
    expect(cbor.decodeRpc(Buffer.concat([bytes, Buffer.of(0)])).ok).toBe(false);
  }
});

test(`what is accepted with one byte changed is right in XML too (${RUNS} cases)`, () => {
  const damaged = fc.tuple(arbitrary.request, fc.nat(), fc.nat(255)).map(([request, at, byte]) => {
    const message = cbor.encodeRpc("1", request);
    message[at % message.length] = byte;
    return message;
  });
  let accepted = 0;
  fc.assert(
    fc.property(damaged, (bytes) => {
      const read = cbor.decodeRpc(bytes);
      if (!read.ok) return;
      accepted++;
      const { messageId, request } = read.value;
      const again = xml.decodeRpc(Buffer.from(xml.encodeRpc(messageId, request)));
      expect(again).toEqual(read);
    }),
    { numRuns: RUNS },
  );
  expect(accepted).toBeGreaterThan(0);
});

/** Wrong in CBOR alone: a strict reader takes one form of each value. */
const NOT_STRICT: readonly (readonly [name: string, hex: string])[] = [
  ["a long form of a small integer", "8300613" + "1a119eac8a1031801"],
  ["an array of indefinite length", "9f006131a119eac8a10301ff"],
  ["a tag", "83006131a119eac8a103c101"],
  ["a floating-point number", "83006131a119eac8a103f93c00"],
  ["a number as text", "83006131a119eac8a1036131"],
  ["a name in place of a SID", "83006131a16b72656e65772d6c65617365a0"],
  ["two operations", "83006131a219eac8a1030119eac8a10301"],
  ["four items", "84006131a119eac8a1030100"],
];

test("a value in another form than the one that this binding has is refused", () => {
  const right = Buffer.from("83006131a119eb28a10301", "hex");
  expect(cbor.decodeRpc(right)).toEqual({
    ok: true,
    value: { messageId: "1", request: { kind: "acknowledge-events", sequence: 1n } },
  });
  for (const [name, hex] of NOT_STRICT) {
    const bytes = Buffer.from(hex.replace("19eac8", "19eb28"), "hex");
    expect({ name, ok: cbor.decodeRpc(bytes).ok }).toEqual({ name, ok: false });
  }
});

test("no message of the largest request is longer than its flows' bounds say", () => {
  const text = "&".repeat(64);
  const rules = Array.from({ length: 8 }, (_, index) => ({
    attachment: `${index}${"&".repeat(63)}`,
    direction: "ingress" as const,
    name: text,
  }));
  fc.assert(
    fc.property(arbitrary.flow, (flow) => {
      const worst = { ...flow, rules };
      const request: OffloadRequest = {
        kind: "request-offload",
        epoch: "0123456789abcdef" as never,
        flows: [worst],
      };
      for (const codec of [codecOf("xml"), codecOf("cbor")]) {
        const { length } = codec.encodeRpc("1", request);
        expect(length).toBeLessThan(codec.flowBytesMax(worst) + 256);
      }
    }),
    { numRuns: 50 },
  );
});

/** `renew-lease` with its epoch inside of `depth` maps. */
function nested(depth: number): Buffer {
  const head = Buffer.from("83006131a119eb23", "hex");
  const open = Buffer.from("a103".repeat(depth), "hex");
  return Buffer.concat([head, open, Buffer.from("00", "hex")]);
}

test("a message that goes deeper than anything of ours is malformed at once", () => {
  for (const depth of [DEPTH_MAX - 1, DEPTH_MAX, DEPTH_MAX + 1, 100_000]) {
    const read = cbor.decodeRpc(nested(depth));
    const tag = read.ok ? "accepted" : read.error.error.tag;
    expect({ depth, tag }).toEqual({
      depth,
      tag: depth < DEPTH_MAX ? "bad-element" : "malformed-message",
    });
  }
});
