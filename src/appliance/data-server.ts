/**
 * The process `appliance-data`: the data plane behind its local socket.
 *
 * Effect: listens on `${runDirectory}/data.sock`; prints READY when it serves; stops on SIGTERM and SIGINT.
 * The methods are described in `settings.ts`.
 */
import { join } from "node:path";
import { requireCapabilities } from "../lib/base/capabilities.ts";
import { FlowliftError } from "../lib/base/errors.ts";
import { makeFolder } from "../lib/base/folders.ts";
import { type LocalRpcHandlers, type LocalRpcPeer, listenLocalRpc } from "../lib/base/local-rpc.ts";
import { createLog, type Log } from "../lib/base/log.ts";
import { parseInterfaceName } from "../lib/nft/identifier.ts";
import type { ConfigData } from "../lib/service/provider.ts";
import { awaitApplianceSettings } from "./await-settings.ts";
import { DataPlane } from "./data-plane.ts";
import { RULESET_INTERFACES_MAX } from "./ruleset.ts";
import { type ApplianceSettings, DATA_SOCKET_NAME } from "./settings.ts";

/** Runs until a signal; resolves when everything is closed. */
export async function serveData(settingsFile: string, waits: boolean): Promise<void> {
  const settings = await readDataSettings(settingsFile, waits);
  requireCapabilities("appliance-data", ["CAP_NET_ADMIN"]);
  const log = createLog(`appliance-data[${settings.name}]`);
  makeFolder(settings.runDirectory, 0o755);
  const plane = new DataPlane(settings, log);
  await plane.start();
  const peers = new Set<LocalRpcPeer>();
  const path = join(settings.runDirectory, DATA_SOCKET_NAME);
  const server = await listenLocalRpc(path, createHandlers(plane, log), (peer) => {
    peers.add(peer);
    peer.onClose = () => peers.delete(peer);
  });
  process.stdout.write("READY\n");
  await new Promise<void>((resolve) => {
    process.once("SIGTERM", resolve);
    process.once("SIGINT", resolve);
  });
  server.close();
  for (const peer of peers) peer.close();
  await plane.stop();
}

/** Returns the methods of the local socket. */
export function createHandlers(plane: DataPlane, log: Log): LocalRpcHandlers {
  return {
    prepare: async (params) => {
      const result = await plane.prepare(
        readId(params),
        readConfig(params),
        readAsksKernel(params),
      );
      if (result.ok) return { ok: true };
      return { ok: false, path: result.error.path, message: result.error.message };
    },
    commit: async (params) => {
      const outcome = await plane.commit(readId(params));
      if (outcome === undefined) {
        throw new FlowliftError("LOCAL_RPC_FAILED", "Cannot commit: nothing was prepared");
      }
      const { cutFlows, cutOffloadedFlows, late } = outcome;
      log.info("Committed", { cutFlows, cutOffloadedFlows, late: late.length });
      return outcome;
    },
    abort: async (params) => {
      await plane.abort(readId(params));
      return {};
    },
    preview: async (params) => {
      const result = await plane.preview(readConfig(params));
      if (result.ok) return { ok: true, ...result.value };
      return { ok: false, path: result.error.path, message: result.error.message };
    },
    "get-state": () => plane.readState(),
    "repair-network": async () => ({ changes: await plane.repairNetwork() }),
  };
}

function readId(params: unknown): string {
  const id = (params as { readonly transactionId?: unknown } | null)?.transactionId;
  if (typeof id === "string") return id;
  throw new FlowliftError("LOCAL_RPC_FAILED", "transactionId is missing");
}

/** Asked unless the caller says that commit may refuse as well. */
function readAsksKernel(params: unknown): boolean {
  return (params as { readonly asksKernel?: unknown } | null)?.asksKernel !== false;
}

function readConfig(params: unknown): ConfigData {
  const config = (params as { readonly config?: unknown } | null)?.config;
  if (typeof config === "object" && config !== null && !Array.isArray(config)) {
    return config as ConfigData;
  }
  throw new FlowliftError("LOCAL_RPC_FAILED", "config is missing");
}

/** Throws CONFIG_FILE_INVALID. */
async function readDataSettings(path: string, waits: boolean): Promise<ApplianceSettings> {
  const settings = await awaitApplianceSettings(path, waits);
  const problem = findInterfaceProblem(settings.interfaces);
  if (problem === undefined) return settings;
  throw new FlowliftError("CONFIG_FILE_INVALID", `Settings "${path}": ${problem}`);
}

/** Returns what is wrong with the data interfaces' names, if anything is. */
export function findInterfaceProblem(interfaces: readonly string[]): string | undefined {
  if (interfaces.length > RULESET_INTERFACES_MAX) {
    return `more than ${RULESET_INTERFACES_MAX} interfaces`;
  }
  const bad = interfaces.find((name) => parseInterfaceName(name) === undefined);
  return bad === undefined ? undefined : `"${bad}" cannot be the name of an interface`;
}
