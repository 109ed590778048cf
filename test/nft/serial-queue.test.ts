import { expect, test } from "vitest";
import { COMMANDS_WAITING_MAX } from "../../src/lib/nft/libnftables.ts";
import { createSerialQueue } from "../../src/lib/nft/serial-queue.ts";

test.each([
  [COMMANDS_WAITING_MAX - 1, true],
  [COMMANDS_WAITING_MAX, true],
  [COMMANDS_WAITING_MAX + 1, false],
])("piece %d is taken: %s", async (count, taken) => {
  const queue = createSerialQueue(COMMANDS_WAITING_MAX);
  const added = Array.from({ length: count }, () => queue.add(async () => 1));
  expect(added.at(-1) !== undefined).toBe(taken);
  await queue.idle();
  expect(queue.add(async () => 1)).toBeDefined();
});

test("pieces run one after the other, also behind one that fails", async () => {
  const queue = createSerialQueue(8);
  const seen: string[] = [];
  const piece = (name: string) => async () => {
    seen.push(`${name} starts`);
    await new Promise((resolve) => setImmediate(resolve));
    seen.push(`${name} ends`);
    if (name === "a") throw new Error("a fails");
    return name;
  };
  const first = queue.add(piece("a"));
  const second = queue.add(piece("b"));
  await expect(first).rejects.toThrow("a fails");
  expect(await second).toBe("b");
  expect(seen).toEqual(["a starts", "a ends", "b starts", "b ends"]);
});
