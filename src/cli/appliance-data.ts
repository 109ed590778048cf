/** `flowlift appliance-data`: the appliance's data process (nft, conntrack, offload port). */
import { serveData } from "../appliance/data-server.ts";
import { FlowliftError } from "../lib/base/errors.ts";
import { EXIT_HELD } from "../lib/base/exit-code.ts";
import { startHeartbeat } from "../lib/base/heartbeat.ts";
import { readSetting } from "../lib/base/settings.ts";
import { parseFlags } from "./arguments.ts";

const USAGE = "flowlift appliance-data --settings FILE.json [--await-settings]";

/** Runs the subcommand. */
export async function run(args: readonly string[]): Promise<number> {
  const spec = { values: ["settings"], switches: ["await-settings"], positionalsMax: 0 };
  const flags = parseFlags(args, spec, USAGE);
  const settings = flags.values["settings"];
  if (settings === undefined)
    throw new FlowliftError("USAGE", `--settings is missing; usage: ${USAGE}`);
  startHeartbeat(readSetting("FLOWLIFT_HEARTBEAT"));
  await serveData(settings, flags.switches.has("await-settings"));
  return EXIT_HELD;
}
