import { afterEach, beforeEach, expect, test } from "vitest";
import type { ConntrackEntry } from "../../src/lib/conntrack/entry.ts";
import { IPS_ASSURED } from "../../src/lib/conntrack/entry.ts";
import { ENOENT } from "../../src/lib/netlink/socket.ts";
import { ConntrackLab, type LabProcess } from "./conntrack-lab.ts";

const RULESET = `
table ip t {
  chain forward { type filter hook forward priority 0; ct state new accept; }
  chain postrouting { type nat hook postrouting priority 100; oifname "out0" masquerade; }
}
`;
const FLOWS = 20_000;
const ROOMY_BYTES = 64 * 1024 * 1024;
const TINY_BYTES = 4096;

interface Count {
  readonly kinds: Readonly<Record<"new" | "update" | "destroy" | "overrun", number>>;
  readonly fresh: number;
  readonly replies: readonly string[];
}

let lab: ConntrackLab;

beforeEach(() => {
  lab = new ConntrackLab();
  lab.up(RULESET);
});

afterEach(() => lab.down());

async function makeUdpFlows(count: number): Promise<void> {
  const traffic = lab.start("client", "conntrack-traffic.mjs", "udp", "10.9.2.2", String(count));
  expect(await traffic.line()).toBe("DONE");
}

async function countUntil(probe: LabProcess, enough: (count: Count) => boolean): Promise<Count> {
  for (let attempt = 0; ; attempt++) {
    const count = await probe.ask<Count>("count");
    if (enough(count) || attempt >= 100) return count;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test("each of 20,000 new flows makes its event, with the translated reply tuple, and none is lost", async () => {
  const probe = lab.probe(ROOMY_BYTES);
  expect(await probe.line()).toBe("READY");
  await makeUdpFlows(FLOWS);
  const count = await countUntil(probe, ({ fresh }) => fresh >= FLOWS);
  expect(count.fresh).toBe(FLOWS);
  expect(count.kinds.overrun).toBe(0);
  for (const reply of count.replies) expect(reply).toMatch(/^10\.9\.2\.2 \d+ 10\.9\.2\.1$/);
  expect(await probe.ask<{ udp: number }>("dump")).toMatchObject({ udp: FLOWS });
  expect(await probe.stop()).toBe(0);
});

test("a buffer that is too small makes an overrun, and a dump finds every flow", async () => {
  const probe = lab.probe(TINY_BYTES);
  expect(await probe.line()).toBe("READY");
  await makeUdpFlows(FLOWS);
  const count = await countUntil(probe, ({ kinds }) => kinds.overrun > 0);
  expect(count.kinds.overrun).toBeGreaterThan(0);
  expect(count.fresh).toBeLessThan(FLOWS);
  expect(await probe.ask<{ udp: number }>("dump")).toMatchObject({ udp: FLOWS });
  await probe.stop();
});

test("an entry's timeout, mark, assurance and liberal flags change, and it can be deleted", async () => {
  const probe = lab.probe(ROOMY_BYTES);
  expect(await probe.line()).toBe("READY");
  const server = lab.start("server", "conntrack-traffic.mjs", "tcp-server", "80");
  expect(await server.line()).toBe("READY");
  const client = lab.start("client", "conntrack-traffic.mjs", "tcp", "10.9.2.2", "80", "quiet");
  expect(await client.line()).toBe("READY");

  const changed = await probe.ask<{
    outcomes: (number | null)[];
    entry: ConntrackEntry;
    missing?: ConntrackEntry;
  }>("change");
  expect(changed.outcomes).toEqual([ENOENT, null]);
  expect(changed.missing).toBeUndefined();
  expect(changed.entry).toMatchObject({ mark: 8, tcpState: 3, liberal: true });
  expect(changed.entry.timeoutSec).toBeGreaterThan(770);
  expect(changed.entry.timeoutSec).toBeLessThanOrEqual(777);
  expect(changed.entry.status & IPS_ASSURED).toBe(IPS_ASSURED);
  expect(Number(changed.entry.originalCounters?.packets)).toBeGreaterThanOrEqual(3);
  expect(await probe.ask("dump")).toMatchObject({ marked: 1 });

  const deleted = await probe.ask<{ outcomes: (number | null)[]; entry?: unknown }>("delete");
  expect(deleted).toEqual({ outcomes: [null, ENOENT] });
  const { kinds } = await countUntil(probe, (count) => count.kinds.destroy > 0);
  expect(kinds.destroy).toBe(1);
  expect(kinds.new).toBe(1);
  await probe.stop();
});
