/** What a status file of /proc says about capabilities. */
import { expect, test } from "vitest";
import { listMissingCapabilities } from "../../src/lib/base/capabilities.ts";

const bits = (...numbers: bigint[]): string =>
  `Name:\tnode\nCapEff:\t${numbers
    .reduce((sum, bit) => sum | (1n << bit), 0n)
    .toString(16)
    .padStart(16, "0")}\nCapBnd:\tffff\n`;

test.each([
  ["nothing held: all are missing", bits(), ["CAP_NET_ADMIN", "CAP_BPF"]],
  ["both held", bits(12n, 39n), []],
  ["CAP_SYS_ADMIN grants CAP_BPF, not CAP_NET_ADMIN", bits(21n), ["CAP_NET_ADMIN"]],
  ["the neighbouring bits grant nothing", bits(11n, 13n, 38n, 40n), ["CAP_NET_ADMIN", "CAP_BPF"]],
  ["no such line: all are missing", "Name:\tnode\n", ["CAP_NET_ADMIN", "CAP_BPF"]],
])("listMissingCapabilities(): %s", (_what, status, missing) => {
  expect(listMissingCapabilities(status, ["CAP_NET_ADMIN", "CAP_BPF"])).toEqual(missing);
});
