/**
 * Which tests run inside the guest, and why each must.
 *
 * Pure. One table: a test that needs a feature of Debian 12's kernel is a row here, never a skip there.
 */
import { GUEST_PROJECT, type GuestJob } from "./guest-script.ts";

/** An emulated processor is so much slower; every limit of a test is multiplied by it. */
export const EMULATION_FACTOR = 10;
/** As in vitest.config.ts. */
const TEST_LIMIT_MS = 120_000;

export interface GuestTest {
  /** Below test/, without .test.ts. */
  readonly file: string;
  readonly reason: string;
}

/** The short case of the gate: the kernel boots, and the two things hold that nothing else can stand for. */
export const SMOKE_TESTS: readonly GuestTest[] = [
  { file: "guest/smoke", reason: "flow BPF on 6.1's verifier; nft's queue statement" },
];

/** Everything that a host's kernel decides. */
export const GUEST_TESTS: readonly GuestTest[] = [
  ...SMOKE_TESTS,
  { file: "guest/bridge-vlan", reason: "VLAN filtering in the bridge" },
  { file: "guest/netem", reason: "delay, loss and reordering by netem" },
  { file: "system/fast-path-maps", reason: "batch operations of BPF maps" },
  { file: "system/fast-path-contract", reason: "the driver's contract on 6.1's BPF" },
  { file: "system/fast-path-model", reason: "every frame, judged by 6.1's BPF as by the model" },
  { file: "system/fast-path-traffic", reason: "clsact, redirect and GSO of 6.1" },
  { file: "system/conntrack", reason: "ctnetlink events, overrun and changes of entries" },
  {
    file: "system/services-ruleset",
    reason: "nf_tables transactions; how the kernel reads them back",
  },
  {
    file: "system/services-marks",
    reason: "`ct event set` with mask 0; mark bits and their events",
  },
  { file: "system/services-path", reason: "NAT, zones, ACLs and the balancer on 6.1's netfilter" },
  {
    file: "system/offload-engine",
    reason: "liberal flags, timeouts and marks through 6.1's ctnetlink",
  },
  { file: "system/demo", reason: "the main job, claim by claim" },
];

/** Returns the job that runs one file; `environment` comes from whoever starts the tests. */
export function planGuestTest(
  projectRoot: string,
  nodeProgram: string,
  { file }: GuestTest,
  environment: Readonly<Record<string, string>>,
): GuestJob {
  const project = file.startsWith("guest/") ? "guest" : "system";
  const name = file.replace("/", ":");
  const resultFile = `/run/result-${file.replace("/", "-")}.json`;
  const program = nodeProgram.startsWith(`${projectRoot}/`)
    ? GUEST_PROJECT + nodeProgram.slice(projectRoot.length)
    : nodeProgram;
  const limit = `${TEST_LIMIT_MS * EMULATION_FACTOR}`;
  return {
    name,
    directory: GUEST_PROJECT,
    environment: { ...environment, FLOWLIFT_TEST_SLOWNESS: `${EMULATION_FACTOR}` },
    resultFile,
    argv: [
      ...[program, `${GUEST_PROJECT}/node_modules/vitest/vitest.mjs`, "run"],
      ...["--project", project, `--testTimeout=${limit}`, `--hookTimeout=${limit}`],
      ...["--reporter=default", "--reporter=json", `--outputFile.json=${resultFile}`],
      `test/${file}.test.ts`,
    ],
  };
}

/** Returns how many tests of a vitest result passed and did not; a job without a result failed once. */
export function countTests(result: string | undefined): {
  readonly passed: number;
  readonly failed: number;
} {
  const counts = result === undefined ? undefined : readCounts(result);
  if (counts === undefined) return { passed: 0, failed: 1 };
  // Inside the guest nothing is skipped: what did not pass did not hold.
  return { passed: counts.passed, failed: Math.max(counts.total - counts.passed, 0) };
}

function readCounts(text: string): { readonly passed: number; readonly total: number } | undefined {
  try {
    const { numPassedTests, numTotalTests } = JSON.parse(text) as Record<string, unknown>;
    if (typeof numPassedTests !== "number" || typeof numTotalTests !== "number") return undefined;
    return { passed: numPassedTests, total: numTotalTests };
  } catch {
    return undefined;
  }
}
