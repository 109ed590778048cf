import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EndOfMessageDecoder, encodeEndOfMessage } from "../../src/lib/netconf/end-of-message.ts";
import { ChunkDecoder, encodeChunked, type MessageDecoder } from "../../src/lib/netconf/framing.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";

/** Random cases; `flowlift test --full` runs many more. */
const RUNS = campaignSize(200, 50_000);

const LIMITS = { chunkBytesMax: 100, messageBytesMax: 250 };

/** Feeds the bytes in pieces of `pieceBytes`; returns messages as text, or the error's kind. */
function feed(decoder: MessageDecoder, bytes: Uint8Array, pieceBytes: number): string[] | string {
  const messages: string[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const pushed = decoder.push(bytes.subarray(at, at + pieceBytes));
    if (!pushed.ok) return pushed.error.kind;
    messages.push(...pushed.value.map((message) => message.toString()));
  }
  return messages;
}

describe("ChunkDecoder", () => {
  test("decodes RFC 6242 §4.2's example at every cut of the stream", () => {
    const bytes = Buffer.from(
      '\n#4\n<rpc\n#18\n message-id="102"\n\n#79\n     xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">\n' +
        "  <close-session/>\n</rpc>\n##\n",
    );
    for (let piece = 1; piece <= bytes.length; piece++) {
      const messages = feed(
        new ChunkDecoder({ chunkBytesMax: 200, messageBytesMax: 200 }),
        bytes,
        piece,
      );
      expect(messages).toHaveLength(1);
      expect(messages[0]).toMatch(/^<rpc message-id="102"\n {5}xmlns=.*<\/rpc>$/s);
    }
  });

  test.each([
    ["one below the chunk bound", `\n#99\n${"x".repeat(99)}\n##\n`, ["x".repeat(99)]],
    ["at the chunk bound", `\n#100\n${"x".repeat(100)}\n##\n`, ["x".repeat(100)]],
    ["one above the chunk bound", "\n#101\n", "chunk-too-big"],
    ["a size that would wrap 32 bits", "\n#4294967297\n", "chunk-too-big"],
    ["a size without end", `\n#${"9".repeat(400)}`, "chunk-too-big"],
    ["a size of zero", "\n#0\n", "framing-malformed"],
    ["a leading zero", "\n#04\nabcd\n##\n", "framing-malformed"],
    ["a negative size", "\n#-1\n", "framing-malformed"],
    ["a hexadecimal size", "\n#1f\n", "framing-malformed"],
    ["no size", "\n#\n", "framing-malformed"],
    ["an end without a chunk", "\n##\n", "framing-malformed"],
    ["carriage returns", "\r\n#4\r\n", "framing-malformed"],
    ["end-of-message framing", "<rpc/>]]>]]>", "framing-malformed"],
    ["three hashes", "\n#1\nx\n###\n", "framing-malformed"],
  ])("handles %s", (_name, text, expected) => {
    expect(feed(new ChunkDecoder(LIMITS), Buffer.from(text), 7)).toEqual(expected);
  });

  test.each([
    [249, ["x".repeat(249)]],
    [250, ["x".repeat(250)]],
    [251, "message-too-big"],
  ])("bounds a message of %i bytes in small chunks", (bytes, expected) => {
    const encoded = encodeChunked("x".repeat(bytes), 100);
    expect(feed(new ChunkDecoder(LIMITS), encoded, 64)).toEqual(expected);
  });

  test("stays broken after an error until reset()", () => {
    const decoder = new ChunkDecoder(LIMITS);
    expect(decoder.push(Buffer.from("x")).ok).toBe(false);
    expect(decoder.push(encodeChunked("a")).ok).toBe(false);
    decoder.reset();
    expect(feed(decoder, encodeChunked("a"), 9)).toEqual(["a"]);
    expect(decoder.atBoundary).toBe(true);
  });

  test(
    `decodes whatever encodeChunked() cut, and never throws on random bytes (${RUNS} cases)`,
    campaignOptions(),
    () => {
      fc.assert(
        fc.property(
          fc.array(fc.uint8Array({ minLength: 1, maxLength: 80 }), { maxLength: 5 }),
          fc.integer({ min: 1, max: 40 }),
          fc.integer({ min: 1, max: 40 }),
          (payloads, chunk, piece) => {
            const bytes = Buffer.concat(payloads.map((payload) => encodeChunked(payload, chunk)));
            const texts = payloads.map((payload) => Buffer.from(payload).toString());
            return (
              JSON.stringify(feed(new ChunkDecoder(LIMITS), bytes, piece)) === JSON.stringify(texts)
            );
          },
        ),
        { numRuns: RUNS },
      );
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
          feed(new ChunkDecoder(LIMITS), bytes, 5);
          return true;
        }),
        { numRuns: RUNS },
      );
    },
  );
});

describe("EndOfMessageDecoder", () => {
  test("finds the mark at every cut of the stream", () => {
    const bytes = Buffer.concat([encodeEndOfMessage("<a/>"), encodeEndOfMessage("]]>]]<b/>")]);
    for (let piece = 1; piece <= bytes.length; piece++) {
      expect(feed(new EndOfMessageDecoder(LIMITS), bytes, piece)).toEqual(["<a/>", "]]>]]<b/>"]);
    }
  });

  test.each([
    [249, 1],
    [250, 1],
    [249, 999],
    [250, 999],
  ])("takes a message of %i bytes in pieces of %i", (bytes, piece) => {
    const text = "x".repeat(bytes);
    expect(feed(new EndOfMessageDecoder(LIMITS), encodeEndOfMessage(text), piece)).toEqual([text]);
  });

  test.each([1, 999])("refuses a message of 251 bytes in pieces of %i", (piece) => {
    const bytes = encodeEndOfMessage("x".repeat(251));
    expect(feed(new EndOfMessageDecoder(LIMITS), bytes, piece)).toBe("message-too-big");
  });

  test("single mode leaves what follows the hello for another decoder", () => {
    const decoder = new EndOfMessageDecoder(LIMITS, true);
    const bytes = Buffer.concat([encodeEndOfMessage("<hello/>"), encodeChunked("<rpc/>")]);
    expect(feed(decoder, bytes, 999)).toEqual(["<hello/>"]);
    expect(feed(new ChunkDecoder(LIMITS), decoder.takeRest(), 3)).toEqual(["<rpc/>"]);
  });
});
