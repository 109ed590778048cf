import fc from "fast-check";
import { expect, test } from "vitest";
import { VM_LIMITS_DEFAULT, type VmLimits } from "../../src/offload-bridge/limits.ts";
import { UPSTREAM_QUEUE_BYTES_MAX, VmCore } from "../../src/offload-bridge/vm-core.ts";
import {
  encodeMarker,
  encodeMessage,
  FrameDecoder,
  type SessionId,
} from "../../src/offload-protocol/framing.ts";
import type { UpstreamFrame } from "../../src/offload-protocol/upstream.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";

/** Random cases; `flowlift test --full` runs many more. */
const RUNS = campaignSize(100, 10_000);

const ID = "00000000000000aa" as SessionId;
const MARKER = encodeMarker(ID);
const LIMITS: VmLimits = {
  messageBytesMax: 100,
  messagesPerSec: 10,
  messagesBurst: 5,
  bytesPerSec: 1_000,
  bytesBurst: 300,
};

/** A core, its outputs as text, and knobs for what surrounds it. */
class Harness {
  readonly up: string[] = [];
  readonly down: string[] = [];
  nowMs = 0;
  upstreamQueuedBytes = 0;
  serialTakes = true;
  readonly core: VmCore;

  constructor(limits: Partial<VmLimits> = {}) {
    const decoder = new FrameDecoder();
    this.core = new VmCore(
      { ...LIMITS, ...limits },
      {
        sendUpstream: (frame) => this.up.push(describeFrame(frame)),
        writeSerial: (bytes) => {
          if (this.serialTakes) this.down.push(...decoder.push(bytes).map(describeFrame));
          return this.serialTakes;
        },
      },
      0,
    );
  }

  open(): this {
    this.core.upstreamOpened();
    this.core.serialUp();
    this.up.length = 0;
    return this;
  }

  serial(...parts: (string | Uint8Array)[]): string[] {
    this.up.length = 0;
    for (const part of parts) {
      const bytes = typeof part === "string" ? encodeMessage(part) : part;
      this.core.serialBytes(bytes, this);
    }
    return this.up.slice();
  }

  frame(frame: UpstreamFrame): void {
    this.core.upstreamFrame(frame);
  }
}

function describeFrame(frame: UpstreamFrame | { kind: "violation" }): string {
  switch (frame.kind) {
    case "marker":
      return "M";
    case "message":
      return Buffer.from(frame.bytes).toString("latin1");
    case "refused-by-limit":
      return `refused ${frame.what}`;
    default:
      return frame.kind;
  }
}

test("VmCore forwards markers and messages up, opaque and in order", () => {
  const harness = new Harness().open();
  expect(harness.serial(MARKER, "not even XML", "\u00e4")).toEqual(["M", "not even XML", "Ã¤"]);
  expect(harness.core.counters).toMatchObject({ messagesUp: 2, bytesUp: 14, droppedUp: 0 });
});

test("VmCore forwards markers and messages down", () => {
  const harness = new Harness().open();
  harness.frame({ kind: "marker", sessionId: ID });
  harness.frame({ kind: "message", bytes: Buffer.from("x") });
  expect(harness.down).toEqual(["M", "x"]);
});

test("VmCore says when its serial port comes and goes, and when the call is new", () => {
  const harness = new Harness();
  harness.core.serialUp();
  expect(harness.up).toEqual([]);
  harness.core.upstreamOpened();
  expect(harness.up).toEqual(["serial-up"]);
  harness.core.serialDown();
  harness.core.serialUp();
  expect(harness.up).toEqual(["serial-up", "serial-down", "serial-up"]);
  harness.core.upstreamClosed();
  harness.core.serialDown();
  harness.core.upstreamOpened();
  expect(harness.up.length).toBe(3);
});

test("VmCore drops what is not of a session that the controller can know", () => {
  const harness = new Harness().open();
  expect(harness.serial("before a marker")).toEqual([]);
  expect(harness.serial(MARKER, "a")).toEqual(["M", "a"]);
  harness.core.upstreamClosed();
  expect(harness.serial("while away", MARKER, "b")).toEqual([]);
  harness.core.upstreamOpened();
  expect(harness.serial("of the old session")).toEqual([]);
  expect(harness.serial(MARKER, "c")).toEqual(["M", "c"]);
});

test("VmCore gives a virtual machine that comes back nothing of the session before", () => {
  const harness = new Harness().open();
  harness.frame({ kind: "marker", sessionId: ID });
  harness.core.serialDown();
  harness.frame({ kind: "message", bytes: Buffer.from("for the dead") });
  harness.core.serialUp();
  harness.frame({ kind: "message", bytes: Buffer.from("late") });
  expect(harness.down).toEqual(["M"]);
  expect(harness.core.counters.droppedDown).toBe(2);
});

