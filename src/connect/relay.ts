/**
 * The host's end of a VM's management port: it owns the hypervisor's socket, which takes one client, and shares it.
 *
 * Effect: connects to the port's socket, and listens on `SOCKET.relay` beside it. Each connection there is one
 * channel: its first byte says for what (SERVICE_BYTES), the rest is the stream.
 * Limit: CHANNELS_MAX (channel-mux.ts), CLIENTS_MAX; SESSION_WAIT_MS for a VM that boots.
 */
import { randomBytes } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { MONOTONIC_CLOCK } from "../lib/base/clock.ts";
import type { Log } from "../lib/base/log.ts";
import { CHANNELS_MAX, ChannelMux, type ChannelService } from "../lib/manage-port/channel-mux.ts";
import { openSerialPort } from "../lib/serial/open-port.ts";
import type { SerialPort } from "../lib/serial/port.ts";
import { claimSocketPath, type SocketClaim } from "./claim.ts";

export const CLIENTS_MAX = 64;
/** A VM that boots answers when its NETCONF server stands. */
export const SESSION_WAIT_MS = 60_000;
const SESSION_POLL_MS = 20;
const TICK_MS = 250;
/** A client says at once what it wants. */
const SERVICE_BYTE_TIMEOUT_MS = 5_000;

export const SERVICE_BYTES: Readonly<Record<ChannelService, string>> = {
  ssh: "S",
  "install-key": "K",
};

/** Returns where the relay of a port's socket listens. */
export function relayPathOf(socketPath: string): string {
  return `${socketPath}.relay`;
}

export class Relay {
  readonly #port: SerialPort;
  readonly #mux: ChannelMux;
  readonly #server: Server;
  readonly #claim: SocketClaim;
  readonly #log: Log;
  readonly #timer: NodeJS.Timeout;
  readonly #clients = new Set<Duplex>();
  /** When the last client left. */
  #idleSinceMs: number = MONOTONIC_CLOCK.nowMs();

  private constructor(port: SerialPort, server: Server, claim: SocketClaim, log: Log) {
    this.#port = port;
    this.#server = server;
    this.#claim = claim;
    this.#log = log;
    this.#mux = new ChannelMux({
      write: (bytes) => port.write(bytes),
      drawId: () => randomBytes(8).toString("hex"),
      onOpen: () => log.info("The VM answers on its management port"),
      onClosed: (why) => log.info("The session with the VM ended", { why }),
    });
    const nowMs = (): number => MONOTONIC_CLOCK.nowMs();
    port.onUp = () => this.#mux.up(nowMs());
    port.onDown = () => this.#mux.down();
    port.onData = (bytes) => this.#mux.receive(bytes, nowMs());
    this.#timer = setInterval(() => this.#mux.tick(nowMs()), TICK_MS);
    server.on("connection", (socket: Socket) => void this.#take(socket));
  }

  /** Starts; undefined when another relay owns the port already. */
  static async start(socketPath: string, log: Log): Promise<Relay | undefined> {
    const server = createServer({ pauseOnConnect: true });
    const claim = await claimSocketPath(server, relayPathOf(socketPath));
    if (claim === undefined) return undefined;
    const port = await openSerialPort({ kind: "unix", path: socketPath }, log);
    return new Relay(port, server, claim, log);
  }

  /** Milliseconds without any client; 0 while there is one. */
  get idleMs(): number {
    return this.#clients.size > 0 ? 0 : MONOTONIC_CLOCK.nowMs() - this.#idleSinceMs;
  }

  /** False: another relay has taken over; this one ends when it is idle. */
  get isOwner(): boolean {
    return this.#claim.holds();
  }

  /** Carries a client's stream through a channel of its own; waits for the VM. */
  async serve(client: Duplex, service: ChannelService): Promise<void> {
    if (this.#clients.size >= CLIENTS_MAX) {
      this.#log.warn("A client was refused: too many", { max: CLIENTS_MAX });
      client.destroy();
      return;
    }
    this.#clients.add(client);
    client.on("error", () => {});
    client.once("close", () => {
      this.#clients.delete(client);
      this.#idleSinceMs = MONOTONIC_CLOCK.nowMs();
    });
    const channel = await this.#openChannel(client, service);
    if (channel === undefined) {
      client.destroy();
      return;
    }
    join(client, channel);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#server.close();
    this.#claim.release();
    for (const client of this.#clients) client.destroy();
    this.#mux.down();
    await this.#port.close();
  }

  async #openChannel(client: Duplex, service: ChannelService): Promise<Duplex | undefined> {
    for (let waited = 0; waited < SESSION_WAIT_MS && !client.destroyed; waited += SESSION_POLL_MS) {
      const channel = this.#mux.open(service);
      if (channel !== undefined) return channel;
      if (this.#mux.channelCount >= CHANNELS_MAX) {
        this.#log.warn("A client was refused: every channel is in use", { max: CHANNELS_MAX });
        return undefined;
      }
      await sleep(SESSION_POLL_MS);
    }
    return undefined;
  }

  async #take(socket: Socket): Promise<void> {
    const byte = await readByte(socket);
    const service = (["ssh", "install-key"] as const).find((one) => SERVICE_BYTES[one] === byte);
    if (service === undefined) socket.destroy();
    else await this.serve(socket, service);
  }
}

/** Joins two streams: what one says the other hears, and both end together. */
export function join(left: Duplex, right: Duplex): void {
  left.pipe(right);
  right.pipe(left);
  for (const [one, other] of [
    [left, right],
    [right, left],
  ] as const) {
    one.on("error", () => other.destroy());
    // What was written before the end is still delivered.
    one.once("close", () => other.end());
  }
}

/** The first byte of a paused socket; undefined when none comes in time. */
function readByte(socket: Socket): Promise<string | undefined> {
  return new Promise((resolve) => {
    const finish = (byte: string | undefined): void => {
      clearTimeout(timer);
      socket.removeListener("readable", onReadable);
      resolve(byte);
    };
    const onReadable = (): void => {
      const bytes = socket.read(1) as Buffer | null;
      if (bytes !== null) finish(bytes.toString("latin1"));
    };
    const timer = setTimeout(() => finish(undefined), SERVICE_BYTE_TIMEOUT_MS);
    socket.on("error", () => finish(undefined));
    socket.on("close", () => finish(undefined));
    socket.on("readable", onReadable);
  });
}
