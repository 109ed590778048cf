import { expect, test } from "vitest";
import type { ConntrackTuple } from "../../src/lib/conntrack/entry.ts";
import type { IpAddress } from "../../src/lib/inet/address.ts";
import type { Hop } from "../../src/offload/engine-types.ts";
import { findPath, InterfaceIndex, rewriteOf } from "../../src/offload/flow-path.ts";
import { RULES_TALLIED_MAX, Tally } from "../../src/offload/tally.ts";
import { CLIENT_MAC, counters, INTERFACES, makeEntry } from "./flows.ts";

const tuple = (source: string, sourcePort: number, to: string, port: number): ConntrackTuple => ({
  sourceAddress: source as IpAddress,
  sourcePort,
  destinationAddress: to as IpAddress,
  destinationPort: port,
  protocol: 6,
});

test.each<[string, ConntrackTuple, ConntrackTuple, object]>([
  ["no translation", tuple("1.1.1.1", 5, "2.2.2.2", 80), tuple("2.2.2.2", 80, "1.1.1.1", 5), {}],
  [
    "source translation",
    tuple("1.1.1.1", 5, "2.2.2.2", 80),
    tuple("2.2.2.2", 80, "9.9.9.9", 7),
    { sourceAddress: "9.9.9.9", sourcePort: 7 },
  ],
  [
    "destination translation",
    tuple("1.1.1.1", 5, "2.2.2.2", 80),
    tuple("3.3.3.3", 8080, "1.1.1.1", 5),
    { destinationAddress: "3.3.3.3", destinationPort: 8080 },
  ],
  [
    "both",
    tuple("1.1.1.1", 5, "2.2.2.2", 80),
    tuple("3.3.3.3", 80, "9.9.9.9", 5),
    { destinationAddress: "3.3.3.3", sourceAddress: "9.9.9.9" },
  ],
])("rewriteOf() finds %s", (_, original, reply, rewrite) => {
  expect(rewriteOf(original, reply)).toEqual(rewrite);
});

const hop: Hop = { kind: "hop", interfaceName: "inside", nextHop: CLIENT_MAC, mtuBytes: 9000 };

test.each<[string, Hop, string]>([
  ["an unresolved neighbour", { kind: "unresolved" }, "unresolved"],
  ["the appliance itself", { kind: "not-forwarded" }, "not-forwarded"],
  ["an interface that is not the appliance's", { ...hop, interfaceName: "lo" }, "not-forwarded"],
  ["a known neighbour", hop, "path"],
])("findPath() towards %s", (_, onward, kind) => {
  const interfaces = new InterfaceIndex(INTERFACES);
  const entry = makeEntry(1);
  const locate = (to: IpAddress): Hop => (to === entry.reply.sourceAddress ? onward : hop);
  expect(findPath(entry, interfaces, locate).kind).toBe(kind);
});

test("findPath() tells the smaller of interface's and route's MTU", () => {
  const path = findPath(makeEntry(1), new InterfaceIndex(INTERFACES), () => hop);
  expect(path).toMatchObject({ original: { egress: { mtuBytes: 1500 } } });
});

test.each([
  [RULES_TALLIED_MAX - 1, RULES_TALLIED_MAX - 1],
  [RULES_TALLIED_MAX, RULES_TALLIED_MAX],
  [RULES_TALLIED_MAX + 1, RULES_TALLIED_MAX + 1],
  [RULES_TALLIED_MAX + 2, RULES_TALLIED_MAX + 1],
])("Tally keeps %i rules in %i lines, and loses no packet", (count, lines) => {
  const tally = new Tally();
  for (let index = 0; index < count; index++) {
    const rule = { attachment: "a", direction: "ingress" as const, name: `r${index}` };
    tally.addTraffic([rule], counters(1n));
  }
  const traffic = tally.traffic([]);
  expect(traffic).toHaveLength(lines);
  const sum = traffic.reduce((total, { fastPackets }) => total + fastPackets, 0n);
  expect(sum).toBe(2n * BigInt(count));
});
