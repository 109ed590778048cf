import fc from "fast-check";
import { expect, test } from "vitest";
import {
  encodeFrame,
  encodeMarker,
  ManageDecoder,
  type ManageItem,
  PAYLOAD_BYTES_MAX,
} from "../../src/lib/manage-port/frames.ts";

const ID = "0123456789abcdef";

function decode(...parts: readonly Uint8Array[]): ManageItem[] {
  const items: ManageItem[] = [];
  const decoder = new ManageDecoder();
  for (const part of parts) decoder.push(part, (item) => items.push(item));
  return items;
}

const frame = (payload: Uint8Array): ManageItem => ({
  kind: "frame",
  type: "data",
  channel: 0xfeff,
  payload: Buffer.from(payload),
});

test("what goes in comes out, however the stream is cut", () => {
  const payloads = fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 });
  fc.assert(
    fc.property(payloads, fc.integer({ min: 1, max: 40 }), (all, step) => {
      const bytes = Buffer.concat([
        encodeMarker(ID),
        ...all.map((payload) => encodeFrame("data", 0xfeff, payload)),
      ]);
      const parts: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += step) parts.push(bytes.subarray(at, at + step));
      expect(decode(...parts)).toEqual([{ kind: "marker", id: ID }, ...all.map(frame)]);
    }),
    { numRuns: 100 },
  );
});

test("the marker's first byte occurs nowhere else", () => {
  const everything = Uint8Array.from({ length: 256 }, (_, index) => index);
  expect(encodeFrame("data", 0xffff, everything).includes(0xff)).toBe(false);
});

test("a torn frame is forgotten at the marker that follows", () => {
  const torn = encodeFrame("data", 1, Buffer.alloc(100)).subarray(0, 50);
  const items = decode(
    encodeMarker(ID),
    torn,
    encodeMarker(ID),
    encodeFrame("close", 1, Buffer.alloc(0)),
  );
  expect(items.map((item) => item.kind)).toEqual(["marker", "marker", "frame"]);
});

test("nothing is taken before the first marker", () => {
  expect(decode(encodeFrame("data", 1, Buffer.from("x")))).toEqual([]);
});

test.each([
  [PAYLOAD_BYTES_MAX - 1, "frame"],
  [PAYLOAD_BYTES_MAX, "frame"],
  [PAYLOAD_BYTES_MAX + 1, "violation"],
])("a payload of %i bytes is a %s", (length, kind) => {
  // A length's byte 0xff travels escaped, as every other.
  const low = (length & 0xff) === 0xff ? [0xfe, 1] : [length & 0xff];
  const header = Buffer.from([3, 0, 1, length >> 8, ...low]);
  const [, item] = decode(encodeMarker(ID), header, Buffer.alloc(length));
  expect(item?.kind).toBe(kind);
});

test.each([
  ["an unknown type", [9, 0, 1, 0, 0]],
  ["a wrong escape", [0xfe, 2]],
])("%s is a violation, and only a marker is taken after it", (_name, bytes) => {
  const later = encodeFrame("data", 1, Buffer.from("x"));
  const items = decode(encodeMarker(ID), Buffer.from(bytes), later, encodeMarker(ID), later);
  expect(items.map((item) => item.kind)).toEqual(["marker", "violation", "marker", "frame"]);
});

test("a marker of other characters is a violation", () => {
  const bad = Buffer.concat([Buffer.from([0xff]), Buffer.from("0123456789ABCDEF\n")]);
  expect(decode(bad).map((item) => item.kind)).toEqual(["violation"]);
});
