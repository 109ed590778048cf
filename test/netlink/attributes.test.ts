import { expect, test } from "vitest";
import {
  AttributeCursor,
  align4,
  forEachMessage,
  MessageBuilder,
} from "../../src/lib/netlink/attributes.ts";

test("align4() rounds up", () => {
  expect([0, 1, 3, 4, 5].map(align4)).toEqual([0, 4, 4, 4, 8]);
});

test("MessageBuilder grows, and pads each attribute", () => {
  const builder = new MessageBuilder();
  for (let sequence = 1; sequence <= 3; sequence++) {
    builder.beginMessage(7, 1, sequence);
    builder.attribute(1, new Uint8Array(3000 + sequence).fill(sequence));
    builder.nested(2, () => builder.u16be(3, 0x1234));
    builder.endMessage();
  }
  const bytes = builder.finish();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const seen: unknown[] = [];
  forEachMessage(view, ({ sequence, start, end }) => {
    const cursor = new AttributeCursor(view, start, end);
    cursor.next();
    const first = [cursor.type, cursor.length, cursor.u8()];
    cursor.next();
    const inner = cursor.nested();
    inner.next();
    seen.push([sequence, first, cursor.type, inner.type, inner.u16be(), cursor.next()]);
  });
  expect(seen).toEqual([1, 2, 3].map((n) => [n, [1, 3000 + n, n], 2, 3, 0x1234, false]));
});

test.each([
  ["one byte too short for a header", 15, 0],
  ["exactly one message", 16, 1],
  ["one message and a torn one", 31, 1],
  ["exactly two messages", 32, 2],
])("forEachMessage() stops at what is torn: %s", (_, length, count) => {
  const view = new DataView(new ArrayBuffer(length));
  for (let at = 0; at + 4 <= length; at += 16) view.setUint32(at, 16, true);
  let seen = 0;
  forEachMessage(view, () => seen++);
  expect(seen).toBe(count);
});

test("AttributeCursor returns 0 for values that are too short", () => {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint16(0, 4, true);
  const cursor = new AttributeCursor(view, 0, 4);
  expect(cursor.next()).toBe(true);
  expect([cursor.u8(), cursor.u16be(), cursor.u32be(), cursor.u64be(), cursor.text()]).toEqual([
    0,
    0,
    0,
    0n,
    "",
  ]);
});
