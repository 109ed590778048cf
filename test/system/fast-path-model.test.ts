/** Random frames: the BPF program and the TypeScript model must agree on fate, bytes and counters. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BpfDriver } from "../../src/fast-path/bpf/bpf-driver.ts";
import { KernelHostNetwork } from "../../src/fast-path/host-network.ts";
import { MemoryDriver } from "../../src/fast-path/memory/memory-driver.ts";
import { runTcProgram } from "../../src/lib/bpf/tc-program.ts";
import { frameOf, INSIDE_PORT, makeFlow, prepare } from "../fast-path/contract-subject.ts";
import { enterNewNetworkNamespace, run } from "../fast-path/own-namespace.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";

const TC_ACT_REDIRECT = 7;
const INTERFACES = ["fpin", "fpout", "fpvm"];
/** Random cases; `flowlift test --full` runs many more. */
const FRAMES = campaignSize(3000, 300_000);
let folder = "";
let bpf: BpfDriver;
const memory = new MemoryDriver();
const FLOWS = [
  makeFlow(1),
  makeFlow(2, { protocol: 17 }),
  makeFlow(3, { family: 6 }),
  makeFlow(4, { family: 6, protocol: 17 }),
];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "flowlift-fp-"));
  run(`sh src/fast-path/bpf/build.sh ${folder}`);
  enterNewNetworkNamespace();
  for (const name of INTERFACES) {
    run(`ip link add ${name} type veth peer name ${name}p`);
    run(`ip link set ${name} up`);
    run(`ip link set ${name}p up`);
  }
  const network = new KernelHostNetwork();
  bpf = await BpfDriver.open({ objectFile: join(folder, "flow.bpf.o"), network });
  for (const driver of [bpf, memory]) {
    await prepare({
      driver,
      interfaceNames: INTERFACES,
      play: () => ({ kind: "not-ours" }),
      close: async () => {},
    });
    await driver.install(FLOWS);
  }
});
afterAll(async () => {
  await bpf.close();
  rmSync(folder, { recursive: true });
});

/** A flow's packet with some bytes changed, cut or lengthened. */
const mutatedFrame = fc
  .record({
    flow: fc.constantFrom(...FLOWS),
    payloadBytes: fc.integer({ min: 0, max: 1500 }),
    tcpFlags: fc.constantFrom(0x10, 0x18, 0x10, 0x11, 0x02),
    changes: fc.array(
      fc.record({ at: fc.integer({ min: 12, max: 74 }), value: fc.integer({ min: 0, max: 255 }) }),
      { maxLength: 2 },
    ),
    cutBytes: fc.constantFrom(0, 0, 0, 1, 7, 40),
    paddingBytes: fc.constantFrom(0, 0, 0, 6, 18),
    gsoBytes: fc.constantFrom(0, 0, 0, 100, 536, 1448),
  })
  .map(({ flow, payloadBytes, tcpFlags, changes, cutBytes, paddingBytes, gsoBytes }) => {
    const whole = frameOf(flow.original, { payloadBytes, tcpFlags });
    for (const { at, value } of changes) if (at < whole.length) whole.writeUInt8(value, at);
    // The kernel does not run a program on less than the header that the frame's type promises.
    const bytesMin = whole.readUInt16BE(12) === 0x86dd ? 54 : 34;
    const cut = whole.subarray(0, Math.max(bytesMin, whole.length - cutBytes));
    return { bytes: Buffer.concat([cut, Buffer.alloc(paddingBytes)]), gsoBytes };
  });

test(
  `the program and the model agree on every frame (${FRAMES} cases)`,
  campaignOptions(),
  async () => {
    const [link] = JSON.parse(run(`ip -j link show ${INTERFACES[0]}`)) as { ifindex: number }[];
    const ifindex = link!.ifindex;
    const fates = { forwarded: 0, other: 0 };
    fc.assert(
      fc.property(mutatedFrame, (frame) => {
        const model = memory.playFrame(INSIDE_PORT, frame);
        const result = runTcProgram(bpf.programFd, { ...frame, ifindex });
        const isForwarded = result.verdict === TC_ACT_REDIRECT;
        expect(isForwarded).toBe(model.kind === "forwarded");
        // The model computes checksums anew, the program adjusts them: a frame whose checksum was wrong
        // leaves wrong, not repaired.
        const leaves = Buffer.from(result.bytes);
        if (model.kind !== "forwarded") expect(leaves.equals(frame.bytes)).toBe(true);
        else expect(withoutChecksums(leaves)).toBe(withoutChecksums(model.bytes));
        fates[isForwarded ? "forwarded" : "other"]++;
      }),
      { numRuns: FRAMES, examples: [[lengthlessSegmentedFrame()]] },
    );
    expect(fates.forwarded).toBeGreaterThan(FRAMES / 20);
    expect(fates.other).toBeGreaterThan(FRAMES / 20);
    expect((await bpf.totals()).slots).toEqual((await memory.totals()).slots);
    const [ours, theirs] = [await bpf.readCounters("all"), await memory.readCounters("all")];
    expect(ours.map(({ counters }) => counters.original)).toEqual(
      theirs.map(({ counters }) => counters.original),
    );
  },
);

/** Found by this property: a segmented IPv4 frame may state a length of 0 (as above 64 kB). */
function lengthlessSegmentedFrame(): { bytes: Buffer; gsoBytes: number } {
  const bytes = frameOf(makeFlow(1).original, { payloadBytes: 0, tcpFlags: 0x10 });
  bytes.writeUInt16BE(0, 16);
  return { bytes, gsoBytes: 100 };
}

function withoutChecksums(frame: Buffer): string {
  const copy = Buffer.from(frame);
  const isIpv4 = copy.readUInt16BE(12) === 0x0800;
  const protocol = copy.readUInt8(isIpv4 ? 23 : 20);
  if (isIpv4) copy.fill(0, 24, 26);
  const checkAt = (isIpv4 ? 34 : 54) + (protocol === 6 ? 16 : 6);
  copy.fill(0, checkAt, checkAt + 2);
  return copy.toString("hex");
}
