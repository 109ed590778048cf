/**
 * `flowlift test`: lint, types, dead code, unit and system tests; `--full` adds the long campaigns and what
 * `--guest` does alone: the kernel's own tests on Debian 12's kernel, booted as the host.
 *
 * Effect: runs each step as a child process and prints what it printed.
 */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import {
  EXIT_CLAIM_FAILED,
  EXIT_ENVIRONMENT,
  EXIT_HELD,
  EXIT_USAGE,
} from "../lib/base/exit-code.ts";
import { findProjectRoot } from "../lib/base/project-root.ts";
import { readEnvironment, readSetting } from "../lib/base/settings.ts";
import { parseFlags } from "./arguments.ts";
import { runGuestStep } from "./guest-step.ts";

const USAGE = "flowlift test [--unit] [--guest] [--full]";
/** The build whose programs the guest's tests start. */
const DIST = "dist";

interface Step {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Where vitest writes its counts, for steps that run tests. */
  readonly resultFile?: string;
}

function listSteps(root: string, unitOnly: boolean): Step[] {
  const bin = (name: string): string => join(root, "node_modules", ".bin", name);
  const resultFile = (project: string): string => join(root, ".flowlift", `test-${project}.json`);
  const vitest = (project: string): Step => ({
    name: `${project} tests`,
    command: bin("vitest"),
    args: [
      ...["run", "--project", project, "--reporter=default", "--reporter=json"],
      `--outputFile.json=${resultFile(project)}`,
    ],
    resultFile: resultFile(project),
  });
  const steps: Step[] = [
    { name: "lint", command: bin("biome"), args: ["check", "."] },
    { name: "types", command: bin("tsc"), args: ["-p", "test/tsconfig.json"] },
    { name: "dead code", command: bin("knip"), args: [] },
    vitest("unit"),
  ];
  return unitOnly ? steps : [...steps, vitest("system")];
}

/** Where a project that only root can reach (a clone below /root) is mounted for the tests. */
const PLACE_PREFIX = "/run/flowlift-test-";
const ENTER_PLACE = 'mount --bind "$1" "$2"; cd "$2"; shift 2; exec "$@"';

/** Returns whether every user may pass through the folder and all above it. */
function isTraversable(folder: string): boolean {
  const parent = dirname(folder);
  return (statSync(folder).mode & 0o001) !== 0 && (parent === folder || isTraversable(parent));
}

/**
 * System tests start processes that are not root. Where those could not reach the project, the step runs in a
 * mount namespace of its own, in which the project has a second place that everybody can reach.
 */
function placeStep(root: string, place: string, step: Step): Step {
  const moved = (text: string): string =>
    text.startsWith(root) ? place + text.slice(root.length) : text;
  const vitest = join(place, "node_modules", "vitest", "vitest.mjs");
  const words = [moved(process.execPath), vitest, ...step.args];
  return {
    ...step,
    command: "unshare",
    args: ["--mount", "sh", "-ec", ENTER_PLACE, "sh", root, place, ...words],
  };
}

function makePlace(): string {
  const place = mkdtempSync(PLACE_PREFIX);
  chmodSync(place, 0o755);
  return place;
}

interface Counts {
  passed: number;
  failed: number;
}

function runStep(root: string, step: Step, counts: Counts, full: boolean): boolean {
  process.stdout.write(`\n== ${step.name}\n`);
  if (step.resultFile !== undefined) rmSync(step.resultFile, { force: true });
  const env = { ...readEnvironment(), ...(full ? { FLOWLIFT_TEST_FULL: "1" } : {}) };
  const started = performance.now();
  const done = spawnSync(step.command, step.args, { cwd: root, stdio: "inherit", env });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const held = done.status === 0;
  if (step.resultFile === undefined) {
    if (held) counts.passed++;
    else counts.failed++;
  } else addTestCounts(step.resultFile, counts);
  process.stdout.write(`== ${step.name}: ${held ? "held" : "FAILED"} after ${seconds} s\n`);
  return held;
}

function addTestCounts(resultFile: string, counts: Counts): void {
  try {
    const result = JSON.parse(readFileSync(resultFile, "utf8")) as Record<string, unknown>;
    counts.passed += Number(result["numPassedTests"]);
    counts.failed += Number(result["numFailedTests"]);
  } catch {
    counts.failed++; // The runner died before it could count: that is a failure, whatever it printed.
  }
}

/** Runs every step, also after one failed, and prints the counts alone on the last line. */
export async function run(args: readonly string[]): Promise<number> {
  const flags = parseFlags(
    args,
    { values: [], switches: ["unit", "guest", "full"], positionalsMax: 0 },
    USAGE,
  );
  if (readSetting("UPDATE_EXPECTED") !== undefined) {
    process.stderr.write(
      "flowlift: unset UPDATE_EXPECTED first: it makes tests rewrite what they expect\n",
    );
    return EXIT_USAGE;
  }
  const root = findProjectRoot();
  mkdirSync(join(root, ".flowlift"), { recursive: true });
  const counts: Counts = { passed: 0, failed: 0 };
  const isGuestAlone = flags.switches.has("guest") && !flags.switches.has("full");
  const failures = isGuestAlone ? [] : runSteps(root, counts, flags.switches);
  if (flags.switches.has("guest") || flags.switches.has("full")) {
    process.stdout.write("\n== guest tests\n");
    const guest = await runGuestStep(root, readSetting("FLOWLIFT_TEST_DIST") ?? DIST);
    counts.passed += guest.passed;
    counts.failed += guest.failed;
    if (guest.exitCode !== EXIT_HELD) failures.push("guest tests");
    if (isGuestAlone && guest.exitCode === EXIT_ENVIRONMENT) return EXIT_ENVIRONMENT;
  }
  if (failures.length > 0) process.stdout.write(`\nfailed: ${failures.join(", ")}\n`);
  process.stdout.write(`\ntests: ${counts.passed} passed, ${counts.failed} failed\n`);
  return failures.length === 0 && counts.failed === 0 ? EXIT_HELD : EXIT_CLAIM_FAILED;
}

/** Returns the names of the steps that did not hold. */
function runSteps(root: string, counts: Counts, switches: ReadonlySet<string>): string[] {
  const needsPlace = process.getuid?.() === 0 && !isTraversable(root);
  const place = needsPlace ? makePlace() : undefined;
  const failures: string[] = [];
  for (const step of listSteps(root, switches.has("unit"))) {
    const isPlaced = place !== undefined && step.resultFile !== undefined;
    const placed = isPlaced ? placeStep(root, place, step) : step;
    if (!runStep(root, placed, counts, switches.has("full"))) failures.push(step.name);
  }
  if (place !== undefined) rmdirSync(place);
  return failures;
}
