/** The `flowlift` program: finds the subcommand and runs it. Effect: sets the process's exit code. */
import { describeError, FlowliftError } from "../lib/base/errors.ts";
import {
  EXIT_CLAIM_FAILED,
  EXIT_ENVIRONMENT,
  EXIT_HELD,
  EXIT_USAGE,
} from "../lib/base/exit-code.ts";
import { formatUsage, SUBCOMMANDS } from "./subcommands.ts";

async function runProgram(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    process.stdout.write(formatUsage());
    return name === undefined ? EXIT_USAGE : EXIT_HELD;
  }
  const subcommand = SUBCOMMANDS.find((candidate) => candidate.name === name);
  if (subcommand === undefined) {
    process.stderr.write(`flowlift: there is no command "${name}"; \`flowlift help\` lists them\n`);
    return EXIT_USAGE;
  }
  const run = await subcommand.load();
  return run(rest);
}

function exitCodeOf(error: unknown): number {
  if (!(error instanceof FlowliftError)) return EXIT_CLAIM_FAILED;
  if (error.code === "USAGE" || error.code === "CONFIG_FILE_INVALID") return EXIT_USAGE;
  if (error.code === "ENVIRONMENT_LACKS" || error.code === "NATIVE_LIBRARY_MISSING") {
    return EXIT_ENVIRONMENT;
  }
  return EXIT_CLAIM_FAILED;
}

try {
  process.exitCode = await runProgram(process.argv.slice(2));
} catch (error) {
  // Our own bugs keep their stack; expected failures are one line.
  const text =
    error instanceof FlowliftError
      ? describeError(error)
      : error instanceof Error
        ? (error.stack ?? error.message)
        : String(error);
  process.stderr.write(`flowlift: ${text}\n`);
  // Whatever was started before the failure must not keep the process alive.
  process.exit(exitCodeOf(error));
}
