import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeChunked } from "../../src/lib/netconf/framing.ts";
import {
  encodeMarker,
  encodeMessage,
  escapeMessage,
  FrameDecoder,
  type FrameItem,
  MARKER_BYTES,
  parseSessionId,
  type SessionId,
} from "../../src/offload-protocol/framing.ts";
import { CHUNK_BYTES_MAX, MESSAGE_BYTES_MAX } from "../../src/offload-protocol/messages.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";

/** Random cases; `flowlift test --full` runs many more. */
const RUNS = campaignSize(100, 50_000);

const ID = "0123456789abcdef" as SessionId;
const MARKER = encodeMarker(ID);

/** Items with bytes as text, so that failures can be read. */
function readable(items: readonly FrameItem[]): string[] {
  return items.map((item) => {
    if (item.kind === "marker") return `M:${item.sessionId}`;
    if (item.kind === "message") return `m:${item.bytes.toString("latin1")}`;
    return `v:${item.what}`;
  });
}

function decode(...parts: (string | Uint8Array)[]): string[] {
  const decoder = new FrameDecoder();
  return parts.flatMap((part) =>
    readable(decoder.push(typeof part === "string" ? Buffer.from(part, "latin1") : part)),
  );
}

test("encodeMarker() writes 0xFF, sixteen digits and LF", () => {
  expect(MARKER.toString("hex")).toBe("ff303132333435363738396162636465660a");
  expect(MARKER.length).toBe(MARKER_BYTES);
});

test("parseSessionId() takes sixteen lower-case hexadecimal digits only", () => {
  expect(parseSessionId(ID)).toBe(ID);
  for (const wrong of [
    "",
    "0123456789abcde",
    "0123456789abcdef0",
    "0123456789ABCDEF",
    "g".repeat(16),
  ])
    expect(parseSessionId(wrong)).toBeUndefined();
});

const CASES: { name: string; input: (string | Uint8Array)[]; items: string[] }[] = [
  { name: "drops everything before a marker", input: ["\n#1\na\n##\n"], items: [] },
  {
    name: "reads a message after a marker",
    input: [MARKER, "\n#1\na\n##\n"],
    items: [`M:${ID}`, "m:a"],
  },
  {
    name: "joins chunks",
    input: [MARKER, "\n#1\na\n#2\nbc\n##\n"],
    items: [`M:${ID}`, "m:abc"],
  },
  {
    name: "forgets a torn chunk at a marker",
    input: [MARKER, "\n#9\nabc", MARKER, "\n#1\nz\n##\n"],
    items: [`M:${ID}`, `M:${ID}`, "m:z"],
  },
  {
    name: "forgets whole chunks of a torn message at a marker",
    input: [MARKER, "\n#3\nabc", MARKER, "\n#1\nz\n##\n"],
    items: [`M:${ID}`, `M:${ID}`, "m:z"],
  },
  {
    name: "starts a torn marker again",
    input: ["\xff0123", MARKER, "\n#1\nz\n##\n"],
    items: [`M:${ID}`, "m:z"],
  },
  {
    name: "reports a malformed marker and waits for the next",
    input: ["\xff0123X", "\n#1\na\n##\n", MARKER],
    items: ["v:marker-malformed", `M:${ID}`],
  },
  {
    name: "refuses a marker that is one digit too long",
    input: ["\xff0123456789abcdef0\n", MARKER],
    items: ["v:marker-malformed", `M:${ID}`],
  },
  {
    name: "refuses upper-case digits",
    input: ["\xff0123456789ABCDEF\n"],
    items: ["v:marker-malformed"],
  },
  {
    name: "reports broken chunks once and drops until the next marker",
    input: [MARKER, "\n#1\na\n##\nrubbish", "\n#1\nb\n##\n", MARKER, "\n#1\nc\n##\n"],
    items: [`M:${ID}`, "m:a", "v:framing-malformed", `M:${ID}`, "m:c"],
  },
  {
    name: "refuses an empty message",
    input: [MARKER, "\n##\n"],
    items: [`M:${ID}`, "v:framing-malformed"],
  },
];

test.each(CASES)("FrameDecoder $name", ({ input, items }) => {
  expect(decode(...input)).toEqual(items);
});

test.each(CASES)("FrameDecoder $name, byte by byte", ({ input, items }) => {
  const bytes = Buffer.concat(
    input.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part)),
  );
  expect(decode(...Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(items);
});

test("FrameDecoder takes a chunk of CHUNK_BYTES_MAX and refuses one byte more", () => {
  for (const [bytes, expected] of [
    [CHUNK_BYTES_MAX - 1, "message"],
    [CHUNK_BYTES_MAX, "message"],
    [CHUNK_BYTES_MAX + 1, "violation"],
  ] as const) {
    const decoder = new FrameDecoder();
    decoder.push(MARKER);
    const items = decoder.push(
      Buffer.concat([Buffer.from(`\n#${bytes}\n`), Buffer.alloc(bytes, 97), Buffer.from("\n##\n")]),
    );
    expect(items.map((item) => item.kind)).toEqual([expected]);
  }
});

test("FrameDecoder takes a message of MESSAGE_BYTES_MAX and refuses one byte more", () => {
  for (const [bytes, expected] of [
    [MESSAGE_BYTES_MAX - 1, "message"],
    [MESSAGE_BYTES_MAX, "message"],
    [MESSAGE_BYTES_MAX + 1, "violation"],
  ] as const) {
    const decoder = new FrameDecoder();
    decoder.push(MARKER);
    const items = decoder.push(encodeMessage(Buffer.alloc(bytes, 97)));
    expect(items.map((item) => item.kind)).toEqual([expected]);
  }
});

