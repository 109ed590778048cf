/** `flowlift appliance-helper --settings FILE`. Effect: serves until SIGTERM or SIGINT. */
import { runFirstBoot } from "../appliance/first-boot/first-boot.ts";
import { GuestConsole } from "../appliance/first-boot/guest-operations.ts";
import { GUEST_PLACES } from "../appliance/first-boot/places.ts";
import { makePowerOperations } from "../appliance/first-boot/power-operations.ts";
import { startHelper } from "../appliance/helper.ts";
import { readApplianceSettings } from "../appliance/manage-settings.ts";
import { FlowliftError } from "../lib/base/errors.ts";
import { EXIT_HELD } from "../lib/base/exit-code.ts";
import { startHeartbeat } from "../lib/base/heartbeat.ts";
import { createLog } from "../lib/base/log.ts";
import { readSetting } from "../lib/base/settings.ts";
import { parseFlags } from "./arguments.ts";
import { waitForStop } from "./stop-signal.ts";

const USAGE = "flowlift appliance-helper --settings FILE | --first-boot";

/** Runs the subcommand. `--first-boot`: in a VM; the settings are made from what the VM is told. */
export async function run(args: readonly string[]): Promise<number> {
  const spec = { values: ["settings"], switches: ["first-boot"], positionalsMax: 0 };
  const flags = parseFlags(args, spec, USAGE);
  const file = flags.values["settings"];
  const stopped = waitForStop();
  startHeartbeat(readSetting("FLOWLIFT_HEARTBEAT"));
  if (flags.switches.has("first-boot")) {
    await serveGuest(stopped);
    return EXIT_HELD;
  }
  if (file === undefined)
    throw new FlowliftError("USAGE", `--settings is missing; usage: ${USAGE}`);
  const settings = readApplianceSettings(file);
  const server = await startHelper(settings, createLog(`helper ${settings.name}`));
  process.stdout.write("READY\n");
  await stopped;
  server.close();
  return EXIT_HELD;
}

async function serveGuest(stopped: Promise<unknown>): Promise<void> {
  const log = createLog("helper");
  const booted = await runFirstBoot(GUEST_PLACES, log);
  const guest = new GuestConsole(GUEST_PLACES, booted, log);
  const operations = { ...guest.operations, ...makePowerOperations(log) };
  const server = await startHelper(booted.settings, log, operations);
  process.stdout.write("READY\n");
  await stopped;
  guest.stop();
  server.close();
}
