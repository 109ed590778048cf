/**
 * Runs the controller as a process: settings, configuration, listeners, signals.
 *
 * Effect: everything of a process but its output and exit code. SIGHUP reads the configuration file again.
 */
import { readFileSync } from "node:fs";
import type { FastPathDriver } from "../fast-path/driver.ts";
import { MemoryDriver } from "../fast-path/memory/memory-driver.ts";
import { connectRemoteDriver } from "../fast-path/remote-driver.ts";
import { assert } from "../lib/base/assert.ts";
import { MONOTONIC_CLOCK } from "../lib/base/clock.ts";
import { describeError, FlowliftError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import { readSetting } from "../lib/base/settings.ts";
import { loadControllerTls } from "../lib/pki/store.ts";
import { serveAdmin } from "./admin-server.ts";
import { ControllerApplier } from "./applier.ts";
import { createConfigContext, readConfigData, readConfigText, unusable } from "./config-file.ts";
import { Controller } from "./controller.ts";
import type { ControllerModel, Host } from "./model.ts";
import { hasDatastore, serveNetconf } from "./netconf-server.ts";
import { openOperatorFiles, writeConnection } from "./operator-access.ts";
import { PlacementBoard } from "./placement-board.ts";
import {
  type ControllerSettings,
  type NetconfSettings,
  parseControllerSettings,
} from "./settings.ts";
import { openStateDirectory, readIds, readToken, writeIds } from "./state-directory.ts";
import { serveUpstream } from "./upstream-server.ts";

/** First descriptor that a supervisor passes on (sd_listen_fds). */
const LISTEN_FD_FIRST = 3;

/** What is printed after READY. */
export interface ControllerAddresses {
  readonly grpc: string;
  readonly admin: string;
  /** Port of NETCONF, and the file that says how to connect; absent without NETCONF. */
  readonly netconf?: string;
  readonly connectionFile?: string;
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

/** A controller with its configuration in force. */
interface Running {
  readonly controller: Controller;
  readonly board: PlacementBoard;
  /** Where NETCONF is. */
  readonly netconf?: { readonly port: number; readonly connectionFile: string };
  /** Replaces the configuration by that of the file. */
  readonly reload: () => Promise<void>;
  readonly close: () => void;
}

/** Serves until `stopped` resolves; `onReady` is called when all listeners are up. */
export async function runController(
  settings: ControllerSettings,
  log: Log,
  onReady: (addresses: ControllerAddresses) => void,
  stopped: Promise<unknown>,
): Promise<void> {
  openStateDirectory(settings.stateDirectory);
  const identity = loadControllerTls(settings.pkiDirectory);
  const token = readToken(settings.tokenFile);
  const running =
    settings.netconf === undefined
      ? await startFromFile(settings, log)
      : await startWithNetconf(settings, settings.netconf, log);
  const { controller, board, netconf } = running;
  const reload = async (): Promise<void> => {
    await running.reload();
    log.info("the configuration was replaced", { file: settings.configFile });
  };
  const upstream = await serveUpstream(controller, settings.grpcAddress, identity, log, board);
  const where = adminPlace(settings);
  const admin = await serveAdmin({ controller, token, clock: MONOTONIC_CLOCK, reload }, where);
  process.on("SIGHUP", () => {
    reload().catch((error: unknown) => {
      log.error("the configuration stays as it was", { error: describeError(error) });
    });
  });
  onReady({
    grpc: upstream.address,
    admin: admin.url,
    ...(netconf === undefined
      ? {}
      : { netconf: String(netconf.port), connectionFile: netconf.connectionFile }),
  });
  await stopped;
  upstream.close();
  admin.close();
  running.close();
  await controller.close();
}

function startControllerOf(
  settings: ControllerSettings,
  log: Log,
): (model: ControllerModel) => Promise<Controller> {
  const { stateDirectory, statisticsIntervalMs } = settings;
  const connectDriver = driverConnector(settings);
  const clock = MONOTONIC_CLOCK;
  const offersCbor = settings.encoding === "cbor";
  return (model) =>
    Controller.start({
      ...{ model, clock, log, stateDirectory, statisticsIntervalMs, offersCbor },
      connectDriver,
    });
}

/** The file is all there is; it is read again on demand. */
async function startFromFile(settings: ControllerSettings, log: Log): Promise<Running> {
  const { stateDirectory, configFile } = settings;
  const context = createConfigContext();
  const applier = new ControllerApplier({
    ids: readIds(stateDirectory),
    board: new PlacementBoard(),
    startController: startControllerOf(settings, log),
    writeIds: (ids) => writeIds(stateDirectory, ids),
    nowMs: () => MONOTONIC_CLOCK.nowMs(),
  });
  const load = async (): Promise<void> => {
    const prepared = await applier.prepare("file", readConfigData(context, configFile));
    if (!prepared.ok) throw unusable(configFile, prepared.error.message);
    await applier.commit("file");
  };
  await load();
  const { controller, board } = applier;
  assert(controller !== undefined, "the first commit starts the controller");
  return { controller, board, reload: load, close: () => context.destroy() };
}

/** The datastore is the truth; the file is what it begins with. */
async function startWithNetconf(
  settings: ControllerSettings,
  listen: NetconfSettings,
  log: Log,
): Promise<Running> {
  const { stateDirectory, configFile, runDirectory } = settings;
  const operator = openOperatorFiles(stateDirectory);
  const applier = new ControllerApplier({
    ids: readIds(stateDirectory),
    board: new PlacementBoard(),
    startController: startControllerOf(settings, log),
    writeIds: (ids) => writeIds(stateDirectory, ids),
    nowMs: () => MONOTONIC_CLOCK.nowMs(),
  });
  const dayZeroConfig = hasDatastore(stateDirectory) ? undefined : readValidConfig(configFile);
  const options = { applier, stateDirectory, operator, listen, dayZeroConfig, log };
  const server = await serveNetconf(options);
  const { controller, board } = applier;
  assert(controller !== undefined, "the first commit starts the controller");
  const port = server.ports[0] ?? 0;
  const host = "host" in listen ? reachableHost(listen.host) : "127.0.0.1";
  const connectionFile = writeConnection(runDirectory, operator, { host, port });
  return {
    controller,
    board,
    netconf: { port, connectionFile },
    reload: async () => {
      const problem = await server.load(readConfigText(configFile));
      if (problem !== undefined) throw unusable(configFile, problem.message);
    },
    close: () => server.close(),
  };
}

/** Returns the file's text if it is valid. Throws CONFIG_FILE_INVALID with the place of the mistake. */
function readValidConfig(configFile: string): string {
  const context = createConfigContext();
  try {
    readConfigData(context, configFile);
  } finally {
    context.destroy();
  }
  return readConfigText(configFile);
}

/** An address that listens everywhere is reached by the loopback. */
function reachableHost(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
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
