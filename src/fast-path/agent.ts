/**
 * The fast-path agent: serves a driver to the controller through a Unix socket.
 *
 * Effect: listens on `socketPath`. Its peers are trusted (file mode 0660): the controller alone may reach it.
 * Methods are those of the driver contract; events are "neighbour" and "lost".
 */
import { unlinkSync } from "node:fs";
import type { Server } from "node:net";
import { assert } from "../lib/base/assert.ts";
import { type LocalRpcHandlers, type LocalRpcPeer, listenLocalRpc } from "../lib/base/local-rpc.ts";
import type { Log } from "../lib/base/log.ts";
import type { FastPathDriver, FlowHandle } from "./driver.ts";
import { encodeCountersOf, encodeTotals, encodeWithdrawOutcome } from "./driver-codec.ts";
import { decodeFlows, encodeFlows, encodeRefusals, type FlowsJson } from "./flow-codec.ts";
import type { Topology } from "./topology.ts";

/** Bytes an agent keeps for a peer that does not read; then the peer is dropped. */
export const EVENT_QUEUE_BYTES_MAX: number = 8 * 1024 * 1024;

export interface ServedDriver {
  close(): Promise<void>;
}

/** Serves until closed; closing closes the driver too. */
export async function serveDriver(
  driver: FastPathDriver,
  socketPath: string,
  log: Log,
): Promise<ServedDriver> {
  const peers = new Set<LocalRpcPeer>();
  const emit = (event: string, params: unknown): void => {
    for (const peer of peers) {
      if (peer.queuedBytes > EVENT_QUEUE_BYTES_MAX) peer.close();
      else peer.emit(event, params);
    }
  };
  driver.onNeighbour = (location) => emit("neighbour", location);
  driver.onLost = () => {
    log.error("the driver is lost");
    emit("lost", {});
  };
  const server = await listenLocalRpc(socketPath, makeHandlers(driver), (peer) => {
    peers.add(peer);
    log.info("a controller connected", { peers: peers.size });
    peer.onClose = () => {
      peers.delete(peer);
      log.info("a controller left", { peers: peers.size });
    };
  });
  return {
    async close() {
      for (const peer of peers) peer.close();
      await closeServer(server);
      removeSocket(socketPath);
      await driver.close();
    },
  };
}

function makeHandlers(driver: FastPathDriver): LocalRpcHandlers {
  return {
    capabilities: () => driver.capabilities(),
    configure: (params) => driver.configure(params as Topology),
    setSlot: (params) => {
      const { vmSlot, generation, leaseMs } = params as Record<string, number>;
      assert(vmSlot !== undefined && generation !== undefined, "a slot has number and generation");
      return driver.setSlot(vmSlot, generation, leaseMs ?? 0);
    },
    install: async (params) =>
      encodeRefusals(await driver.install(decodeFlows(params as FlowsJson))),
    withdraw: async (params) =>
      (await driver.withdraw(params as readonly FlowHandle[])).map(encodeWithdrawOutcome),
    update: (params) => {
      const { handle, direction, change } = params as {
        handle: FlowHandle;
        direction: "original" | "reply";
        change: Parameters<FastPathDriver["update"]>[2];
      };
      return driver.update(handle, direction, change);
    },
    readCounters: async (params) =>
      (await driver.readCounters(params as readonly FlowHandle[] | "all")).map(encodeCountersOf),
    totals: async () => encodeTotals(await driver.totals()),
    listFlows: async () => encodeFlows((await driver.listFlows?.()) ?? []),
    listNeighbours: () => driver.listNeighbours(),
  };
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

function removeSocket(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // node:net removes it already; only a crash leaves it behind.
  }
}
