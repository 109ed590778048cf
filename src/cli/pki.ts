/** `flowlift pki init|bridge`: makes and renews the keys of the controller and of the bridges. */
import { FlowliftError } from "../lib/base/errors.ts";
import { EXIT_HELD } from "../lib/base/exit-code.ts";
import { initControllerPki, issueBridgePki } from "../lib/pki/store.ts";
import { parseFlags } from "./arguments.ts";

const USAGE =
  "flowlift pki init --dir DIR [--controller-name NAME] | " +
  "flowlift pki bridge --dir DIR --host NAME [--out DIR]";

/** Runs the subcommand. */
export async function run(args: readonly string[]): Promise<number> {
  // `-o` is short for `--out`.
  const long = args.map((arg) => (arg === "-o" ? "--out" : arg));
  const values = ["dir", "controller-name", "host", "out"];
  const flags = parseFlags(long, { values, switches: [], positionalsMax: 1 }, USAGE);
  const { dir, host, out } = flags.values;
  const controllerName = flags.values["controller-name"];
  if (dir === undefined) throw new FlowliftError("USAGE", `"--dir" is missing; usage: ${USAGE}`);
  switch (flags.positionals[0]) {
    case "init": {
      const written = initControllerPki(
        dir,
        controllerName === undefined ? {} : { controllerName },
      );
      const lines = written.length > 0 ? written : ["nothing to do: the certificates are good"];
      process.stdout.write(`${lines.join("\n")}\n`);
      return EXIT_HELD;
    }
    case "bridge": {
      if (host === undefined) {
        throw new FlowliftError("USAGE", `"--host" is missing; usage: ${USAGE}`);
      }
      const made = issueBridgePki(dir, host, out === undefined ? {} : { outDirectory: out });
      process.stdout.write(`${made}\n`);
      return EXIT_HELD;
    }
    default:
      throw new FlowliftError("USAGE", `"init" or "bridge" is missing; usage: ${USAGE}`);
  }
}
