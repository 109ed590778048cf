/**
 * Runs the controller as a process: settings, configuration, listeners, signals.
 *
 * Effect: everything of a process but its output and exit code. SIGHUP reads the configuration file again.
 */
import { readFileSync } from "node:fs";
import type { FastPathDriver } from "../fast-path/driver.ts";
import { MemoryDriver } from "../fast-path/memory/memory-driver.ts";
import { connectRemoteDriver } from "../fast-path/remote-driver.ts";
import { MONOTONIC_CLOCK } from "../lib/base/clock.ts";
import { describeError, FlowliftError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import { readSetting } from "../lib/base/settings.ts";
import { loadControllerTls } from "../lib/pki/store.ts";
import { serveAdmin } from "./admin-server.ts";
import { createConfigContext, readConfigFile } from "./config-file.ts";
import { Controller } from "./controller.ts";
import type { Host } from "./model.ts";
import { type ControllerSettings, parseControllerSettings } from "./settings.ts";
import { openStateDirectory, readIds, readToken, writeIds } from "./state-directory.ts";
import { serveUpstream } from "./upstream-server.ts";

/** First descriptor that a supervisor passes on (sd_listen_fds). */
const LISTEN_FD_FIRST = 3;

/** What is printed after READY. */
export interface ControllerAddresses {
  readonly grpc: string;
  readonly admin: string;
}

/** Reads the settings file. Throws CONFIG_FILE_INVALID. */
export function readControllerSettings(path: string): ControllerSettings {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new FlowliftError("CONFIG_FILE_INVALID", `Cannot read "${path}"`, { cause });
  }
  const settings = parseControllerSettings(text);
  if (settings.ok) return settings.value;
  const why = settings.error.message;
  throw new FlowliftError("CONFIG_FILE_INVALID", `"${path}" cannot be used: ${why}`);
}

/** Serves until `stopped` resolves; `onReady` is called when both listeners are up. */
export async function runController(
  settings: ControllerSettings,
  log: Log,
  onReady: (addresses: ControllerAddresses) => void,
  stopped: Promise<unknown>,
): Promise<void> {
  const { stateDirectory, configFile, statisticsIntervalMs } = settings;
  openStateDirectory(stateDirectory);
  const context = createConfigContext();
  let ids = readIds(stateDirectory);
  const model = readConfigFile(context, configFile, ids);
  writeIds(stateDirectory, ids);
  const identity = loadControllerTls(settings.pkiDirectory);
  const token = readToken(settings.tokenFile);
  const controller = await Controller.start({
    model,
    clock: MONOTONIC_CLOCK,
    log,
    stateDirectory,
    statisticsIntervalMs,
    connectDriver: driverConnector(settings),
  });
  const reload = async (): Promise<void> => {
    // A bad file must leave the numbers alone too.
    const next = readIds(stateDirectory);
    const replacement = readConfigFile(context, configFile, next);
    ids = next;
    writeIds(stateDirectory, ids);
    await controller.replaceModel(replacement);
    controller.ledger.writeAudit({ what: "configuration-replaced" });
    log.info("the configuration was replaced", { file: configFile });
  };
  const upstream = await serveUpstream(controller, settings.grpcAddress, identity, log);
  const where = adminPlace(settings);
  const admin = await serveAdmin({ controller, token, clock: MONOTONIC_CLOCK, reload }, where);
  process.on("SIGHUP", () => {
    reload().catch((error: unknown) => {
      log.error("the configuration stays as it was", { error: describeError(error) });
    });
  });
  onReady({ grpc: upstream.address, admin: admin.url });
  await stopped;
  upstream.close();
  admin.close();
  await controller.close();
  context.destroy();
}

function adminPlace(settings: ControllerSettings): ControllerSettings["admin"] {
  const inherited = Number(readSetting("LISTEN_FDS") ?? "0");
  const isForUs = Number(readSetting("LISTEN_PID") ?? process.pid) === process.pid;
  return inherited > 0 && isForUs ? { listenFd: LISTEN_FD_FIRST } : settings.admin;
}

/** One memory driver for each host lives as long as the process, like an agent would. */
function driverConnector(settings: ControllerSettings): (host: Host) => Promise<FastPathDriver> {
  const { tableFlowsMax } = settings;
  const limits = tableFlowsMax === undefined ? {} : { flowsMax: tableFlowsMax };
  return async (host) => {
    if (settings.driver === "memory") return new MemoryDriver({ limits });
    if (host.agentSocket === undefined) {
      const text = `Host "${host.name}" has no agent-socket, but "driver" is "agent"`;
      throw new FlowliftError("LOCAL_RPC_CLOSED", text);
    }
    return connectRemoteDriver(host.agentSocket);
  };
}
