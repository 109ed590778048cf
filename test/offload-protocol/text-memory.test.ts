import { expect, test } from "vitest";
import {
  MEMORY_PLACES,
  MEMORY_TEXT_BYTES_MAX,
  TextMemory,
} from "../../src/offload-protocol/text-memory.ts";

test.each([MEMORY_TEXT_BYTES_MAX - 1, MEMORY_TEXT_BYTES_MAX, MEMORY_TEXT_BYTES_MAX + 1])(
  "a text of %i bytes is read, and remembered up to the bound",
  (length) => {
    let parsed = 0;
    const memory = new TextMemory((text) => {
      parsed++;
      return text;
    });
    const bytes = Buffer.from(`--${"x".repeat(length)}--`);
    for (let time = 0; time < 3; time++) {
      expect(memory.find(bytes, 2, 2 + length)).toBe("x".repeat(length));
    }
    expect(parsed).toBe(length <= MEMORY_TEXT_BYTES_MAX ? 1 : 3);
  },
);

test("more texts than there are places are all read right, again and again", () => {
  const memory = new TextMemory((text) => (text.endsWith("7") ? undefined : `<${text}>`));
  for (let time = 0; time < 2; time++) {
    for (let number = 0; number < 2 * MEMORY_PLACES; number++) {
      const text = `10.${number}`;
      const bytes = Buffer.from(text);
      const expected = text.endsWith("7") ? undefined : `<${text}>`;
      if (memory.find(bytes, 0, bytes.length) !== expected) expect(text).toBe(expected);
    }
  }
});