test("VmCore takes a message of messageBytesMax, refuses one byte more, and waits for a marker", () => {
  const harness = new Harness().open();
  expect(harness.serial(MARKER, "a".repeat(99), "b".repeat(100))).toHaveLength(3);
  expect(harness.serial("c".repeat(101))).toEqual(["refused message-bytes"]);
  harness.nowMs += 1000;
  expect(harness.serial("after it")).toEqual([]);
  expect(harness.serial(MARKER, "again")).toEqual(["M", "again"]);
  expect(harness.core.counters.refusals["message-bytes"]).toBe(1);
});

test("VmCore takes messagesBurst at once, refuses one more, and lets messagesPerSec through later", () => {
  const harness = new Harness().open();
  expect(harness.serial(MARKER, "1", "2", "3", "4")).toHaveLength(5);
  expect(harness.serial("5", "6", "7")).toEqual(["refused message-rate"]);
  harness.nowMs += 99;
  expect(harness.serial(MARKER)).toEqual([]);
  harness.nowMs += 101;
  expect(harness.serial(MARKER, "8")).toEqual(["M", "8"]);
});

test("VmCore takes bytesBurst at once and refuses one byte more", () => {
  const all = new Harness().open();
  const marker = MARKER.length;
  const [a, b] = ["a".repeat(100), "b".repeat(100)];
  expect(all.serial(MARKER, a, b, "c".repeat(100 - marker))).toHaveLength(4);
  const more = new Harness().open();
  expect(more.serial(MARKER, a, b, "c".repeat(100 - marker + 1)).at(-1)).toBe("refused byte-rate");
});

test("VmCore takes UPSTREAM_QUEUE_BYTES_MAX for a controller that does not read, and refuses more", () => {
  for (const [queued, expected] of [
    [UPSTREAM_QUEUE_BYTES_MAX - 11, "0123456789"],
    [UPSTREAM_QUEUE_BYTES_MAX - 10, "0123456789"],
    [UPSTREAM_QUEUE_BYTES_MAX - 9, "refused upstream-queue"],
  ] as const) {
    const harness = new Harness().open();
    harness.serial(MARKER);
    harness.upstreamQueuedBytes = queued;
    expect(harness.serial("0123456789")).toEqual([expected]);
  }
});

test("VmCore tells of broken framing once, until the next marker", () => {
  const harness = new Harness().open();
  expect(harness.serial(MARKER, Buffer.from("rubbish"), Buffer.from("more"))).toEqual([
    "M",
    "refused framing",
  ]);
  expect(harness.serial(MARKER, "x")).toEqual(["M", "x"]);
});

test("VmCore drops until the controller's next marker when the guest does not read", () => {
  const harness = new Harness().open();
  harness.frame({ kind: "marker", sessionId: ID });
  harness.serialTakes = false;
  harness.frame({ kind: "message", bytes: Buffer.from("lost") });
  harness.frame({ kind: "message", bytes: Buffer.from("lost too") });
  harness.serialTakes = true;
  harness.frame({ kind: "message", bytes: Buffer.from("would not be whole") });
  expect(harness.up).toEqual(["refused downstream-queue"]);
  harness.frame({ kind: "marker", sessionId: ID });
  harness.frame({ kind: "message", bytes: Buffer.from("whole") });
  expect(harness.down).toEqual(["M", "M", "whole"]);
});

test("VmCore ignores frames that only a bridge sends", () => {
  const harness = new Harness().open();
  harness.frame({ kind: "serial-up" });
  harness.frame({ kind: "refused-by-limit", what: "framing" });
  expect([...harness.up, ...harness.down]).toEqual([]);
});

test(
  `VmCore never sends more than its limits allow, whatever a guest writes (${RUNS} cases)`,
  campaignOptions(),
  () => {
    const part = fc.oneof(
      fc.constant(MARKER),
      fc.string({ minLength: 1, maxLength: 130 }).map((text) => encodeMessage(text)),
      fc.uint8Array({ maxLength: 60 }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(part, fc.nat(30)), { maxLength: 100 }), (steps) => {
        const harness = new Harness().open();
        let messages = 0;
        let bytes = 0;
        for (const [input, waitMs] of steps) {
          harness.nowMs += waitMs;
          const sent = harness.serial(input).filter((text) => !text.startsWith("refused "));
          messages += sent.length;
          bytes += sent.reduce(
            (sum, text) => sum + (text === "M" ? MARKER.length : text.length),
            0,
          );
        }
        expect(messages).toBeLessThanOrEqual(5 + (harness.nowMs / 1000) * 10);
        expect(bytes).toBeLessThanOrEqual(300 + (harness.nowMs / 1000) * 1000);
      }),
      { numRuns: RUNS },
    );
  },
);

test("the default limits let the largest message pass", () => {
  expect(VM_LIMITS_DEFAULT.bytesBurst).toBeGreaterThanOrEqual(VM_LIMITS_DEFAULT.messageBytesMax);
  expect(UPSTREAM_QUEUE_BYTES_MAX).toBeGreaterThanOrEqual(VM_LIMITS_DEFAULT.messageBytesMax);
});
