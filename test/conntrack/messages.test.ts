import fc from "fast-check";
import { expect, test } from "vitest";
import type { ConntrackTuple } from "../../src/lib/conntrack/entry.ts";
import { decodeEvents } from "../../src/lib/conntrack/events.ts";
import {
  decodeEntry,
  MESSAGE_CT_NEW,
  writeChange,
  writeEntryKey,
} from "../../src/lib/conntrack/messages.ts";
import { formatIpBytes, type IpAddress } from "../../src/lib/inet/address.ts";
import { forEachMessage, MessageBuilder } from "../../src/lib/netlink/attributes.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";
import { ICMP_NEW, TCP_ASSURED, TCP_DESTROY, TCP_NEW, UDP6_DESTROY } from "./kernel-messages.ts";

/** Random cases; `flowlift test --full` runs many more. */
const RUNS = campaignSize(500, 100_000);
const FEW_RUNS = campaignSize(100, 100_000);

function viewOf(bytes: Uint8Array): DataView {
  const copy = Uint8Array.from(bytes);
  return new DataView(copy.buffer);
}

const hex = (text: string): DataView => viewOf(Buffer.from(text, "hex"));

const TCP_ORIGINAL = {
  sourceAddress: "10.5.5.5",
  destinationAddress: "10.5.5.5",
  protocol: 6,
  sourcePort: 58_218,
  destinationPort: 8080,
};
const TCP_REPLY = {
  sourceAddress: "10.5.5.6",
  destinationAddress: "10.5.5.5",
  protocol: 6,
  sourcePort: 8080,
  destinationPort: 58_218,
};

test("decodeEvents() reads a new connection with its translation", () => {
  expect(decodeEvents(hex(TCP_NEW), false)).toEqual([
    {
      kind: "new",
      entry: {
        id: 2_010_167_415,
        zone: 0,
        status: 424,
        mark: 0,
        hasSequenceAdjustment: false,
        timeoutSec: 120,
        tcpState: 1,
        original: TCP_ORIGINAL,
        reply: TCP_REPLY,
      },
    },
  ]);
});

test("decodeEvents() reads an update and a destruction of the same entry", () => {
  const both = viewOf(Buffer.from(TCP_ASSURED + TCP_DESTROY, "hex"));
  const [update, destroy] = decodeEvents(both, true).slice(1);
  expect(update).toMatchObject({
    kind: "update",
    entry: { id: 2_010_167_415, status: 430, tcpState: 3, timeoutSec: 432_000 },
  });
  expect(destroy).toMatchObject({
    kind: "destroy",
    entry: {
      id: 2_010_167_415,
      originalCounters: { packets: 4n, bytes: 216n },
      replyCounters: { packets: 4n, bytes: 219n },
    },
  });
});

test("decodeEvents() tells of an overrun first", () => {
  expect(decodeEvents(hex(TCP_NEW), true).map(({ kind }) => kind)).toEqual(["overrun", "new"]);
});

test("decodeEvents() leaves out what requests of one's own port caused", () => {
  const view = hex(TCP_ASSURED + TCP_DESTROY);
  const port = 0x75cd; // As in the vector: a deletion by a request.
  expect(decodeEvents(view, false, port).map(({ kind }) => kind)).toEqual(["update"]);
  expect(decodeEvents(view, false, port + 1).map(({ kind }) => kind)).toEqual([
    "update",
    "destroy",
  ]);
});

test("decodeEvents() reads ICMP's identifier, type and code as ports", () => {
  const [event] = decodeEvents(hex(ICMP_NEW), false);
  expect(event).toMatchObject({
    kind: "new",
    entry: {
      original: { protocol: 1, sourcePort: 30_156, destinationPort: 8 << 8 },
      reply: { protocol: 1, sourcePort: 30_156, destinationPort: 0 },
    },
  });
});

test("decodeEvents() reads IPv6 in canonical text", () => {
  const [event] = decodeEvents(hex(UDP6_DESTROY), false);
  expect(event).toMatchObject({
    kind: "destroy",
    entry: {
      original: { sourceAddress: "fd05::5", protocol: 17, destinationPort: 9 },
      originalCounters: { packets: 1n, bytes: 49n },
      replyCounters: { packets: 0n, bytes: 0n },
    },
  });
});

