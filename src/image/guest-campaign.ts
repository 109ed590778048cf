/**
 * `test --guest`: the tests of guest-tests.ts on Debian 12's own kernel.
 *
 * Effect: brings the kernel, boots it once for all tests, and tells what they said.
 */
import { join } from "node:path";
import { formatAccelerator } from "../lib/guest/accelerator.ts";
import { ensureGuestKernel, GUEST_KERNEL_PACKAGE } from "./guest-kernel.ts";
import { runInGuest } from "./guest-machine.ts";
import type { GuestEvent, JobOutcome } from "./guest-report.ts";
import { countTests, type GuestTest, planGuestTest } from "./guest-tests.ts";

/** For one test file, in the guest. */
export const FILE_LIMIT_SEC = 900;
const OUTPUT_LINES_SHOWN = 60;

export interface GuestCampaign {
  readonly projectRoot: string;
  readonly tests: readonly GuestTest[];
  /** For the tests, beside what the guest sets. */
  readonly environment: Readonly<Record<string, string>>;
  readonly write: (text: string) => void;
  readonly signal?: AbortSignal;
}

export interface GuestVerdict {
  readonly passed: number;
  readonly failed: number;
  readonly release: string;
  /** Files that did not hold. */
  readonly failures: readonly string[];
}

/** Where what the guest needs is kept, beside the launcher's own files. */
export function guestCacheDirectory(projectRoot: string): string {
  return join(projectRoot, ".flowlift", "guest-kernel");
}

/** Runs the tests. Throws ENVIRONMENT_LACKS when the guest cannot be had. */
export async function runGuestCampaign(campaign: GuestCampaign): Promise<GuestVerdict> {
  const { projectRoot, tests, write } = campaign;
  const say = (line: string): void => write(`${line}\n`);
  const kernel = ensureGuestKernel(guestCacheDirectory(projectRoot), say);
  const jobs = tests.map((test) =>
    planGuestTest(projectRoot, process.execPath, test, campaign.environment),
  );
  say(`booting ${GUEST_KERNEL_PACKAGE.name} ${GUEST_KERNEL_PACKAGE.version} as the host`);
  const started = performance.now();
  const run = await runInGuest({
    kernel,
    projectRoot,
    jobs,
    limitSec: FILE_LIMIT_SEC * tests.length,
    onEvent: (event) => tellEvent(event, say),
    ...(campaign.signal === undefined ? {} : { signal: campaign.signal }),
  });
  const counts = run.outcomes.map((outcome) => countOutcome(outcome));
  const sum = (pick: "passed" | "failed"): number =>
    counts.reduce((total, one) => total + one[pick], 0);
  const failures = tests.filter((_, at) => counts[at]?.failed !== 0).map(({ file }) => file);
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  say(`on ${run.release} by ${formatAccelerator(run.accelerator)}, ${seconds} s`);
  return { passed: sum("passed"), failed: sum("failed"), release: run.release, failures };
}

function countOutcome(outcome: JobOutcome): { readonly passed: number; readonly failed: number } {
  const counts = countTests(outcome.result);
  const isUnexplained = outcome.exitCode !== 0 && counts.failed === 0;
  return isUnexplained ? { ...counts, failed: 1 } : counts;
}

function tellEvent(event: GuestEvent, say: (line: string) => void): void {
  if (event.kind === "kernel") say(`the guest runs ${event.release}`);
  if (event.kind !== "ended") return;
  const { name, output, exitCode } = event.outcome;
  const { passed, failed } = countOutcome(event.outcome);
  say(`  ${failed === 0 ? "held  " : "FAILED"} ${name}: ${passed} passed, ${failed} failed`);
  if (failed === 0) return;
  say(`    exit code ${exitCode ?? "none: the guest ended first"}; its last lines:`);
  for (const line of output.slice(-OUTPUT_LINES_SHOWN)) say(`    ${line}`);
}
