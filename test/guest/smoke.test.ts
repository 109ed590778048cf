/** The kernel that users' hosts run: the fast path and the queue statement hold on it. */
import { spawn } from "node:child_process";
import { release } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { FastPathDriver } from "../../src/fast-path/driver.ts";
import { GUEST_KERNEL_RELEASE } from "../../src/image/guest-kernel.ts";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { clientFlow } from "../fast-path/traffic-flow.ts";
import type { TrafficLab } from "../fast-path/traffic-lab.ts";
import { askUdp, openGuestLab, UDP_BYTES, UDP_PORT, waitFor } from "./guest-lab.ts";

const QUEUE_SCRIPT = join(findProjectRoot(), "test", "guest", "nfqueue.py");
const UDP = 17;
const IP_AND_UDP_BYTES = 28;

let lab: TrafficLab;
let driver: FastPathDriver;
beforeAll(async () => {
  ({ lab, driver } = await openGuestLab());
});
afterAll(() => lab.destroy());

test("the kernel is Debian 12's own", () => {
  expect(release()).toBe(GUEST_KERNEL_RELEASE);
});

test("the fast path's program is loaded, passes packets to the VM, redirects them, and passes again", async () => {
  const sourcePort = 20_004;
  const connection = { family: 4, protocol: UDP, sourcePort, destinationPort: UDP_PORT } as const;
  await waitFor(async () => (await askUdp(lab, sourcePort, 3)) === 3);
  const flow = clientFlow(1, connection);
  expect(await driver.install([flow])).toEqual([{ handle: 1, outcome: "installed" }]);
  const before = lab.vmReceived();
  expect(await askUdp(lab, sourcePort, 50)).toBe(50);
  expect(lab.vmReceived() - before).toBeLessThan(10);
  const [outcome] = await driver.withdraw([1]);
  const counters = { fastPackets: 50n, fastBytes: 50n * BigInt(UDP_BYTES + IP_AND_UDP_BYTES) };
  expect(outcome).toMatchObject({
    outcome: "withdrawn",
    counters: { original: counters, reply: counters },
  });
  const passed = lab.vmReceived();
  expect(await askUdp(lab, sourcePort, 20)).toBe(20);
  expect(lab.vmReceived() - passed).toBeGreaterThanOrEqual(40);
});

test("a queue statement holds a first packet until user space's mark chooses its translation", async () => {
  // What the first-packet hook does: queued before dstnat, the verdict's mark picks the destination.
  const ruleset = `table ip early {
    chain first { type filter hook prerouting priority -150; ip daddr 10.1.0.9 ct state new queue num 7; }
    chain choose { type nat hook prerouting priority -100; meta mark 0x2a dnat to 198.51.100.2; }
  }`;
  lab.exec("v", "sh", "-c", `printf '%s' "${ruleset}" | nft -f -`);
  expect(lab.exec("v", "nft", "list", "table", "ip", "early")).toContain("queue");
  lab.exec("v", "ip", "addr", "add", "10.1.0.9/32", "dev", "va");
  const ask = () =>
    lab.exec("c", "sh", "-c", "ping -c1 -W1 10.1.0.9 >/dev/null && echo yes || echo no");
  expect(ask().trim()).toBe("no"); // Nobody listens: the packet is dropped.
  const words = ["netns", "exec", lab.netns("v"), "python3", QUEUE_SCRIPT, "7", "42", "1"];
  const listener = spawn("ip", words, { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const lines = createInterface({ input: listener.stdout })[Symbol.asyncIterator]();
    expect((await lines.next()).value).toBe("READY");
    expect(ask().trim()).toBe("yes");
    expect((await lines.next()).value).toBe("84");
  } finally {
    listener.kill("SIGKILL");
  }
  const entry = lab.exec("v", "conntrack", "-L", "-d", "10.1.0.9");
  expect(entry).toContain("src=198.51.100.2"); // The reply comes from where the mark led to.
});