test("writeChange() writes timeout, status, mark with mask, and liberal for both directions", () => {
  const builder = new MessageBuilder();
  builder.beginMessage(MESSAGE_CT_NEW, 5, 9);
  writeChange(builder, {
    original: {
      sourceAddress: "10.0.0.1" as IpAddress,
      destinationAddress: "192.0.2.1" as IpAddress,
      protocol: 6,
      sourcePort: 1024,
      destinationPort: 80,
    },
    zone: 3,
    timeoutSec: 300,
    mark: { value: 4, mask: 12 },
    liberal: true,
    assured: true,
  });
  builder.endMessage();
  expect(Buffer.from(builder.finish()).toString("hex")).toBe(
    [
      "8800000000010500090000000000000002000000", // nlmsghdr, nfgenmsg (AF_INET)
      "34000180", // CTA_TUPLE_ORIG
      "14000180080001000a00000108000200c0000201", // CTA_TUPLE_IP
      "1c00028005000100060000000600020004000000060003000050" + "0000", // CTA_TUPLE_PROTO
      "0600120000030000", // CTA_ZONE
      "080007000000012c", // CTA_TIMEOUT
      "080003000000000e", // CTA_STATUS
      "0800080000000004", // CTA_MARK
      "080015000000000c", // CTA_MARK_MASK
      "18000480" + "14000180" + "06000400" + "08080000" + "06000500" + "08080000", // CTA_PROTOINFO
    ].join(""),
  );
});

const address4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => formatIpBytes(bytes));
const address6 = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => formatIpBytes(bytes));
const port = fc.nat({ max: 65_535 });
const tuple: fc.Arbitrary<ConntrackTuple> = fc
  .oneof(fc.tuple(address4, address4), fc.tuple(address6, address6))
  .chain(([sourceAddress, destinationAddress]) =>
    fc.record({
      sourceAddress: fc.constant(sourceAddress),
      destinationAddress: fc.constant(destinationAddress),
      protocol: fc.constantFrom(1, 6, 17, 58, 132),
      sourcePort: port,
      destinationPort: port,
    }),
  );

test(
  `what writeEntryKey() writes, decodeEntry() reads (${FEW_RUNS} cases)`,
  campaignOptions(),
  () => {
    fc.assert(
      fc.property(tuple, tuple, fc.nat({ max: 65_535 }), (original, reply, zone) => {
        const first = new MessageBuilder();
        first.beginMessage(MESSAGE_CT_NEW, 0, 1);
        writeEntryKey(first, original, zone);
        first.endMessage();
        const second = new MessageBuilder();
        second.beginMessage(MESSAGE_CT_NEW, 0, 1);
        writeEntryKey(second, reply, 0);
        second.endMessage();
        // The reply's tuple is the original's with the next attribute type.
        const replyTuple = Buffer.from(second.finish().slice(20));
        replyTuple.writeUInt16LE(0x8002, 2);
        const bytes = Buffer.concat([first.finish(), replyTuple]);
        bytes.writeUInt32LE(bytes.length, 0);
        const entry = decodeEntry(viewOf(bytes), { start: 16, end: bytes.length });
        expect(entry).toMatchObject({ original, reply, zone });
      }),
      { numRuns: FEW_RUNS },
    );
  },
);

test(
  `random bytes never make decodeEvents() throw, nor do damaged messages (${RUNS} cases)`,
  campaignOptions(),
  () => {
    const golden = Buffer.from(TCP_NEW + TCP_DESTROY + UDP6_DESTROY, "hex");
    const damage = fc.array(fc.tuple(fc.nat({ max: golden.length - 1 }), fc.nat({ max: 255 })), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 512 }), damage, (random, changes) => {
        decodeEvents(viewOf(random), false);
        const damaged = Buffer.from(golden);
        for (const [at, value] of changes) damaged[at] = value;
        decodeEvents(viewOf(damaged), false);
      }),
      { numRuns: RUNS },
    );
  },
);

test("an entry without its reply tuple is no entry, and unknown attributes are skipped", () => {
  const view = hex(TCP_NEW);
  let spans = 0;
  forEachMessage(view, (message) => {
    spans += 1;
    expect(decodeEntry(view, { start: message.start, end: message.start + 60 })).toBeUndefined();
    view.setUint16(message.start + 4 + 104 + 2, 0x3fff, true); // CTA_ID becomes unknown.
    expect(decodeEntry(view, message)).toMatchObject({ id: 0, timeoutSec: 120 });
  });
  expect(spans).toBe(1);
});
