/**
 * A client of a VM's relay: finds the one that runs, or starts one that ends by itself.
 *
 * Effect: connects to `SOCKET.relay`; starts a detached process when nobody listens there.
 */
import { spawn } from "node:child_process";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { FlowliftError } from "../lib/base/errors.ts";
import type { ChannelService } from "../lib/manage-port/channel-mux.ts";
import { relayPathOf, SERVICE_BYTES } from "./relay.ts";

/** A relay starts as fast as Node does. */
const START_WAIT_MS = 15_000;
const START_POLL_MS = 50;

export interface RelayClientOptions {
  readonly socketPath: string;
  /** The program and its words that run a relay until it is idle; undefined: none is started. */
  readonly relayWords: readonly string[] | undefined;
}

/** Returns a stream to the VM. Throws SERIAL_PORT_FAILED. */
export async function openThroughRelay(
  { relayWords, socketPath }: RelayClientOptions,
  service: ChannelService,
): Promise<Socket> {
  const path = relayPathOf(socketPath);
  let hasStarted = false;
  for (let waited = 0; waited < START_WAIT_MS; waited += START_POLL_MS) {
    const socket = await tryConnect(path);
    if (socket !== undefined) {
      socket.write(SERVICE_BYTES[service]);
      return socket;
    }
    if (relayWords === undefined) break;
    if (!hasStarted) startRelay(relayWords);
    hasStarted = true;
    await sleep(START_POLL_MS);
  }
  throw new FlowliftError("SERIAL_PORT_FAILED", `No relay answers on "${path}"`);
}

/** Outlives whoever started it: other clients may come to use it. */
function startRelay([program = "", ...words]: readonly string[]): void {
  const child = spawn(program, words, { detached: true, stdio: "ignore" });
  child.on("error", () => {}); // The wait for it ends with the message.
  child.unref();
}

function tryConnect(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.removeAllListeners("error");
      resolve(socket);
    });
    socket.once("error", () => resolve(undefined));
  });
}
