import { Metadata } from "@grpc/grpc-js";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { SessionId } from "../../src/offload-protocol/framing.ts";
import { MESSAGE_BYTES_MAX } from "../../src/offload-protocol/messages.ts";
import {
  BRIDGE_LIMITS,
  decodeFrame,
  encodeFrame,
  FRAME_BYTES_MAX,
  NAME_BYTES_MAX,
  readStamp,
  stampMetadata,
  TENANT_KEY,
  type UpstreamFrame,
  VM_KEY,
} from "../../src/offload-protocol/upstream.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";

/** Random cases; `flowlift test --full` runs many more. */
const RUNS = campaignSize(100, 5000);

const GOLDEN: { frame: UpstreamFrame; hex: string }[] = [
  {
    frame: { kind: "marker", sessionId: "0123456789abcdef" as SessionId },
    hex: "0a1030313233343536373839616263646566",
  },
  { frame: { kind: "message", bytes: Buffer.from("abc") }, hex: "1203616263" },
  { frame: { kind: "serial-up" }, hex: "1a00" },
  { frame: { kind: "serial-down" }, hex: "2200" },
  { frame: { kind: "refused-by-limit", what: "framing" }, hex: "2a076672616d696e67" },
];

test.each(GOLDEN)(
  "frames of kind $frame.kind have the bytes of upstream.proto",
  ({ frame, hex }) => {
    expect(encodeFrame(frame).toString("hex")).toBe(hex);
    expect(decodeFrame(Buffer.from(hex, "hex"))).toEqual({ ok: true, value: frame });
  },
);

test(
  `decodeFrame() inverts encodeFrame() for every message and limit (${RUNS} cases)`,
  campaignOptions(),
  () => {
    const frame: fc.Arbitrary<UpstreamFrame> = fc.oneof(
      fc.uint8Array({ maxLength: 70_000 }).map((bytes) => ({
        kind: "message" as const,
        bytes: Buffer.from(bytes),
      })),
      fc
        .constantFrom(...BRIDGE_LIMITS)
        .map((what) => ({ kind: "refused-by-limit" as const, what })),
    );
    fc.assert(
      fc.property(frame, (value) => {
        expect(decodeFrame(encodeFrame(value))).toEqual({ ok: true, value });
      }),
      { numRuns: RUNS },
    );
  },
);

test("decodeFrame() never throws on random bytes", () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => typeof decodeFrame(bytes).ok === "boolean"));
});

const REFUSED: [string, string][] = [
  ["nothing", ""],
  ["a cut-off length", "12"],
  ["a cut-off value", "1205616263"],
  ["field number 0", "0200"],
  ["a group", "0b"],
  ["a length of 2^32", "128080808010"],
  ["a marker that is too short", "0a0130"],
  ["an unknown limit", "2a0178"],
  ["only an unknown field", "3a0161"],
];

test.each(REFUSED)("decodeFrame() refuses %s", (_, hex) => {
  expect(decodeFrame(Buffer.from(hex, "hex")).ok).toBe(false);
});

test("decodeFrame() passes over unknown fields of every wire type", () => {
  const unknown = "3801" + "390000000000000000" + "3a0161" + "3d00000000";
  expect(decodeFrame(Buffer.from(`${unknown}1a00`, "hex"))).toEqual({
    ok: true,
    value: { kind: "serial-up" },
  });
});

test("the largest message fits a frame", () => {
  const bytes = Buffer.alloc(MESSAGE_BYTES_MAX);
  expect(encodeFrame({ kind: "message", bytes }).length).toBeLessThanOrEqual(FRAME_BYTES_MAX);
});

test("readStamp() returns what stampMetadata() was given", () => {
  const stamp = { tenant: "grün", vm: "vm-1" };
  expect(readStamp(stampMetadata(stamp))).toEqual({ ok: true, value: stamp });
});

test("readStamp() refuses missing, empty, repeated and overlong names", () => {
  const stamped = (tenant: string[], vm: string[]): Metadata => {
    const metadata = new Metadata();
    for (const name of tenant) metadata.add(TENANT_KEY, Buffer.from(name));
    for (const name of vm) metadata.add(VM_KEY, Buffer.from(name));
    return metadata;
  };
  const fits = "x".repeat(NAME_BYTES_MAX);
  expect(readStamp(stamped([fits], ["v"])).ok).toBe(true);
  expect(readStamp(stamped([`${fits}x`], ["v"])).ok).toBe(false);
  expect(readStamp(stamped([], ["v"])).ok).toBe(false);
  expect(readStamp(stamped(["t"], [""])).ok).toBe(false);
  expect(readStamp(stamped(["t", "u"], ["v"])).ok).toBe(false);
});
