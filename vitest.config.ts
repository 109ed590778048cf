import { defineConfig } from "vitest/config";

/** A system test builds namespaces and starts processes; one at a time keeps two cores honest. */
const SYSTEM_TEST_TIMEOUT_MS = 120_000;
/** Emulation is some twenty times slower than the machine itself. */
const GUEST_TEST_TIMEOUT_MS = 1_200_000;

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/system/**", "test/guest/**", "node_modules/**", "dist/**"],
          pool: "forks",
          // Vitest leaves one processor free by default, which on two would halve the speed.
          maxWorkers: "100%",
        },
      },
      {
        test: {
          // Runs inside Debian 12's own kernel: `flowlift test --guest` boots it.
          name: "guest",
          include: ["test/guest/**/*.test.ts"],
          exclude: ["node_modules/**", "dist/**"],
          pool: "forks",
          maxWorkers: 1,
          fileParallelism: false,
          testTimeout: GUEST_TEST_TIMEOUT_MS,
          hookTimeout: GUEST_TEST_TIMEOUT_MS,
        },
      },
      {
        test: {
          name: "system",
          include: ["test/system/**/*.test.ts"],
          exclude: ["node_modules/**", "dist/**"],
          pool: "forks",
          maxWorkers: 1,
          fileParallelism: false,
          testTimeout: SYSTEM_TEST_TIMEOUT_MS,
          hookTimeout: SYSTEM_TEST_TIMEOUT_MS,
        },
      },
    ],
  },
});
