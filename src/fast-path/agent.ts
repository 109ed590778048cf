/**
 * The fast-path agent: serves a driver to the controller through a Unix socket.
 *
 * Effect: listens on `socketPath`. Its peers are trusted (file mode 0660): the controller alone may reach it.
 * Methods are those of the driver contract; events are "neighbour" and "lost".
 */
import { chmodSync, existsSync, unlinkSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { assert } from "../lib/base/assert.ts";
import { describeError, FlowliftError } from "../lib/base/errors.ts";
import { explainSocketPath } from "../lib/base/folders.ts";
import type { Log } from "../lib/base/log.ts";
import {
  AgentLink,
  decodeJson,
  encodeJson,
  FRAME_CALL,
  FRAME_INSTALL,
  FRAME_READ_COUNTERS,
  FRAME_WITHDRAW,
} from "./agent-link.ts";
import type { FastPathDriver, FlowHandle, InstallRefusal } from "./driver.ts";
import { decodeHandles, encodeOutcomes, encodeRefusals, encodeTotals } from "./driver-codec.ts";
import { packFlows, unpackFlows } from "./packed-flows.ts";
import type { Topology } from "./topology.ts";

/** Bytes an agent keeps for a peer that does not read; then the peer is dropped. */
export const EVENT_QUEUE_BYTES_MAX: number = 8 * 1024 * 1024;

const SOCKET_MODE = 0o660;

export interface ServedDriver {
  close(): Promise<void>;
}

/** Serves until closed; closing closes the driver too. */
export async function serveDriver(
  driver: FastPathDriver,
  socketPath: string,
  log: Log,
): Promise<ServedDriver> {
  const peers = new Set<AgentLink>();
  const emit = (event: string, params: unknown): void => {
    for (const peer of peers) {
      if (peer.queuedBytes > EVENT_QUEUE_BYTES_MAX) peer.close();
      else peer.emit(encodeJson({ event, params }));
    }
  };
  driver.onNeighbour = (location) => emit("neighbour", location);
  driver.onLost = () => {
    log.error("the driver is lost");
    emit("lost", {});
  };
  const server = await listen(socketPath, (peer) => {
    peers.add(peer);
    log.info("a controller connected", { peers: peers.size });
    peer.onCall = (kind, call, body) => void serve(driver, peer, kind, call, body);
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

/** Listens on a Unix socket, replacing a stale file. */
function listen(path: string, onPeer: (peer: AgentLink) => void): Promise<Server> {
  if (existsSync(path)) unlinkSync(path);
  const server = createServer((socket) => onPeer(new AgentLink(socket)));
  return new Promise((resolve, reject) => {
    server.once("error", (cause) =>
      reject(new FlowliftError("PORT_IN_USE", explainSocketPath(path), { cause })),
    );
    server.listen(path, () => {
      chmodSync(path, SOCKET_MODE);
      resolve(server);
    });
  });
}

async function serve(
  driver: FastPathDriver,
  peer: AgentLink,
  kind: number,
  call: number,
  body: Buffer,
): Promise<void> {
  try {
    // Without waiting: what needs no time is answered in this turn, in the order of the calls.
    const answer = answerOf(driver, kind, body);
    peer.answer(call, answer instanceof Promise ? await answer : answer);
  } catch (error) {
    const code = error instanceof FlowliftError ? error.code : "LOCAL_RPC_FAILED";
    peer.fail(call, code, describeError(error));
  }
}

function answerOf(driver: FastPathDriver, kind: number, body: Buffer): Buffer | Promise<Buffer> {
  if (kind === FRAME_INSTALL) {
    if (driver.installPacked !== undefined) return encodeRefusals(driver.installPacked(body));
    return installEach(driver, body).then(encodeRefusals);
  }
  if (kind === FRAME_WITHDRAW) {
    const handles = decodeHandles(body);
    assert(handles !== "all", "flows are withdrawn by their handles");
    return driver.withdraw(handles).then(encodeOutcomes);
  }
  if (kind === FRAME_READ_COUNTERS) {
    return driver.readCounters(decodeHandles(body)).then(encodeOutcomes);
  }
  assert(kind === FRAME_CALL, "a frame is one of the calls");
  const { method, params } = decodeJson(body) as { method: string; params: unknown };
  const handler = Object.hasOwn(HANDLERS, method) ? HANDLERS[method] : undefined;
  if (handler === undefined) {
    throw new FlowliftError("LOCAL_RPC_FAILED", `The agent has no method "${method}"`);
  }
  return handler(driver, params);
}

async function installEach(driver: FastPathDriver, body: Buffer): Promise<InstallRefusal[]> {
  const outcomes = await driver.install(unpackFlows(body));
  return outcomes.flatMap((outcome, place) =>
    outcome.outcome === "refused" ? [{ place, reason: outcome.reason }] : [],
  );
}

type Handler = (driver: FastPathDriver, params: unknown) => Promise<Buffer>;

/** What is called seldom; its answers are JSON but for the flows. */
const HANDLERS: Readonly<Record<string, Handler>> = {
  capabilities: async (driver) => encodeJson(await driver.capabilities()),
  configure: async (driver, params) => encodeJson(await driver.configure(params as Topology)),
  setSlot: async (driver, params) => {
    const { vmSlot, generation, leaseMs } = params as Record<string, number>;
    assert(vmSlot !== undefined && generation !== undefined, "a slot has number and generation");
    return encodeJson(await driver.setSlot(vmSlot, generation, leaseMs ?? 0));
  },
  update: async (driver, params) => {
    const { handle, direction, change } = params as {
      handle: FlowHandle;
      direction: "original" | "reply";
      change: Parameters<FastPathDriver["update"]>[2];
    };
    return encodeJson(await driver.update(handle, direction, change));
  },
  totals: async (driver) => encodeJson(encodeTotals(await driver.totals())),
  listFlows: async (driver) => packFlows((await driver.listFlows?.()) ?? []),
  listNeighbours: async (driver) => encodeJson(await driver.listNeighbours()),
};

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
