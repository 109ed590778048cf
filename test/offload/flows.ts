/** Flows and places for the tests of the offload engine. */
import type { ConntrackEntry } from "../../src/lib/conntrack/entry.ts";
import { IPS_ASSURED, IPS_CONFIRMED, IPS_SEEN_REPLY } from "../../src/lib/conntrack/entry.ts";
import { MARK_WORTHY } from "../../src/lib/conntrack/mark-bits.ts";
import type { IpAddress, MacAddress } from "../../src/lib/inet/address.ts";
import type { ApplianceInterface, FlowJudgement } from "../../src/lib/service/provider.ts";
import type { Epoch, FlowCounters } from "../../src/offload-protocol/messages.ts";

export const EPOCH = "00000000000000aa" as Epoch;
export const OLD_EPOCH = "0000000000000001" as Epoch;
const INSIDE_MAC = "02:00:00:00:00:01" as MacAddress;
const OUTSIDE_MAC = "02:00:00:00:00:02" as MacAddress;
export const CLIENT_MAC = "02:00:00:00:01:01" as MacAddress;
export const SERVER_MAC = "02:00:00:00:02:01" as MacAddress;

export const INTERFACES: readonly ApplianceInterface[] = [
  { name: "inside", markIndex: 1, mac: INSIDE_MAC, mtuBytes: 1500, prefixes: [] },
  { name: "outside", markIndex: 2, mac: OUTSIDE_MAC, mtuBytes: 1400, prefixes: [] },
];

export const ALLOW: FlowJudgement = {
  allowed: true,
  service: "nat",
  eligible: true,
  rules: [{ attachment: "inside", direction: "ingress", name: "web" }],
  policyTag: 7,
};

const PLACE_MARK = (1 << 8) | (2 << 16);

/** A TCP or UDP flow through NAT, worthy and assured unless told otherwise. */
export function makeEntry(number: number, change: Partial<ConntrackEntry> = {}): ConntrackEntry {
  const protocol = change.original?.protocol ?? 6;
  const sourcePort = 1024 + (number % 60_000);
  const address = `10.0.${number >>> 16}.${1 + ((number >>> 8) % 250)}` as IpAddress;
  const server = "192.0.2.80" as IpAddress;
  return {
    id: 1000 + number,
    zone: 0,
    status: IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED,
    mark: MARK_WORTHY | PLACE_MARK,
    hasSequenceAdjustment: false,
    timeoutSec: protocol === 17 ? 120 : 432_000,
    original: {
      protocol,
      sourceAddress: address,
      sourcePort,
      destinationAddress: server,
      destinationPort: 80,
    },
    reply: {
      protocol,
      sourceAddress: server,
      sourcePort: 80,
      destinationAddress: "198.51.100.1" as IpAddress,
      destinationPort: sourcePort,
    },
    ...change,
  };
}

export function makeUdp(number: number, change: Partial<ConntrackEntry> = {}): ConntrackEntry {
  const entry = makeEntry(number);
  return {
    ...entry,
    timeoutSec: 120,
    original: { ...entry.original, protocol: 17 },
    reply: { ...entry.reply, protocol: 17 },
    ...change,
  };
}

export function counters(packets: bigint, lastUsedMsAgo = 0n): FlowCounters {
  const one = {
    fastPackets: packets,
    fastBytes: packets * 100n,
    passedPackets: 0n,
    passedBytes: 0n,
  };
  return { original: one, reply: one, lastUsedMsAgo };
}
