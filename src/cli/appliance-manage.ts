/** `flowlift appliance-manage --settings FILE`. Effect: serves until SIGTERM or SIGINT. */
import { awaitApplianceSettings } from "../appliance/await-settings.ts";
import { startManage } from "../appliance/manage.ts";
import { FlowliftError } from "../lib/base/errors.ts";
import { EXIT_HELD } from "../lib/base/exit-code.ts";
import { startHeartbeat } from "../lib/base/heartbeat.ts";
import { readSetting } from "../lib/base/settings.ts";
import { parseFlags } from "./arguments.ts";
import { waitForStop } from "./stop-signal.ts";

const USAGE = "flowlift appliance-manage --settings FILE [--await-settings]";

/** Runs the subcommand. */
export async function run(args: readonly string[]): Promise<number> {
  const spec = { values: ["settings"], switches: ["await-settings"], positionalsMax: 0 };
  const flags = parseFlags(args, spec, USAGE);
  const file = flags.values["settings"];
  if (file === undefined)
    throw new FlowliftError("USAGE", `--settings is missing; usage: ${USAGE}`);
  const stopped = waitForStop();
  startHeartbeat(readSetting("FLOWLIFT_HEARTBEAT"));
  const waits = flags.switches.has("await-settings");
  const manage = await startManage(await awaitApplianceSettings(file, waits));
  process.stdout.write("READY\n");
  await stopped;
  manage.stop();
  return EXIT_HELD;
}
