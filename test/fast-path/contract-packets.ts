/** The contract's half about packets: what is forwarded, how it leaves, how it is counted. */
import { expect, test } from "vitest";
import {
  ADDRESSES,
  CLIENT,
  expectedOf,
  type Fixture,
  frameOf,
  INSIDE_PORT,
  LIMITS,
  makeFlow,
  OUTSIDE_PORT,
  SLOT,
  VM_PORT,
} from "./contract-subject.ts";
import { ip, judgeChecksums } from "./frames.ts";

const CASES = [
  { family: 4, protocol: 6, name: "IPv4 TCP" },
  { family: 4, protocol: 17, name: "IPv4 UDP" },
  { family: 6, protocol: 6, name: "IPv6 TCP" },
  { family: 6, protocol: 17, name: "IPv6 UDP" },
] as const;

/** Registers the tests. */
export function testPackets(fixture: Fixture): void {
  test("capabilities() names what the suite proves", async () => {
    const capabilities = await fixture.driver().capabilities();
    expect(capabilities).toMatchObject({
      flowsMax: LIMITS.flowsMax,
      families: [4, 6],
      protocols: [6, 17],
      rewrite: true,
      mtuPunt: true,
      optionsToVm: true,
      exactFinalCounters: true,
    });
  });

  test.each(CASES)("$name is rewritten in both directions with right checksums", async (row) => {
    const flow = makeFlow(1, row);
    expect(await fixture.driver().install([flow])).toEqual([{ handle: 1, outcome: "installed" }]);
    const directions = [
      { portId: INSIDE_PORT, direction: flow.original },
      { portId: OUTSIDE_PORT, direction: flow.reply! },
    ];
    for (const { portId, direction } of directions) {
      const verdict = fixture.subject().play(portId, { bytes: frameOf(direction) });
      expect(verdict.kind).toBe("forwarded");
      if (verdict.kind !== "forwarded") continue;
      expect(judgeChecksums(verdict.bytes)).toBe("right");
      expect(verdict.bytes.toString("hex")).toBe(expectedOf(direction).toString("hex"));
      expect(verdict.egressPortId ?? direction.egressPortId).toBe(direction.egressPortId);
    }
  });

  test.each([
    ["only addresses", { newSourcePort: 40_001 }],
    ["only ports", { newSourceAddress: ADDRESSES[4].client }],
    ["only MACs", { newSourceAddress: ADDRESSES[4].client, newSourcePort: 40_001 }],
    ["destination too", { newDestinationAddress: ip("192.0.2.200"), newDestinationPort: 8443 }],
  ])("a flow that changes %s is rewritten with right checksums", async (_, change) => {
    const flow = makeFlow(1);
    const original = { ...flow.original, ...change };
    await fixture.driver().install([{ ...flow, original }]);
    const verdict = fixture
      .subject()
      .play(INSIDE_PORT, { bytes: frameOf(original, { payloadBytes: 1 }) });
    const expected = expectedOf(original, { payloadBytes: 1 });
    expect(verdict).toMatchObject({ kind: "forwarded", bytes: expected });
  });

  test("an IPv4 UDP packet without checksum leaves without one", async () => {
    const flow = makeFlow(1, { protocol: 17 });
    await fixture.driver().install([flow]);
    const change = { zeroUdpChecksum: true };
    const verdict = fixture.subject().play(INSIDE_PORT, { bytes: frameOf(flow.original, change) });
    expect(verdict).toMatchObject({
      kind: "forwarded",
      bytes: expectedOf(flow.original, change),
    });
  });

  test.each([
    ["SYN", { tcpFlags: 0x02 }],
    ["SYN and ACK", { tcpFlags: 0x12 }],
    ["FIN", { tcpFlags: 0x11 }],
    ["RST", { tcpFlags: 0x04 }],
    ["no ACK", { tcpFlags: 0x08 }],
    ["TTL 1", { ttl: 1 }],
    ["TTL 0", { ttl: 0 }],
    ["IPv4 options", { options: Buffer.from([1, 1, 1, 0]) }],
    ["the reserved fragment bit", { fragment: 0x8000 }],
    ["more than the MTU", { payloadBytes: 1461 }],
  ] as const)("a packet with %s goes to the VM and is counted as passed", async (_, change) => {
    const flow = makeFlow(1);
    await fixture.driver().install([flow]);
    expect(fixture.playOriginal(flow, change)).toBe("passed");
    const [counters] = await fixture.driver().readCounters([1]);
    const bytes = frameOf(flow.original, change).length - 14;
    expect(counters?.counters.original).toEqual({
      fastPackets: 0n,
      fastBytes: 0n,
      passedPackets: 1n,
      passedBytes: BigInt(bytes),
    });
  });

  test.each([
    ["the first fragment", { fragment: 0x2000 }],
    ["a later fragment", { fragment: 0x0010 }],
    ["ICMP", { protocol: 1 }],
    ["another port", { sourcePort: 9 }],
  ] as const)("%s is no packet of the flow and goes to the VM", async (_, change) => {
    const flow = makeFlow(1);
    await fixture.driver().install([flow]);
    expect(fixture.playOriginal(flow, change)).toBe("passed");
    const [counters] = await fixture.driver().readCounters([1]);
    expect(counters?.counters.original.passedPackets).toBe(0n);
    const { slots } = await fixture.driver().totals();
    expect(slots.find(({ vmSlot }) => vmSlot === SLOT)?.passedPackets).toBe(1n);
  });

  test("an IPv6 extension header and a UDP packet without checksum go to the VM", async () => {
    const tcp = makeFlow(1, { family: 6 });
    const udp = makeFlow(2, { family: 6, protocol: 17 });
    await fixture.driver().install([tcp, udp]);
    expect(fixture.playOriginal(udp, { zeroUdpChecksum: true })).toBe("passed");
    const frame = frameOf(tcp.original);
    frame.writeUInt8(0, 20); // Hop-by-hop options.
    expect(fixture.subject().play(INSIDE_PORT, { bytes: frame }).kind).toBe("passed");
  });

  test("the MTU holds at its bound: one byte less and equal pass fast, one more does not", async () => {
    const flow = makeFlow(1, { mtuBytes: 1000 });
    await fixture.driver().install([flow]);
    const kinds = [959, 960, 961].map((payloadBytes) =>
      fixture.playOriginal(flow, { payloadBytes }),
    );
    expect(kinds).toEqual(["forwarded", "forwarded", "passed"]);
  });

  test("a segmented frame is judged by its segments and counted as wire packets", async () => {
    const flow = makeFlow(1, { mtuBytes: 1500 });
    await fixture.driver().install([flow]);
    const bytes = frameOf(flow.original, { payloadBytes: 3000 });
    const fits = fixture.subject().play(INSIDE_PORT, { bytes, gsoBytes: 1460, gsoSegments: 3 });
    const uncounted = fixture.subject().play(INSIDE_PORT, { bytes, gsoBytes: 1460 });
    const tooBig = fixture.subject().play(INSIDE_PORT, { bytes, gsoBytes: 1461, gsoSegments: 3 });
    expect([fits.kind, uncounted.kind, tooBig.kind]).toEqual(["forwarded", "forwarded", "passed"]);
    const [counters] = await fixture.driver().readCounters([1]);
    expect(counters?.counters.original).toEqual({
      fastPackets: 6n,
      fastBytes: BigInt(2 * (3000 + 3 * 40)),
      passedPackets: 3n,
      passedBytes: BigInt(3000 + 3 * 40),
    });
  });

  test("padding of a short frame is not counted", async () => {
    const flow = makeFlow(1, { protocol: 17 });
    await fixture.driver().install([flow]);
    const frame = frameOf(flow.original, { payloadBytes: 1 });
    const padded = Buffer.concat([frame, Buffer.alloc(60 - frame.length)]);
    expect(fixture.subject().play(INSIDE_PORT, { bytes: padded }).kind).toBe("forwarded");
    const [counters] = await fixture.driver().readCounters([1]);
    expect(counters?.counters.original.fastBytes).toBe(29n);
  });

  test("frames to others, to the VM's other vNIC, and from the VM's port never match", async () => {
    const flow = makeFlow(1);
    await fixture.driver().install([flow]);
    expect(fixture.playOriginal(flow, { destinationMac: CLIENT })).toBe("not-ours");
    const bytes = frameOf(flow.original);
    expect(fixture.subject().play(VM_PORT, { bytes }).kind).toBe("not-ours");
    // The right frame on the wrong segment is for nobody there.
    expect(fixture.subject().play(OUTSIDE_PORT, { bytes }).kind).toBe("not-ours");
    const { slots } = await fixture.driver().totals();
    expect(slots.find(({ vmSlot }) => vmSlot === SLOT)?.passedPackets).toBe(0n);
  });
}
