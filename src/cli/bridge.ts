/** `flowlift bridge --settings FILE`. Effect: serves until SIGTERM or SIGINT. */
import { readFileSync } from "node:fs";
import { FlowliftError } from "../lib/base/errors.ts";
import { EXIT_HELD } from "../lib/base/exit-code.ts";
import { createLog } from "../lib/base/log.ts";
import { startBridge } from "../offload-bridge/bridge.ts";
import { type BridgeSettings, parseBridgeSettings } from "../offload-bridge/settings.ts";
import { parseFlags } from "./arguments.ts";
import { waitForStop } from "./stop-signal.ts";

const USAGE = "flowlift bridge --settings FILE";

/** Runs the subcommand. */
export async function run(args: readonly string[]): Promise<number> {
  const flags = parseFlags(args, { values: ["settings"], switches: [], positionalsMax: 0 }, USAGE);
  const file = flags.values["settings"];
  if (file === undefined) {
    throw new FlowliftError("USAGE", `"--settings" is missing; usage: ${USAGE}`);
  }
  const stopped = waitForStop();
  const bridge = await startBridge(readSettingsFile(file), createLog("bridge"));
  process.on("SIGHUP", () => bridge.reload());
  process.stdout.write("READY\n");
  await stopped;
  await bridge.close();
  return EXIT_HELD;
}

function readSettingsFile(file: string): BridgeSettings {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new FlowliftError("CONFIG_FILE_INVALID", `Cannot read "${file}"`, { cause });
  }
  const settings = parseBridgeSettings(text);
  if (settings.ok) return settings.value;
  throw new FlowliftError("CONFIG_FILE_INVALID", `Cannot use "${file}": ${settings.error.message}`);
}
