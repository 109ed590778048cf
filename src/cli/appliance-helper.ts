/** `flowlift appliance-helper --settings FILE`. Effect: serves until SIGTERM or SIGINT. */
import { startHelper } from "../appliance/helper.ts";
import { readApplianceSettings } from "../appliance/manage-settings.ts";
import { FlowliftError } from "../lib/base/errors.ts";
import { EXIT_HELD } from "../lib/base/exit-code.ts";
import { createLog } from "../lib/base/log.ts";
import { parseFlags } from "./arguments.ts";
import { waitForStop } from "./stop-signal.ts";

const USAGE = "flowlift appliance-helper --settings FILE";

/** Runs the subcommand. */
export async function run(args: readonly string[]): Promise<number> {
  const flags = parseFlags(args, { values: ["settings"], switches: [], positionalsMax: 0 }, USAGE);
  const file = flags.values["settings"];
  if (file === undefined)
    throw new FlowliftError("USAGE", `--settings is missing; usage: ${USAGE}`);
  const settings = readApplianceSettings(file);
  const stopped = waitForStop();
  const server = await startHelper(settings, createLog(`helper ${settings.name}`));
  process.stdout.write("READY\n");
  await stopped;
  server.close();
  return EXIT_HELD;
}
