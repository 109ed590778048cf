/** The comparison that guards the user's machine notices what it must. */
import { expect, test } from "vitest";
import { listChanges, type RootSnapshot } from "../support/root-namespace.ts";

const BEFORE: RootSnapshot = {
  links: ["lo", "eth0"],
  routes: ["default"],
  sysctls: { a: "1\n", b: "2\n" },
  ruleset: "",
  bpfPrograms: ["1 x"],
  bpfPins: [],
  mounts: ["/ ext4"],
};

test.each([
  ["a new link", { links: ["lo", "eth0", "veth0"] }],
  ["a link that is gone", { links: ["lo"] }],
  ["a route", { routes: ["default", "other"] }],
  ["a changed sysctl", { sysctls: { a: "1\n", b: "3\n" } }],
  ["a new sysctl", { sysctls: { a: "1\n", b: "2\n", c: "0\n" } }],
  ["a sysctl that is gone", { sysctls: { a: "1\n" } }],
  ["a ruleset", { ruleset: "table ip x {\n}\n" }],
  ["a program", { bpfPrograms: ["1 x", "2 y"] }],
  ["a pin", { bpfPins: ["flowlift"] }],
  ["a mount", { mounts: ["/ ext4", "/run/x bpf"] }],
])("listChanges() notices %s", (_what, change) => {
  expect(listChanges(BEFORE, { ...BEFORE, ...change })).toHaveLength(1);
});

test("listChanges() finds nothing where nothing changed", () => {
  expect(listChanges(BEFORE, structuredClone(BEFORE))).toEqual([]);
});
