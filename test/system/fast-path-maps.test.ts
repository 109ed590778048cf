/** Maps, programs and counters on the real kernel: batches at their bound, loads that fail, a counter's word. */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EndpointCounter } from "../../src/lab/endpoint-counter.ts";
import { BATCH_ENTRIES_MAX } from "../../src/lib/bpf/bpf-map.ts";
import { BpfObject } from "../../src/lib/bpf/bpf-object.ts";
import { mac } from "../fast-path/frames.ts";
import { run } from "../fast-path/own-namespace.ts";

const NAMESPACE = `fpm${randomBytes(3).toString("hex")}`;
const A = mac("02:00:00:00:0a:01");
const B = mac("02:00:00:00:0a:02");
let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "flowlift-fp-"));
  run(`sh src/fast-path/bpf/build.sh ${folder}`);
});
afterAll(() => {
  for (const name of [`${NAMESPACE}a`, `${NAMESPACE}b`]) {
    try {
      execFileSync("ip", ["netns", "del", name], { stdio: "ignore" });
    } catch {
      // It was never made.
    }
  }
  rmSync(folder, { recursive: true });
});

test("build.sh leaves objects alone that are newer than their sources", () => {
  const before = statSync(join(folder, "flow.bpf.o")).mtimeMs;
  run(`sh src/fast-path/bpf/build.sh ${folder}`);
  expect(statSync(join(folder, "flow.bpf.o")).mtimeMs).toBe(before);
});

test.each([BATCH_ENTRIES_MAX - 1, BATCH_ENTRIES_MAX, BATCH_ENTRIES_MAX + 1])(
  "a batch of %i elements is written, read back whole and deleted",
  (count) => {
    const object = BpfObject.load(join(folder, "flow.bpf.o"), {
      entriesMax: { flow_vnics: BATCH_ENTRIES_MAX + 1 },
    });
    const map = object.map("flow_vnics");
    const keys = Buffer.alloc(12 * count);
    const values = Buffer.alloc(4 * count);
    for (let index = 0; index < count; index++) {
      keys.writeUInt32LE(index, 12 * index);
      values.writeUInt32LE(index ^ 0x5555, 4 * index);
    }
    map.updateBatch(keys, values);
    const seen = new Map<number, number>();
    map.forEachBatch((entries) => {
      for (let position = 0; position < entries.count; position++) {
        const key = Buffer.from(entries.keys).readUInt32LE(12 * position);
        seen.set(key, Buffer.from(entries.values).readUInt32LE(4 * position));
      }
      return true;
    });
    expect(seen.size).toBe(count);
    expect([...seen].every(([key, value]) => value === (key ^ 0x5555))).toBe(true);
    map.deleteBatch(keys);
    expect(map.lookup(keys.subarray(0, 12))).toBeUndefined();
    expect(map.destroy(keys.subarray(0, 12))).toBe(false);
    object.close();
  },
);

test("BpfObject.load() of a file that is missing or no object fails with what it tried", () => {
  for (const file of ["/nonexistent.o", "/etc/hostname"]) {
    expect(() => BpfObject.load(file, { entriesMax: {} })).toThrow(
      `Cannot open BPF object "${file}"`,
    );
  }
});

test("EndpointCounter counts exactly what crosses the interface to and from the addresses", () => {
  const [a, b] = [`${NAMESPACE}a`, `${NAMESPACE}b`];
  for (const command of [
    `ip netns add ${a}`,
    `ip netns add ${b}`,
    `ip -n ${a} link add e0 address ${A} type veth peer name e1 netns ${b} address ${B}`,
    `ip -n ${a} addr add 192.0.2.1/24 dev e0`,
    `ip -n ${b} addr add 192.0.2.2/24 dev e1`,
    `ip -n ${a} link set e0 up`,
    `ip -n ${b} link set e1 up`,
  ]) {
    run(command);
  }
  const options = { netnsPath: `/run/netns/${a}`, interfaceName: "e0" };
  const objectFile = join(folder, "count.bpf.o");
  const counter = EndpointCounter.attach({ ...options, macs: [B], objectFile });
  run(`ip netns exec ${a} ping -q -c 5 -i 0.01 -s 100 192.0.2.2`);
  const bytes = BigInt(5 * (20 + 8 + 100));
  expect(counter.read()).toEqual({
    received: { packets: 5n, bytes },
    sent: { packets: 5n, bytes },
  });
  counter.detach();
  run(`ip netns exec ${a} ping -q -c 1 192.0.2.2`);
  expect(run(`ip netns exec ${a} tc filter show dev e0 ingress`)).toBe("");
  // Another address is not counted, a small payload's padding neither.
  const other = EndpointCounter.attach({ ...options, macs: [A], objectFile });
  run(`ip netns exec ${a} ping -q -c 1 192.0.2.2`);
  expect(other.read().sent).toEqual({ packets: 0n, bytes: 0n });
  other.detach();
});
