import { expect, test } from "vitest";
import { ADDRESSES_MAX, readAddressAt } from "../../src/lib/conntrack/address-cache.ts";

function read(number: number): string | undefined {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint32(4, number, false);
  return readAddressAt(view, 4, 4);
}

test.each([ADDRESSES_MAX - 1, ADDRESSES_MAX, ADDRESSES_MAX + 1])(
  "readAddressAt() is right before and after it forgets, at %i addresses",
  (count) => {
    for (let number = 0; number < count; number++) read(0x0b00_0000 + number);
    expect(read(0x0b00_0000)).toBe("11.0.0.0");
    expect(read(0x0b00_0000 + count - 1)).toBe(
      `11.${(count - 1) >>> 16}.${((count - 1) >>> 8) & 255}.${(count - 1) & 255}`,
    );
  },
);
