/** `flowlift demo [--json]`: shows the main job on real traffic; exit code 0 only if every claim held. */
import { EXIT_CLAIM_FAILED, EXIT_HELD } from "../lib/base/exit-code.ts";
import { parseFlags } from "./arguments.ts";
import { runDemo } from "./demo/run-demo.ts";
import { PersonScreen, QuietScreen } from "./demo/screen.ts";

const USAGE = "flowlift demo [--json]";

/** Runs the demo; with --json the report is the last line of standard output. */
export async function run(args: readonly string[]): Promise<number> {
  const flags = parseFlags(args, { values: [], switches: ["json"], positionalsMax: 0 }, USAGE);
  const isJson = flags.switches.has("json");
  const screen = isJson ? new QuietScreen() : new PersonScreen(process.stdout);
  const report = await runDemo(screen);
  screen.summary(report);
  if (isJson) process.stdout.write(`${JSON.stringify(report)}\n`);
  return report.ok ? EXIT_HELD : EXIT_CLAIM_FAILED;
}
