/** `flowlift demo [--vm] [--json]`: shows the main job on real traffic; exit code 0 only if every claim held. */
import type { LabVmOptions } from "../lab/vm/vm-options.ts";
import { FlowliftError } from "../lib/base/errors.ts";
import { EXIT_CLAIM_FAILED, EXIT_HELD } from "../lib/base/exit-code.ts";
import { parseFlags } from "./arguments.ts";
import { runDemo } from "./demo/run-demo.ts";
import { PersonScreen, QuietScreen } from "./demo/screen.ts";

const USAGE = "flowlift demo [--vm] [--json] [--name NAME] [--slowness N]";
/** A slower machine is better told so by its failed claims. */
export const SLOWNESS_MAX = 100;

/** Runs the demo; with --json the report is the last line of standard output. */
export async function run(args: readonly string[]): Promise<number> {
  const spec = {
    values: ["name", "run-directory", "dist-directory", "slowness"],
    switches: ["json", "vm"],
    positionalsMax: 0,
  };
  const { values, switches } = parseFlags(args, spec, USAGE);
  const isJson = switches.has("json");
  const ended = new AbortController();
  const end = (): void => ended.abort();
  process.once("SIGINT", end);
  process.once("SIGTERM", end);
  const screen = isJson ? new QuietScreen() : new PersonScreen(process.stdout);
  const { name, "run-directory": runDirectory, "dist-directory": distDirectory } = values;
  const vm = switches.has("vm") ? await readVms((line) => screen.step(line)) : undefined;
  const report = await runDemo(screen, {
    ...(name === undefined ? {} : { name }),
    ...(runDirectory === undefined ? {} : { runDirectory }),
    ...(distDirectory === undefined ? {} : { distDirectory }),
    ...(vm === undefined ? {} : { vm }),
    ...(values["slowness"] === undefined ? {} : { slowness: readSlowness(values["slowness"]) }),
    signal: ended.signal,
  });
  screen.summary(report);
  if (isJson) process.stdout.write(`${JSON.stringify(report)}\n`);
  return report.ok ? EXIT_HELD : EXIT_CLAIM_FAILED;
}

/** Throws USAGE. */
export function readSlowness(text: string): number {
  const slowness = Number(text);
  if (Number.isInteger(slowness) && slowness >= 1 && slowness <= SLOWNESS_MAX) return slowness;
  const message = `"${text}" is no whole number from 1 to ${SLOWNESS_MAX}: ${USAGE}`;
  throw new FlowliftError("USAGE", message);
}

/** The image's builder is loaded only for those who want VMs. */
async function readVms(announce: (line: string) => void): Promise<LabVmOptions> {
  const { prepareVms } = await import("./prepare-vms.ts");
  return await prepareVms(announce);
}
