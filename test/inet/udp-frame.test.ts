import fc from "fast-check";
import { expect, test } from "vitest";
import type { IpAddress, MacAddress } from "../../src/lib/inet/address.ts";
import { encodeUdpFrame, setSourcePort } from "../../src/lib/inet/udp-frame.ts";

const FRAME = {
  sourceMac: "02:00:00:00:00:01" as MacAddress,
  destinationMac: "02:00:00:00:00:02" as MacAddress,
  source: "10.0.0.10" as IpAddress,
  destination: "192.0.2.100" as IpAddress,
};

/** RFC 1071: over data that includes its right checksum the folded sum is all ones. */
function foldedSum(words: readonly number[]): number {
  let sum = words.reduce((total, word) => total + word, 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

function wordsOf(bytes: Buffer): number[] {
  const even = bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(1)]);
  return Array.from({ length: even.length / 2 }, (_, index) => even.readUInt16BE(2 * index));
}

test("encodeUdpFrame() writes right checksums whatever the ports and the payload's length", () => {
  const port = fc.integer({ min: 1, max: 65_535 });
  fc.assert(
    fc.property(port, port, fc.nat({ max: 1472 }), (sourcePort, destinationPort, payloadBytes) => {
      const frame = encodeUdpFrame({
        ...FRAME,
        sourcePort,
        destinationPort,
        payload: Buffer.alloc(payloadBytes),
      });
      const ip = frame.subarray(14, 34);
      const udp = frame.subarray(34);
      const pseudo = [...wordsOf(ip.subarray(12)), 17, udp.length];
      return (
        foldedSum(wordsOf(ip)) === 0xffff && foldedSum([...pseudo, ...wordsOf(udp)]) === 0xffff
      );
    }),
  );
});

test("encodeUdpFrame() puts every field where RFC 791 and RFC 768 say", () => {
  const frame = encodeUdpFrame({
    ...FRAME,
    sourcePort: 20_000,
    destinationPort: 9001,
    payload: Buffer.alloc(18),
  });
  expect(frame.length).toBe(60);
  expect(frame.toString("hex", 0, 14)).toBe("0200000000020200000000010800");
  expect(frame.toString("hex", 26, 34)).toBe("0a00000ac0000264");
  expect(frame.readUInt16BE(16)).toBe(46);
  expect([frame.readUInt16BE(34), frame.readUInt16BE(36), frame.readUInt16BE(38)]).toEqual([
    20_000, 9001, 26,
  ]);
});

test("a frame with another source port is the frame that would have been made with it", () => {
  const of = (sourcePort: number): Buffer =>
    encodeUdpFrame({
      sourceMac: "02:00:00:00:00:01" as MacAddress,
      destinationMac: "02:00:00:00:00:02" as MacAddress,
      source: "10.0.0.10" as IpAddress,
      destination: "192.0.2.100" as IpAddress,
      ...{ sourcePort, destinationPort: 9300 },
      payload: Buffer.alloc(18),
    });
  for (let port = 0; port <= 65_535; port += 257) {
    const frame = of(1024);
    setSourcePort(frame, port);
    expect(frame).toEqual(of(port));
  }
});
