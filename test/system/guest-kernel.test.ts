/** Debian 12's own kernel as the host, booted under QEMU: the short case of `flowlift test --guest`. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { guestCacheDirectory, runGuestCampaign } from "../../src/image/guest-campaign.ts";
import {
  checkDigest,
  ensureGuestKernel,
  GUEST_KERNEL_RELEASE,
} from "../../src/image/guest-kernel.ts";
import { runInGuest } from "../../src/image/guest-machine.ts";
import { SMOKE_TESTS } from "../../src/image/guest-tests.ts";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { LAB_DIST_DIRECTORY } from "../support/lab-dist.ts";

const ROOT = findProjectRoot();
/** With the first download of the kernel. */
const SMOKE_LIMIT_MS = 600_000;

test(
  "flow BPF passes and redirects, and the queue statement works, on Debian 12's kernel",
  async () => {
    let text = "";
    const verdict = await runGuestCampaign({
      projectRoot: ROOT,
      tests: SMOKE_TESTS,
      environment: { FLOWLIFT_TEST_DIST: LAB_DIST_DIRECTORY },
      write: (words) => {
        text += words;
      },
    });
    expect(verdict, text).toEqual({
      passed: 3,
      failed: 0,
      release: GUEST_KERNEL_RELEASE,
      failures: [],
    });
  },
  SMOKE_LIMIT_MS,
);

test(
  "exit codes, output and what never ran come back; the machine's files stay as they are",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "flowlift-guest-jobs-"));
    try {
      writeFileSync(join(folder, "mine"), "as it was");
      const job = (name: string, script: string) => ({
        name,
        argv: ["sh", "-c", script],
        directory: folder,
        environment: { WORD: "it's" },
      });
      const run = await runInGuest({
        kernel: ensureGuestKernel(guestCacheDirectory(ROOT), () => {}),
        projectRoot: folder,
        jobs: [
          job("writes", 'echo changed > mine && cat /srv/flowlift/mine && echo "$WORD"'),
          { ...job("fails", "echo '{\"a\": 1}' > /run/r; exit 7"), resultFile: "/run/r" },
          job("hangs", "sleep 1000"),
          job("late", "true"),
        ],
        limitSec: 10,
      });
      expect(run.outcomes).toEqual([
        { name: "writes", exitCode: 0, output: ["changed", "it's"] },
        { name: "fails", exitCode: 7, output: [], result: '{"a": 1}' },
        { name: "hangs", output: [] },
        { name: "late", output: [] },
      ]);
      expect(() => checkDigest(join(folder, "mine"), "0".repeat(64))).toThrow(/not the pinned/);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  SMOKE_LIMIT_MS,
);
