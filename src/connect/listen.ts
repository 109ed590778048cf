/**
 * Makes a VM's NETCONF reachable as a TCP port of this host.
 *
 * Effect: listens on an address or on an inherited socket, and relays each connection as a channel.
 */
import { createServer, type Server, type Socket } from "node:net";
import { FlowliftError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import { join, Relay } from "./relay.ts";
import { openThroughRelay } from "./relay-client.ts";

export type ListenAt =
  | { readonly kind: "address"; readonly address: string; readonly port: number }
  | { readonly kind: "inherited"; readonly fd: number };

export interface RunningListener {
  readonly port: number;
  close(): Promise<void>;
}

/** Returns when connections are accepted. Owns the port unless another relay does. Throws PORT_IN_USE. */
export async function listenForVm(
  socketPath: string,
  at: ListenAt,
  log: Log,
): Promise<RunningListener> {
  let relay = await Relay.start(socketPath, log);
  const carry = async (socket: Socket): Promise<void> => {
    socket.on("error", () => {});
    socket.setNoDelay(true);
    try {
      // The relay that was there may have ended since.
      relay ??= await Relay.start(socketPath, log);
      if (relay !== undefined) await relay.serve(socket, "ssh");
      else join(socket, await openThroughRelay({ socketPath, relayWords: undefined }, "ssh"));
    } catch {
      socket.destroy();
    }
  };
  const server = createServer((socket) => void carry(socket));
  const port = await listen(server, at);
  return {
    port,
    close: async () => {
      server.close();
      await relay?.close();
    },
  };
}

function listen(server: Server, at: ListenAt): Promise<number> {
  return new Promise((resolve, reject) => {
    const place = at.kind === "inherited" ? `descriptor ${at.fd}` : `${at.address} port ${at.port}`;
    server.once("error", (cause) =>
      reject(new FlowliftError("PORT_IN_USE", `Cannot listen on ${place}`, { cause })),
    );
    const ready = (): void => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    };
    if (at.kind === "inherited") server.listen({ fd: at.fd }, ready);
    else server.listen({ host: at.address, port: at.port }, ready);
  });
}
