import fc from "fast-check";
import { expect, test } from "vitest";
import { writeIp, writeMac } from "../../src/fast-path/bpf/address-bytes.ts";
import {
  ACTION_BYTES,
  type ActionEntry,
  decodeAction,
  encodeAction,
  encodeKey,
  KEY_BYTES,
} from "../../src/fast-path/bpf/layout.ts";
import {
  formatIpBytes,
  formatMacBytes,
  ipToBytes,
  macToBytes,
} from "../../src/lib/inet/address.ts";
import { makeFlow } from "./contract-subject.ts";

const ipBytes = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
);
const macBytes = fc.uint8Array({ minLength: 6, maxLength: 6 });

test("writeIp() and writeMac() write what ipToBytes() and macToBytes() return", () => {
  fc.assert(
    fc.property(ipBytes, macBytes, (ip, mac) => {
      const into = new Uint8Array(22);
      const address = formatIpBytes(ip);
      writeIp(address, into, 0);
      writeMac(formatMacBytes(mac), into, 16);
      expect(into.subarray(0, ip.length)).toEqual(ipToBytes(address));
      expect(into.subarray(16)).toEqual(macToBytes(formatMacBytes(mac)));
    }),
  );
});

test("decodeAction() reads what encodeAction() wrote, whatever the bytes were before", () => {
  const cases = fc.record({
    handle: fc.maxSafeNat(),
    generation: fc.maxSafeNat(),
    vmSlot: fc.integer({ min: 1, max: 4095 }),
    isReply: fc.boolean(),
    family: fc.constantFrom(4 as const, 6 as const),
    sourcePort: fc.integer({ min: 0, max: 65_535 }),
  });
  fc.assert(
    fc.property(cases, ({ family, sourcePort, ...rest }) => {
      const direction = makeFlow(1, { family, sourcePort }).original;
      const entry: ActionEntry = { ...rest, direction };
      const bytes = Buffer.alloc(ACTION_BYTES + 8, 0xa5);
      encodeAction(entry, bytes, 4);
      expect(decodeAction(bytes, 4)).toEqual(entry);
      expect(bytes.readUInt32LE(0)).toBe(0xa5a5a5a5);
      expect(bytes.readUInt32LE(ACTION_BYTES + 4)).toBe(0xa5a5a5a5);
    }),
  );
});

test("encodeKey() lays a key out as flow-maps.h declares it", () => {
  const bytes = Buffer.alloc(KEY_BYTES);
  encodeKey(makeFlow(1).original, bytes, 0);
  expect(bytes.toString("hex")).toBe(
    [
      "0a000000", // segment
      "02000000000a", // destination MAC
      "04", // family
      "06", // protocol
      "0a010203".padEnd(32, "0"), // source
      "c6336407".padEnd(32, "0"), // destination
      "9c41", // source port
      "01bb", // destination port
    ].join(""),
  );
});
