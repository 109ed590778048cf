/**
 * `flowlift bench NAME [--json] [--rounds N]`: measures, and says which targets are met.
 *
 * Effect: see bench/rig.ts. Prints progress on standard error; with `--json` the report is the last line.
 */
import { cpus, release } from "node:os";
import { FlowliftError } from "../lib/base/errors.ts";
import { EXIT_CLAIM_FAILED, EXIT_HELD } from "../lib/base/exit-code.ts";
import { parseFlags } from "./arguments.ts";
import { measureImage } from "./bench/image.ts";
import { measureNetconf } from "./bench/netconf.ts";
import { measurePath } from "./bench/path.ts";
import { type BenchReport, type Figure, makeBenchReport } from "./bench/report.ts";

const USAGE = "flowlift bench path|image|netconf [--json] [--rounds N]";
const ROUNDS_DEFAULT = 5;
const ROUNDS_MAX = 100;

type Measure = (rounds: number, announce: (line: string) => void) => Promise<Figure[]>;

const BENCHES: Readonly<Record<string, Measure>> = {
  path: measurePath,
  image: measureImage,
  netconf: measureNetconf,
};

/** Runs one bench. Exit code 1 when a target is not met. */
export async function run(args: readonly string[]): Promise<number> {
  const flags = parseFlags(
    args,
    { values: ["rounds"], switches: ["json"], positionalsMax: 1 },
    USAGE,
  );
  const name = flags.positionals[0] ?? "";
  const measure = BENCHES[name];
  if (measure === undefined) {
    const names = Object.keys(BENCHES).join(", ");
    throw new FlowliftError("USAGE", `There is no bench "${name}", but ${names}; usage: ${USAGE}`);
  }
  const rounds = Number(flags.values["rounds"] ?? ROUNDS_DEFAULT);
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > ROUNDS_MAX) {
    throw new FlowliftError("USAGE", `--rounds takes 1 to ${ROUNDS_MAX}; usage: ${USAGE}`);
  }
  const figures = await measure(rounds, (line) => process.stderr.write(`${line}\n`));
  const machine = { kernel: release(), cpus: cpus().length, node: process.version };
  const report = makeBenchReport(name, machine, figures);
  process.stdout.write(formatTable(report));
  if (flags.switches.has("json")) process.stdout.write(`${JSON.stringify(report)}\n`);
  return report.ok ? EXIT_HELD : EXIT_CLAIM_FAILED;
}

function formatTable(report: BenchReport): string {
  const rows = report.figures.map((figure) => [
    figure.id,
    figure.value === null ? "not measured" : `${figure.value} ${figure.unit}`,
    figure.baseline === null ? "" : `${figure.baseline} ${figure.unit}`,
    figure.ratio === null ? "" : String(figure.ratio),
    figure.target ?? "",
    figure.met === null ? "" : figure.met ? "met" : "NOT MET",
  ]);
  const all = [["figure", "value", "baseline", "ratio", "target", ""], ...rows];
  const widths = all[0]?.map((_, column) =>
    Math.max(...all.map((row) => row[column]?.length ?? 0)),
  );
  return all
    .map(
      (row) =>
        `${row
          .map((cell, i) => cell.padEnd(widths?.[i] ?? 0))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("");
}
