/** `flowlift controller`. */

import {
  type ControllerAddresses,
  readControllerSettings,
  runController,
} from "../controller/run-controller.ts";
import { FlowliftError } from "../lib/base/errors.ts";
import { EXIT_HELD } from "../lib/base/exit-code.ts";
import { createLog } from "../lib/base/log.ts";
import { parseFlags } from "./arguments.ts";
import { waitForStop } from "./stop-signal.ts";

const USAGE = "flowlift controller --settings FILE";

/** Runs the subcommand. */
export async function run(args: readonly string[]): Promise<number> {
  const flags = parseFlags(args, { values: ["settings"], switches: [], positionalsMax: 0 }, USAGE);
  const file = flags.values["settings"];
  if (file === undefined) throw new FlowliftError("USAGE", `usage: ${USAGE}`);
  const settings = readControllerSettings(file);
  const onReady = (addresses: ControllerAddresses): void => {
    process.stdout.write(`READY ${JSON.stringify(addresses)}\n`);
  };
  await runController(settings, createLog("controller"), onReady, waitForStop());
  return EXIT_HELD;
}
