/** `flowlift appliance-manage --settings FILE`. Effect: serves until SIGTERM or SIGINT. */
import { startManage } from "../appliance/manage.ts";
import { readApplianceSettings } from "../appliance/manage-settings.ts";
import { FlowliftError } from "../lib/base/errors.ts";
import { EXIT_HELD } from "../lib/base/exit-code.ts";
import { parseFlags } from "./arguments.ts";
import { waitForStop } from "./stop-signal.ts";

const USAGE = "flowlift appliance-manage --settings FILE";

/** Runs the subcommand. */
export async function run(args: readonly string[]): Promise<number> {
  const flags = parseFlags(args, { values: ["settings"], switches: [], positionalsMax: 0 }, USAGE);
  const file = flags.values["settings"];
  if (file === undefined)
    throw new FlowliftError("USAGE", `--settings is missing; usage: ${USAGE}`);
  const stopped = waitForStop();
  const manage = await startManage(readApplianceSettings(file));
  process.stdout.write("READY\n");
  await stopped;
  manage.stop();
  return EXIT_HELD;
}
