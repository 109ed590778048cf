/** What the ruleset tells the offload engine, seen as the engine sees it: by conntrack events. */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { CommitOutcome } from "../../src/appliance/settings.ts";
import { IPS_ASSURED } from "../../src/lib/conntrack/entry.ts";
import {
  MARK_CLOSING,
  MARK_ELIGIBLE,
  MARK_SERVICE_FIREWALL,
  MARK_SERVICE_MASK,
  MARK_SERVICE_NAT,
  MARK_WORTHY,
} from "../../src/lib/conntrack/mark-bits.ts";
import { acl, aclConfig, natConfig, zoneConfig } from "../appliance/configs.ts";
import { buildProgram, DataProcess, Testbed } from "../appliance/testbed.ts";
import { ask, hold, many, serve, sleep, untilEchoes } from "../appliance/traffic.ts";

interface SeenEvent {
  readonly kind: "new" | "update" | "destroy";
  readonly mark: number;
  readonly status: number;
  readonly port: number;
}

const bed = new Testbed();
const PROGRAM = fileURLToPath(new URL("../appliance/conntrack-events.mjs", import.meta.url));
let data: DataProcess;
let events: SeenEvent[] = [];

beforeAll(async () => {
  const entry = buildProgram();
  bed.link(
    { netns: "client", dev: "eth0", addresses: ["10.0.0.10/24"] },
    { netns: "vnf", dev: "lan", addresses: ["10.0.0.1/24"] },
  );
  bed.link(
    { netns: "server", dev: "eth0", addresses: ["192.0.2.10/24"] },
    { netns: "vnf", dev: "wan", addresses: ["192.0.2.1/24"] },
  );
  bed.exec("client", ["ip", "route", "add", "default", "via", "10.0.0.1"]);
  bed.exec("server", ["ip", "route", "add", "default", "via", "192.0.2.1"]);
  data = await DataProcess.start(bed, entry, "vnf", ["lan", "wan"]);
  await serve(bed, "server", [80, 81, 82]);
  const listener = bed.spawn("vnf", [process.execPath, PROGRAM, entry.replace("/cli/main.js", "")]);
  let rest = "";
  await new Promise<void>((resolve) => {
    listener.stdout?.on("data", (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line === "READY") resolve();
        else events.push(JSON.parse(line) as SeenEvent);
      }
    });
  });
});
afterAll(async () => {
  await data?.stop();
  bed.close();
});

/** Returns what happened while `work` ran, and shortly after. */
async function watchAll(work: () => Promise<unknown>): Promise<readonly SeenEvent[]> {
  events = [];
  await work();
  await sleep(150);
  return events;
}

/** Like watchAll, without ends: those of the flows before may still come. */
async function watch(work: () => Promise<unknown>): Promise<readonly SeenEvent[]> {
  return (await watchAll(work)).filter(({ kind }) => kind !== "destroy");
}

const ZONES = zoneConfig([{ name: "out", from: "inside", to: "outside", action: "accept" }]);

test("connect-and-close makes no event at all, nor does its deletion, at the default worthiness", async () => {
  await data.commit(ZONES);
  const seen = await watchAll(() =>
    many(bed, "client", { host: "192.0.2.10", port: 80, count: 50 }),
  );
  expect(seen).toEqual([]);
  let outcome: unknown;
  const cut = await watchAll(async () => {
    outcome = await data.commit(zoneConfig([]));
  });
  expect((outcome as CommitOutcome).cutFlows).toBeGreaterThanOrEqual(50);
  expect(cut).toEqual([]);
});

test("a worthy flow tells its end", async () => {
  await data.commit(ZONES);
  const held = hold(bed, "client", "192.0.2.10", 80);
  await untilEchoes([held], 20);
  const cut = await watchAll(() => data.commit(zoneConfig([])));
  expect(cut.map(({ kind }) => kind)).toEqual(["destroy"]);
  held.close();
});

test("a flow becomes worthy once: service, place, assured; and tells its closing once", async () => {
  for (const [config, service] of [
    [ZONES, MARK_SERVICE_FIREWALL],
    [natConfig(["192.0.2.1/32"]), MARK_SERVICE_NAT],
  ] as const) {
    await data.commit(config);
    const held = hold(bed, "client", "192.0.2.10", 80);
    const seen = await watch(() => untilEchoes([held], 20));
    const [worthy, ...more] = seen;
    expect(more).toEqual([]);
    expect(worthy?.mark).toBe(0x0002_0100 | MARK_ELIGIBLE | MARK_WORTHY | service);
    expect((worthy?.mark ?? 0) & MARK_SERVICE_MASK).toBe(service);
    expect((worthy?.status ?? 0) & IPS_ASSURED).toBe(IPS_ASSURED);
    const closing = await watch(async () => held.close());
    expect(closing.map((event) => event.mark & MARK_CLOSING)).toEqual([MARK_CLOSING]);
  }
});

test("with worthiness 0 every flow is worthy from its first packet", async () => {
  await data.commit({ ...ZONES, "flowlift-zones:offload-policy": { "worthiness-packets": 0 } });
  const seen = await watch(() =>
    ask(bed, "client", [{ protocol: "udp", host: "192.0.2.10", port: 81 }]),
  );
  expect(seen[0]?.mark).toBe(0x0002_0100 | MARK_ELIGIBLE | MARK_WORTHY | MARK_SERVICE_FIREWALL);
});

test.each([
  ["offload is disabled", { "flowlift-zones:offload-policy": { enabled: false } }],
  [
    "the zone policy keeps its flows",
    zoneConfig([{ name: "out", from: "inside", to: "outside", action: "accept", offload: false }]),
  ],
  [
    "an ingress ACE looks at a per-packet field",
    aclConfig(
      [
        acl(
          "ttl",
          [
            { name: "odd", matches: { ipv4: { ttl: 7 } }, forwarding: "drop" },
            { name: "rest", forwarding: "accept" },
          ],
          "ipv4",
        ),
      ],
      [["lan", "ingress", "ttl"]],
    ),
  ],
  [
    "an egress ACE looks at a per-packet field",
    aclConfig(
      [
        acl(
          "ttl",
          [
            { name: "odd", matches: { ipv4: { dscp: 7 } }, forwarding: "drop" },
            { name: "rest", forwarding: "accept" },
          ],
          "ipv4",
        ),
      ],
      [["wan", "egress", "ttl"]],
    ),
  ],
])("a flow is never worthy when %s", async (_, config) => {
  await data.commit({ ...ZONES, ...config });
  const held = hold(bed, "client", "192.0.2.10", 82);
  const seen = await watch(() => untilEchoes([held], 20));
  expect(seen).toEqual([]);
  held.close();
});
