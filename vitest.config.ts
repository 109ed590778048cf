import { defineConfig } from "vitest/config";

/** A system test builds namespaces and starts processes; one at a time keeps two cores honest. */
const SYSTEM_TEST_TIMEOUT_MS = 120_000;

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/system/**", "node_modules/**", "dist/**"],
          pool: "forks",
          // Vitest leaves one processor free by default, which on two would halve the speed.
          maxWorkers: "100%",
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
