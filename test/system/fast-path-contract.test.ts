/** The contract suite on the BPF driver: frames run through the loaded program (BPF_PROG_TEST_RUN). */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { BpfDriver } from "../../src/fast-path/bpf/bpf-driver.ts";
import { KernelHostNetwork } from "../../src/fast-path/host-network.ts";
import { runTcProgram } from "../../src/lib/bpf/tc-program.ts";
import { describeDriverContract } from "../fast-path/contract.ts";
import { enterNewNetworkNamespace, run } from "../fast-path/own-namespace.ts";

const TC_ACT_UNSPEC = -1;
const TC_ACT_REDIRECT = 7;
const INTERFACES = ["fpin", "fpout", "fpvm"];
let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "flowlift-fp-"));
  run(`sh src/fast-path/bpf/build.sh ${folder}`);
  enterNewNetworkNamespace();
  for (const name of INTERFACES) {
    run(`ip link add ${name} type veth peer name ${name}p`);
    run(`ip link set ${name} up`);
    run(`ip link set ${name}p up`);
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

describeDriverContract("BPF", async (limits) => {
  const driver = await BpfDriver.open({
    objectFile: join(folder, "flow.bpf.o"),
    limits,
    network: new KernelHostNetwork(),
  });
  const indexOf = (name: string): number => JSON.parse(run(`ip -j link show ${name}`))[0].ifindex;
  const ifindexes = INTERFACES.map(indexOf);
  return {
    driver,
    interfaceNames: INTERFACES,
    play(portId, { bytes, gsoBytes = 0, gsoSegments = 0 }) {
      const ifindex = ifindexes[portId - 1] ?? 0;
      const passedBefore = countPassed(driver);
      const result = runTcProgram(driver.programFd, { bytes, ifindex, gsoBytes, gsoSegments });
      if (result.verdict === TC_ACT_REDIRECT) {
        return { kind: "forwarded", bytes: Buffer.from(result.bytes) };
      }
      expect(result.verdict).toBe(TC_ACT_UNSPEC);
      expect(Buffer.from(result.bytes).equals(bytes)).toBe(true);
      return { kind: countPassed(driver) > passedBefore ? "passed" : "not-ours" };
    },
    close: () => driver.close(),
  };
});

function countPassed(driver: BpfDriver): bigint {
  return driver.readTotals().slots.reduce((sum, slot) => sum + slot.passedPackets, 0n);
}
