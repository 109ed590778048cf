import { expect, test } from "vitest";
import { makePortFilter } from "../../src/lib/netlink/port-filter.ts";

/** Runs the four kinds of instructions of the filter as the kernel does. */
function run(filter: Uint8Array, message: Uint8Array): number {
  const code = new DataView(filter.buffer);
  const data = new DataView(message.buffer);
  let accumulator = 0;
  for (let at = 0; ; at += 8) {
    const value = code.getUint32(at + 4, true);
    const operation = code.getUint16(at, true);
    if (operation === 0x20) accumulator = data.getUint32(value, false);
    else if (operation === 0x15) at += 8 * code.getUint8(at + (accumulator === value ? 2 : 3));
    else return value;
  }
}

test.each([1, 4711, 0x8000_0001, 0xffff_ffff])(
  "port %i's messages are dropped, others pass",
  (port) => {
    const message = (from: number): Uint8Array => {
      const bytes = new Uint8Array(16);
      new DataView(bytes.buffer).setUint32(12, from, true);
      return bytes;
    };
    const filter = makePortFilter(port);
    expect(run(filter, message(port))).toBe(0);
    for (const other of [0, port - 1, port ^ 0x100]) {
      expect(run(filter, message(other))).toBe(0xffff_ffff);
    }
  },
);
