import { expect, test } from "vitest";
import type { ConntrackEntry } from "../../src/lib/conntrack/entry.ts";
import type { IpAddress } from "../../src/lib/inet/address.ts";
import { parseNatConfig } from "../../src/nat/config.ts";
import { MAPPINGS_SHOWN_MAX, NatStateCollector } from "../../src/nat/state.ts";
import { natConfig } from "../appliance/configs.ts";

function entry(id: number, external: string): ConntrackEntry {
  const [client, server] = ["10.0.0.9", "198.51.100.1"] as IpAddress[] as [IpAddress, IpAddress];
  return {
    ...{ id, zone: 0, status: 0, mark: 0, hasSequenceAdjustment: false },
    original: {
      ...{ protocol: 17, sourceAddress: client, sourcePort: 1024 + (id % 60_000) },
      ...{ destinationAddress: server, destinationPort: 53 },
    },
    reply: {
      ...{ protocol: 17, sourceAddress: server, sourcePort: 53 },
      ...{ destinationAddress: external as IpAddress, destinationPort: 1024 + (id % 60_000) },
    },
    originalCounters: { packets: 2n, bytes: 100n },
    replyCounters: { packets: 1n, bytes: 50n },
  };
}

function read(entries: readonly ConntrackEntry[]) {
  const config = parseNatConfig(natConfig(["192.0.2.1/32"]), { interfaces: [] });
  if (!config.ok) throw new Error(config.error.message);
  const collector = new NatStateCollector();
  for (const item of entries) collector.add(item);
  const data = collector.read(config.value, new Map(), "2026-11-21T00:00:00Z") as never;
  const [instance] = data["ietf-nat:nat"]["instances"]["instance"] as [never];
  return instance as {
    "mapping-table"?: { "mapping-entry": unknown[] };
    statistics: { "mappings-statistics": object; "traffic-statistics": object };
  };
}

test.each([
  [MAPPINGS_SHOWN_MAX - 1, MAPPINGS_SHOWN_MAX - 1],
  [MAPPINGS_SHOWN_MAX, MAPPINGS_SHOWN_MAX],
  [MAPPINGS_SHOWN_MAX + 1, MAPPINGS_SHOWN_MAX],
])("of %d mappings %d are shown and all are counted", (count, shown) => {
  const entries = Array.from({ length: count }, (_, index) => entry(index + 1, "192.0.2.1"));
  const instance = read(entries);
  expect(instance["mapping-table"]?.["mapping-entry"]).toHaveLength(shown);
  expect(instance.statistics["mappings-statistics"]).toMatchObject({
    "total-port-mappings": count,
    "total-active-subscribers": 1,
  });
  expect(instance.statistics["traffic-statistics"]).toMatchObject({
    "sent-packets": `${2 * count}`,
  });
});

test("a flow whose source is not translated is no mapping", () => {
  expect(read([entry(1, "10.0.0.9")])["mapping-table"]).toBeUndefined();
});
