/**
 * A serial port that is a Unix socket of ours; the newest connection replaces an older one.
 *
 * Effect: a listening socket, mode 0660; a stale file at its path is replaced.
 */
import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { describeError, FlowliftError } from "../base/errors.ts";
import { explainSocketPath } from "../base/folders.ts";
import type { Log } from "../base/log.ts";
import type { SerialPort } from "./port.ts";
import { writeBounded } from "./socket-writer.ts";

const SOCKET_MODE = 0o660;

/** Accepts one connection at a time. */
export class UnixListenPort implements SerialPort {
  onData: (bytes: Buffer) => void = () => {};
  onUp: () => void = () => {};
  onDown: () => void = () => {};
  readonly #server: Server;
  readonly #log: Log;
  #socket: Socket | undefined;
  #closed = false;

  private constructor(server: Server, log: Log) {
    this.#server = server;
    this.#log = log;
    server.on("connection", (socket: Socket) => this.#take(socket));
  }

  /** Throws PORT_IN_USE when somebody listens there, SERIAL_PORT_FAILED for anything else. */
  static async open(path: string, log: Log): Promise<UnixListenPort> {
    await removeStaleSocket(path);
    const server = createServer();
    const port = new UnixListenPort(server, log);
    await new Promise<void>((resolve, reject) => {
      server.once("error", (cause) =>
        reject(new FlowliftError("SERIAL_PORT_FAILED", explainSocketPath(path), { cause })),
      );
      server.listen(path, resolve);
    });
    chmodSync(path, SOCKET_MODE);
    return port;
  }

  get isUp(): boolean {
    return this.#socket !== undefined;
  }

  get queuedBytes(): number {
    return this.#socket?.writableLength ?? 0;
  }

  write(bytes: Uint8Array): boolean {
    return writeBounded(this.#socket, bytes);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#drop();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #take(socket: Socket): void {
    this.#drop();
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => {
      if (this.#socket === socket) this.onData(bytes);
    });
    socket.on("error", (error) => {
      this.#log.debug("the serial socket failed", { reason: describeError(error) });
    });
    socket.on("close", () => {
      if (this.#socket === socket) this.#drop();
    });
    this.onUp();
  }

  #drop(): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#socket = undefined;
    socket.destroy();
    this.onDown();
  }
}

/** A socket file whose owner was killed stays behind; one that answers belongs to somebody. */
async function removeStaleSocket(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) {
    throw new FlowliftError("SERIAL_PORT_FAILED", `"${path}" exists and is no socket`);
  }
  if (await answers(path)) {
    throw new FlowliftError("PORT_IN_USE", `Another process listens on "${path}"`);
  }
  unlinkSync(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", () => resolve(false));
  });
}
