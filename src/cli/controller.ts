/** `flowlift controller`. */

import { readControllerSettings, runController } from "../controller/run-controller.ts";
import { FlowliftError } from "../lib/base/errors.ts";
import { EXIT_HELD } from "../lib/base/exit-code.ts";
import { createLog } from "../lib/base/log.ts";
import { parseFlags } from "./arguments.ts";

const USAGE = "flowlift controller --settings FILE";

/** Runs the subcommand. */
export async function run(args: readonly string[]): Promise<number> {
  const flags = parseFlags(args, { values: ["settings"], switches: [], positionalsMax: 0 }, USAGE);
  const file = flags.values["settings"];
  if (file === undefined) throw new FlowliftError("USAGE", `usage: ${USAGE}`);
  const settings = readControllerSettings(file);
  await runController(settings, createLog("controller"), (addresses) => {
    process.stdout.write(`READY ${JSON.stringify(addresses)}\n`);
  });
  return EXIT_HELD;
}
