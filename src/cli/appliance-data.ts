/** `flowlift appliance-data`: the appliance's data process (nft, conntrack, offload port). */
import { serveData } from "../appliance/data-server.ts";
import { FlowliftError } from "../lib/base/errors.ts";
import { EXIT_HELD } from "../lib/base/exit-code.ts";
import { parseFlags } from "./arguments.ts";

const USAGE = "flowlift appliance-data --settings FILE.json";

/** Runs the subcommand. */
export async function run(args: readonly string[]): Promise<number> {
  const spec = { values: ["settings"], switches: [], positionalsMax: 0 };
  const settings = parseFlags(args, spec, USAGE).values["settings"];
  if (settings === undefined)
    throw new FlowliftError("USAGE", `--settings is missing; usage: ${USAGE}`);
  await serveData(settings);
  return EXIT_HELD;
}
