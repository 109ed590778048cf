/** What the counter law calls an error, and what a reason explains. */
import { expect, test } from "vitest";
import { balanceOf, type Reading } from "../../src/cli/demo/counter-law.ts";
import {
  type PacketSum,
  parseConntrack,
  parseSnmp,
  parseSnmp6,
  type VmAccountReading,
} from "../../src/lab/vm-account.ts";

const sum = (packets: number): PacketSum => ({ packets, bytes: packets * 100 });
const NOTHING: VmAccountReading = {
  delivered: sum(0),
  originated: sum(0),
  ruleset: { firewall: sum(0), invalid: sum(0) },
  kernel: { IpInDiscards: 0 },
};
const OPENING: Reading = {
  endpointsSent: sum(0),
  endpointsReceived: sum(0),
  vmSent: sum(0),
  vmReceived: sum(0),
  fast: sum(0),
  passed: sum(0),
  inside: NOTHING,
};
/** 100 sent: 60 by the fast path, 40 through the VM, of which 5 are dropped, 3 end there and 2 begin there. */
const INSIDE: VmAccountReading = {
  ...NOTHING,
  delivered: sum(3),
  originated: sum(2),
  ruleset: { firewall: sum(4), invalid: sum(1) },
};
const NOW: Reading = {
  endpointsSent: sum(100),
  fast: sum(60),
  passed: sum(40),
  vmReceived: sum(40),
  vmSent: sum(34),
  endpointsReceived: sum(94),
  inside: INSIDE,
};

test("drops counted by reason explain what did not arrive", () => {
  expect(balanceOf(OPENING, NOW)).toEqual({
    throughFastPath: sum(60),
    throughVm: sum(40),
    errorPackets: 0,
    errorBytes: 0,
    drops: { firewall: 4, invalid: 1 },
  });
});

test.each([1, -1])("%i packet that no reason explains is an error of one", (one) => {
  const dropped = { ...NOW, vmSent: sum(34 - one), endpointsReceived: sum(94 - one) };
  expect(balanceOf(OPENING, dropped)).toMatchObject({ errorPackets: 1, errorBytes: 100 });
});

test("what two places lose and gain does not cancel", () => {
  const moved = { ...NOW, endpointsReceived: sum(95), passed: sum(39), fast: sum(61) };
  expect(balanceOf(OPENING, moved).errorPackets).toBe(1);
  const inside = { ...INSIDE, delivered: sum(4) };
  const both = { ...NOW, inside, endpointsReceived: sum(95) };
  expect(balanceOf(OPENING, both).errorPackets).toBe(2);
});

test.each([
  [20, 0],
  [19, 19],
  [65_575, 0],
  [65_576, 65_576],
])("the kernel counts no bytes: one packet may have been %i bytes, error %i", (bytes, error) => {
  const inside = { ...INSIDE, kernel: { IpInDiscards: 1 } };
  const vmSent = { packets: 33, bytes: 3400 - bytes };
  const endpointsReceived = { packets: 93, bytes: 9400 - bytes };
  expect(balanceOf(OPENING, { ...NOW, inside, vmSent, endpointsReceived })).toMatchObject({
    errorPackets: 0,
    errorBytes: error,
    drops: { IpInDiscards: 1 },
  });
});

test("only what happened since the opening counts, and a VM's inside is nobody's", () => {
  expect(balanceOf(NOW, NOW)).toMatchObject({ errorPackets: 0, errorBytes: 0, drops: {} });
  const outside = balanceOf({ ...OPENING, inside: undefined }, { ...NOW, inside: undefined });
  expect(outside).toEqual({
    throughFastPath: sum(60),
    throughVm: sum(40),
    errorPackets: 0,
    errorBytes: 0,
  });
});

test("the kernel's files are read by the names of their columns", () => {
  expect(
    parseSnmp("Ip: Forwarding InHdrErrors InDiscards\nIp: 1 7 8\nIpExt: InNoRoutes\nIpExt: 9\n"),
  ).toEqual({ IpInHdrErrors: 7, IpInDiscards: 8, IpExtInNoRoutes: 9 });
  expect(parseSnmp6("Ip6InReceives  \t3\nIp6InNoRoutes   \t4\n")).toMatchObject({
    Ip6InNoRoutes: 4,
    Ip6InDiscards: 0,
  });
  const text = "entries clashres drop chaintoolong\n00000001 0 0000000a 1\n00000001 0 00000001 0\n";
  expect(parseConntrack(text)).toEqual({ "conntrack-drop": 11, "conntrack-chaintoolong": 1 });
});
