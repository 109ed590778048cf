/** The guest's part of `flowlift test`. Effect: boots Debian 12's own kernel, prints what its tests said. */
import { isAbsolute, relative } from "node:path";
import { runGuestCampaign } from "../image/guest-campaign.ts";
import { GUEST_TESTS } from "../image/guest-tests.ts";
import { describeError, FlowliftError } from "../lib/base/errors.ts";
import { EXIT_CLAIM_FAILED, EXIT_ENVIRONMENT, EXIT_HELD } from "../lib/base/exit-code.ts";

export interface GuestStep {
  readonly passed: number;
  readonly failed: number;
  readonly exitCode: number;
}

/** Runs every test of the table in the guest. `distDirectory`: the build that the labs run. */
export async function runGuestStep(root: string, distDirectory: string): Promise<GuestStep> {
  const ended = new AbortController();
  const end = (): void => ended.abort();
  process.once("SIGINT", end);
  process.once("SIGTERM", end);
  const dist = isAbsolute(distDirectory) ? relative(root, distDirectory) : distDirectory;
  try {
    const verdict = await runGuestCampaign({
      projectRoot: root,
      tests: GUEST_TESTS,
      environment: { FLOWLIFT_TEST_DIST: dist },
      write: (text) => process.stdout.write(text),
      signal: ended.signal,
    });
    const held = verdict.failed === 0;
    return { ...verdict, exitCode: held ? EXIT_HELD : EXIT_CLAIM_FAILED };
  } catch (error) {
    if (!(error instanceof FlowliftError)) throw error;
    process.stdout.write(`${describeError(error)}\n`);
    return { passed: 0, failed: 1, exitCode: EXIT_ENVIRONMENT };
  } finally {
    process.removeListener("SIGINT", end);
    process.removeListener("SIGTERM", end);
  }
}
