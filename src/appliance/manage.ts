/**
 * The appliance's management process: NETCONF, datastores, and the way to the data process.
 *
 * Effect: listens, writes the state directory, talks to the data process and the helper.
 * Needs no privilege but CAP_NET_BIND_SERVICE, and that only for a port below 1024.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { FlowliftError } from "../lib/base/errors.ts";
import { createLog, type Log } from "../lib/base/log.ts";
import { findProjectRoot } from "../lib/base/project-root.ts";
import { ok } from "../lib/base/result.ts";
import { defaultYangDirectories } from "../lib/yang/yang-directories.ts";
import { ManagementServer } from "../management/management-server.ts";
import { ApplianceApplier, readAutoSave } from "./manage-applier.ts";
import { CallHomeApplier } from "./manage-call-home.ts";
import { DataLink } from "./manage-data-link.ts";
import { formatFirstBoot, readFirstBootReport, showBanner } from "./manage-guest.ts";
import { type RunningManagePort, serveManagePort } from "./manage-port/manage-port.ts";
import { type PowerOptions, registerPower } from "./manage-power.ts";
import { RestconfApplier } from "./manage-restconf.ts";
import { listListenPoints } from "./manage-settings.ts";
import { TlsApplier } from "./manage-tls.ts";
import { listApplianceModules } from "./modules.ts";
import { type ApplianceSettings, DATA_SOCKET_NAME, HELPER_SOCKET_NAME } from "./settings.ts";

export const HOST_KEY_NAME = "ssh_host_ed25519_key";

/** A management process that serves. */
export interface RunningManage {
  readonly ports: readonly number[];
  stop(): void;
}

/** Starts; returns when it serves. The data process may come later. */
export async function startManage(settings: ApplianceSettings): Promise<RunningManage> {
  const log = createLog(`manage ${settings.name}`);
  let server: ManagementServer | undefined;
  const dataSocket = join(settings.runDirectory, DATA_SOCKET_NAME);
  const dataLink = new DataLink(dataSocket, log, async () => {
    const isApplied = await applyRunning(server, log);
    // Only now it may be known that the day-zero configuration cannot be carried out.
    if (server?.dayZero.outcome === "refused") await tellConsole();
    return isApplied;
  });
  const root = findProjectRoot();
  const report = readFirstBootReport(settings.firstBootFile, log);
  const helperSocket = join(settings.runDirectory, HELPER_SOCKET_NAME);
  const tellConsole = async (): Promise<void> => {
    if (report === undefined || server === undefined) return;
    await showBanner(helperSocket, server.dayZero, log);
  };
  const applier = new ApplianceApplier({
    dataLink,
    helperSocket,
    bootId: settings.bootId,
    version: readVersion(root),
    firstBoot: () => formatFirstBoot(report, server?.dayZero ?? { outcome: "absent" }),
    log,
  });
  const tls = new TlsApplier(settings.stateDirectory, log);
  const restconf = new RestconfApplier(settings.stateDirectory, tls.certificates, log);
  const callHome = new CallHomeApplier(
    {
      ssh: (socket) => server?.acceptStream(socket, socket.remoteAddress ?? ""),
      tls: (socket) => tls.accept(socket),
      restconf: (socket) => restconf.accept(socket),
    },
    log,
  );
  server = await ManagementServer.start({
    searchDirectories: defaultYangDirectories(root),
    modules: listApplianceModules(settings.profile ?? "all"),
    applier,
    appliers: [restconf, tls, callHome],
    stateDirectory: settings.stateDirectory,
    hostKeyFile: join(settings.stateDirectory, HOST_KEY_NAME),
    authorizedKeysFile: settings.netconf.authorizedKeysFile,
    users: settings.netconf.users,
    listen: listListenPoints(settings),
    bootId: settings.bootId,
    dayZeroConfig: readDayZero(settings),
    savesStartup: readAutoSave,
    preview: (config) => dataLink.preview(config),
    log,
  });
  restconf.attach(server);
  registerOperations(server, dataLink, { helperSocket, isInVm: report !== undefined, log });
  tls.attach(server);
  void dataLink.run();
  const { ports } = server;
  log.info("NETCONF is served", { ports: ports.join(",") });
  const managePort = await openManagePort(settings, helperSocket, server, log);
  void tellConsole();
  return {
    ports,
    stop: () => {
      void managePort?.stop();
      dataLink.stop();
      callHome.close();
      restconf.close();
      tls.close();
      server.close();
    },
  };
}

function registerOperations(
  server: ManagementServer,
  dataLink: DataLink,
  power: PowerOptions,
): void {
  registerPower(server, power);
  server.operations.register("flowlift-interfaces:repair-network", async () =>
    ok({ change: await dataLink.repairNetwork() }),
  );
}

async function openManagePort(
  { managePort: address }: ApplianceSettings,
  helperSocket: string,
  server: ManagementServer,
  log: Log,
): Promise<RunningManagePort | undefined> {
  if (address === undefined) return undefined;
  const onSsh = (stream: Duplex, sourceHost: string): void =>
    server.acceptStream(stream, sourceHost);
  return await serveManagePort({ address, helperSocket, onSsh, log });
}

async function applyRunning(server: ManagementServer | undefined, log: Log): Promise<boolean> {
  const problem = await server?.reapply();
  if (problem === undefined) return true;
  log.error("Running cannot be applied", { path: problem.path, reason: problem.message });
  return false;
}

function readDayZero({ dayZeroConfigFile }: ApplianceSettings): string | undefined {
  if (dayZeroConfigFile === undefined) return undefined;
  try {
    return readFileSync(dayZeroConfigFile, "utf8");
  } catch (cause) {
    const text = `Cannot read the day-zero configuration "${dayZeroConfigFile}"`;
    throw new FlowliftError("CONFIG_FILE_INVALID", text, { cause });
  }
}

function readVersion(root: string): string {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly version: string;
  };
  return version;
}
