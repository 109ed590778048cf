/** A serial port that is somebody's listening Unix socket, such as QEMU's chardev. Effect: a socket. */
import { connect, type Socket } from "node:net";
import { describeError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { backoffMs, type SerialPort } from "./port.ts";
import { writeBounded } from "./socket-writer.ts";

/** Connects, and connects again with back-off whenever the connection ends. */
export class UnixConnectPort implements SerialPort {
  onData: (bytes: Buffer) => void = () => {};
  onUp: () => void = () => {};
  onDown: () => void = () => {};
  readonly #path: string;
  readonly #log: Log;
  #socket: Socket | undefined;
  #isUp = false;
  #closed = false;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
    this.#timer = setTimeout(() => this.#connect(), 0);
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  get queuedBytes(): number {
    return this.#isUp ? (this.#socket?.writableLength ?? 0) : 0;
  }

  write(bytes: Uint8Array): boolean {
    return this.#isUp && writeBounded(this.#socket, bytes);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket?.destroy();
    this.#end();
  }

  #connect(): void {
    const socket = connect(this.#path);
    this.#socket = socket;
    socket.on("connect", () => {
      this.#failures = 0;
      this.#isUp = true;
      this.onUp();
    });
    socket.on("data", (bytes: Buffer) => this.onData(bytes));
    socket.on("error", (error) => {
      if (this.#failures === 0) {
        const reason = describeError(error);
        this.#log.debug("the serial socket failed", { path: this.#path, reason });
      }
    });
    socket.on("close", () => {
      this.#end();
      if (this.#closed) return;
      this.#timer = setTimeout(() => this.#connect(), backoffMs(this.#failures));
      this.#failures++;
    });
  }

  #end(): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.onDown();
  }
}
