/**
 * `flowlift fuzz netconf [--inputs N] [--seed S] [--keep DIRECTORY]`: hostile bytes for the framing,
 * XML and RPC layers.
 *
 * Effect: see fuzz/netconf-machine.ts; each failing input is kept as a file.
 */
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { APPLIANCE_MODULES } from "../appliance/modules.ts";
import { FlowliftError } from "../lib/base/errors.ts";
import { EXIT_CLAIM_FAILED, EXIT_HELD } from "../lib/base/exit-code.ts";
import { findProjectRoot } from "../lib/base/project-root.ts";
import { defaultYangDirectories } from "../lib/yang/yang-directories.ts";
import { parseFlags } from "./arguments.ts";
import { CoverageMeter } from "./fuzz/coverage.ts";
import { mutate } from "./fuzz/mutate.ts";
import { NETCONF_CORPUS } from "./fuzz/netconf-corpus.ts";
import { NetconfMachine } from "./fuzz/netconf-machine.ts";
import { Random } from "./fuzz/random.ts";

const USAGE = "flowlift fuzz netconf [--inputs N] [--seed S] [--keep DIRECTORY]";
const INPUTS_DEFAULT = 10_000;
const INPUTS_MAX = 1_000_000_000;
const FAILURES_MAX = 20;
const COVERED = /\/(?:management\/(?!restconf)|lib\/netconf\/|lib\/xml\/)/;

export interface FuzzResult {
  readonly inputs: number;
  readonly failures: readonly { readonly input: Buffer; readonly reason: string }[];
  readonly outcomes: ReadonlyMap<string, number>;
}

/** Feeds `inputs` broken messages that the seed brings again. */
export async function fuzzNetconf(inputs: number, seed: number): Promise<FuzzResult> {
  const machine = await NetconfMachine.create({
    searchDirectories: defaultYangDirectories(findProjectRoot()),
    modules: APPLIANCE_MODULES,
  });
  const random = new Random(seed);
  const failures: { input: Buffer; reason: string }[] = [];
  try {
    for (let count = 0; count < inputs && failures.length < FAILURES_MAX; count++) {
      const input =
        count % 16 === 0
          ? Buffer.from(random.pick(NETCONF_CORPUS))
          : mutate(NETCONF_CORPUS, random);
      const reason = await machine.feed(input, random);
      if (reason !== undefined) failures.push({ input, reason });
    }
  } finally {
    machine.dispose();
  }
  return { inputs, failures, outcomes: machine.outcomes };
}

/** Exit code 1 when an input failed. */
export async function run(args: readonly string[]): Promise<number> {
  const spec = { values: ["inputs", "seed", "keep"], switches: [], positionalsMax: 1 };
  const flags = parseFlags(args, spec, USAGE);
  if (flags.positionals[0] !== "netconf") {
    throw new FlowliftError("USAGE", `There is a fuzzer for netconf; usage: ${USAGE}`);
  }
  const inputs = Number(flags.values["inputs"] ?? INPUTS_DEFAULT);
  const seed = Number(flags.values["seed"] ?? Date.now() % 1_000_000);
  if (!Number.isInteger(inputs) || inputs < 1 || inputs > INPUTS_MAX || !Number.isInteger(seed)) {
    throw new FlowliftError("USAGE", `--inputs and --seed take whole numbers; usage: ${USAGE}`);
  }
  const meter = new CoverageMeter();
  await meter.start();
  const started = performance.now();
  const result = await fuzzNetconf(inputs, seed);
  const seconds = (performance.now() - started) / 1000;
  const coverage = await meter.stop((url) => COVERED.test(url));
  for (const [name, count] of [...result.outcomes].sort()) {
    process.stdout.write(`${String(count).padStart(9)}  ${name}\n`);
  }
  const share = ((100 * coverage.functionsRun) / coverage.functions).toFixed(1);
  process.stdout.write(
    `seed ${seed}: ${result.inputs} inputs in ${seconds.toFixed(1)} s, ` +
      `${result.failures.length} failed; ${result.outcomes.size} outcomes; ` +
      `${coverage.functionsRun} of ${coverage.functions} functions (${share} %)\n`,
  );
  keepFailures(result, flags.values["keep"] ?? join(findProjectRoot(), "test/regression/netconf"));
  return result.failures.length === 0 ? EXIT_HELD : EXIT_CLAIM_FAILED;
}

function keepFailures({ failures }: FuzzResult, directory: string): void {
  for (const { input, reason } of failures) {
    const name = createHash("sha256").update(input).digest("hex").slice(0, 16);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, `${name}.bin`), input);
    process.stdout.write(`kept ${join(directory, name)}.bin: ${reason.split("\n")[0]}\n`);
  }
}
