/** `flowlift agent`: runs the fast-path agent of the network namespace that it is started in. */
import { readFileSync } from "node:fs";
import { serveDriver } from "../fast-path/agent.ts";
import { requireAgentEnvironment } from "../fast-path/agent-environment.ts";
import { type AgentSettings, parseAgentSettings } from "../fast-path/agent-settings.ts";
import { BpfDriver } from "../fast-path/bpf/bpf-driver.ts";
import { KernelHostNetwork } from "../fast-path/host-network.ts";
import { FlowliftError } from "../lib/base/errors.ts";
import { EXIT_HELD } from "../lib/base/exit-code.ts";
import { createLog } from "../lib/base/log.ts";
import { findBpfObject } from "../lib/bpf/object-file.ts";
import { parseFlags } from "./arguments.ts";
import { waitForStop } from "./stop-signal.ts";

const USAGE = "flowlift agent --settings FILE";

/** Runs the subcommand until SIGTERM or SIGINT. */
export async function run(args: readonly string[]): Promise<number> {
  const flags = parseFlags(args, { values: ["settings"], switches: [], positionalsMax: 0 }, USAGE);
  const path = flags.values["settings"];
  if (path === undefined)
    throw new FlowliftError("USAGE", `--settings is missing; usage: ${USAGE}`);
  const settings = readSettings(path);
  const objectFile = settings.objectFile ?? findBpfObject("flow");
  requireAgentEnvironment(settings.pinDirectory, objectFile);
  const log = createLog(`agent ${settings.hostName}`);
  const driver = await BpfDriver.open({
    objectFile,
    pinDirectory: settings.pinDirectory,
    limits: { flowsMax: settings.flowsMax },
    network: new KernelHostNetwork(),
    log,
  });
  const { flows } = await driver.totals();
  log.info(driver.isAdopted ? "adopted the maps of an earlier agent" : "made new maps", { flows });
  const served = await serveDriver(driver, settings.socketPath, log);
  process.stdout.write("READY\n");
  await waitForStop();
  await served.close();
  return EXIT_HELD;
}

function readSettings(path: string): AgentSettings {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new FlowliftError("CONFIG_FILE_INVALID", `Cannot read "${path}"`, { cause });
  }
  const settings = parseAgentSettings(text);
  if (!settings.ok) {
    throw new FlowliftError("CONFIG_FILE_INVALID", `"${path}": ${settings.error.message}`);
  }
  return settings.value;
}