test("FrameDecoder keeps to a caller's lower limits", () => {
  const decoder = new FrameDecoder({ messageBytesMax: 3, chunkBytesMax: 2 });
  decoder.push(MARKER);
  expect(readable(decoder.push(Buffer.from("\n#2\nab\n#1\nc\n##\n")))).toEqual(["m:abc"]);
  expect(readable(decoder.push(Buffer.from("\n#2\nab\n#2\ncd\n##\n")))).toEqual([
    "v:message-too-big",
  ]);
  decoder.push(MARKER);
  expect(readable(decoder.push(Buffer.from("\n#3\nabc\n##\n")))).toEqual(["v:chunk-too-big"]);
});

test(
  `FrameDecoder gives the same items however the stream is cut (${RUNS} cases)`,
  campaignOptions(),
  () => {
    const piece = fc.oneof(
      fc.constant(MARKER),
      fc.string({ minLength: 1 }).map((text) => encodeMessage(Buffer.from(text))),
      fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
      fc.constant(MARKER.subarray(0, 7)),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), fc.array(fc.nat(40)), (pieces, cuts) => {
        const stream = Buffer.concat(pieces);
        const whole = readable(new FrameDecoder().push(stream));
        const decoder = new FrameDecoder();
        const cut: string[] = [];
        let at = 0;
        for (const bytes of [...cuts, stream.length]) {
          cut.push(...readable(decoder.push(stream.subarray(at, at + bytes))));
          at += bytes;
        }
        expect(cut).toEqual(whole);
      }),
      { numRuns: RUNS },
    );
  },
);

test(
  `FrameDecoder reads what follows a marker whatever came before (${RUNS} cases)`,
  campaignOptions(),
  () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.string({ minLength: 1 }), (before, text) => {
        const decoder = new FrameDecoder();
        decoder.push(MARKER);
        decoder.push(before);
        const items = decoder.push(Buffer.concat([MARKER, encodeMessage(text)]));
        const message = Buffer.from(text).toString("latin1");
        expect(readable(items).slice(-2)).toEqual([`M:${ID}`, `m:${message}`]);
      }),
      { numRuns: RUNS },
    );
  },
);

test("skipToMarker() drops messages up to the next marker, and keeps a marker that has begun", () => {
  const decoder = new FrameDecoder();
  decoder.push(MARKER);
  decoder.skipToMarker();
  expect(readable(decoder.push(Buffer.from("\n#1\na\n##\n")))).toEqual([]);
  decoder.push(MARKER.subarray(0, 5));
  decoder.skipToMarker();
  expect(readable(decoder.push(MARKER.subarray(5)))).toEqual([`M:${ID}`]);
});

test("bytes that would be a marker or an escape travel escaped, and come back", () => {
  const message = Buffer.from([0xfe, 0xff, 0x00, 0x01, 0xfe, 0xfe, 0xff, 0x41]);
  const wire = encodeMessage(message);
  expect(wire.includes(0xff)).toBe(false);
  expect(wire.toString("hex")).toBe(
    `${Buffer.from("\n#13\n").toString("hex")}fe00fe010001fe00fe00fe0141${Buffer.from("\n##\n").toString("hex")}`,
  );
  for (let cut = 0; cut <= wire.length; cut++) {
    const decoder = new FrameDecoder();
    decoder.push(MARKER);
    const items = [...decoder.push(wire.subarray(0, cut)), ...decoder.push(wire.subarray(cut))];
    expect(items).toEqual([{ kind: "message", bytes: message }]);
  }
});

test(`every message survives its escapes, in chunks of any size (${RUNS} cases)`, () => {
  const risky = fc.array(fc.constantFrom(0, 1, 0x23, 0x0a, 0xfd, 0xfe, 0xff), { minLength: 1 });
  fc.assert(
    fc.property(risky, fc.integer({ min: 1, max: 5 }), (bytes, chunkBytes) => {
      const decoder = new FrameDecoder();
      decoder.push(MARKER);
      const wire = encodeChunked(escapeMessage(Buffer.from(bytes)), chunkBytes);
      expect(decoder.push(wire)).toEqual([{ kind: "message", bytes: Buffer.from(bytes) }]);
    }),
    { numRuns: RUNS },
  );
});

test("an escape byte before anything but 0x00 and 0x01 is a violation", () => {
  for (const payload of ["fe02", "fe", "41fefe00"]) {
    const decoder = new FrameDecoder();
    decoder.push(MARKER);
    const bytes = Buffer.from(payload, "hex");
    const wire = Buffer.concat([
      Buffer.from(`\n#${bytes.length}\n`),
      bytes,
      Buffer.from("\n##\n\n#1\nz\n##\n"),
    ]);
    expect(readable(decoder.push(wire))).toEqual(["v:escape-malformed"]);
  }
});

test("a message's bound counts the bytes that travel", () => {
  const limits = { messageBytesMax: 8, chunkBytesMax: 8 };
  const fits = new FrameDecoder(limits);
  fits.push(MARKER);
  expect(fits.push(encodeMessage(Buffer.alloc(4, 0xff)))).toHaveLength(1);
  const exceeds = new FrameDecoder(limits);
  exceeds.push(MARKER);
  expect(readable(exceeds.push(encodeMessage(Buffer.alloc(5, 0xff))))).toEqual(["v:chunk-too-big"]);
});
