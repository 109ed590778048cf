import { expect, test } from "vitest";
import { readSlowness, SLOWNESS_MAX } from "../../src/cli/demo.ts";

test.each([1, SLOWNESS_MAX - 1, SLOWNESS_MAX])("--slowness %i is taken", (slowness) => {
  expect(readSlowness(`${slowness}`)).toBe(slowness);
});

test.each(["0", `${SLOWNESS_MAX + 1}`, "1.5", "-1", "fast"])("--slowness %s is refused", (text) => {
  expect(() => readSlowness(text)).toThrow(`"${text}" is no whole number from 1 to`);
});
