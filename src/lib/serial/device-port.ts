/**
 * A serial port that is a character device: a virtio-serial port or a pty.
 *
 * Effect: one descriptor, O_NONBLOCK; a thread waits for it, so that nothing here ever blocks.
 * Source: linux/drivers/char/virtio_console.c (without a reader on the host, read gives end of file and
 * poll POLLHUP at once: a busy loop unless guarded).
 * Invariant: bytes are written in order; a write is taken whole or not at all.
 */
import { closeSync, constants, openSync, readSync, writeSync } from "node:fs";
import { describeError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { makeRaw, POLLERR, POLLHUP, POLLIN, POLLNVAL, pollReadable } from "./native-tty.ts";
import { backoffMs, type SerialPort, WRITE_QUEUE_BYTES_MAX } from "./port.ts";

/** How long one wait lasts, and so how long `close` may take. */
export const POLL_TIMEOUT_MS = 100;
const READ_BYTES_MAX = 65_536;
/** A device that keeps saying "hung up" is opened anew: a pty's other side never comes back. */
const REOPEN_AFTER_FAILURES = 6;
const WRITE_RETRY_MIN_MS = 1;
const WRITE_RETRY_MAX_MS = 20;

/** Opens the device, and opens it again when it is gone. */
export class DevicePort implements SerialPort {
  onData: (bytes: Buffer) => void = () => {};
  onUp: () => void = () => {};
  onDown: () => void = () => {};
  readonly #path: string;
  readonly #log: Log;
  readonly #buffer = Buffer.allocUnsafe(READ_BYTES_MAX);
  #fd: number | undefined;
  #isUp = false;
  #closed = false;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #writeRetryMs = WRITE_RETRY_MIN_MS;
  #writeTimer: NodeJS.Timeout | undefined;
  readonly #finished: Promise<void>;

  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
    this.#finished = this.#run();
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  write(bytes: Uint8Array): boolean {
    if (!this.#isUp || this.#queuedBytes + bytes.length > WRITE_QUEUE_BYTES_MAX) return false;
    this.#queue.push(Buffer.from(bytes));
    this.#queuedBytes += bytes.length;
    if (this.#writeTimer === undefined) this.#flush();
    return true;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#finished;
  }

  /** The life of the port: open, wait, read; again after a failure. */
  async #run(): Promise<void> {
    await Promise.resolve(); // The owner sets its callbacks first.
    let failures = 0;
    while (!this.#closed) {
      if (this.#fd === undefined && !this.#open(failures)) {
        await sleep(backoffMs(failures++));
        continue;
      }
      if (await this.#waitAndRead()) {
        failures = 0;
        continue;
      }
      this.#setDown();
      await sleep(backoffMs(failures++));
      if (failures >= REOPEN_AFTER_FAILURES) this.#closeDescriptor();
    }
    this.#setDown();
    this.#closeDescriptor();
  }

  #open(failures: number): boolean {
    try {
      const { O_RDWR, O_NONBLOCK, O_NOCTTY } = constants;
      this.#fd = openSync(this.#path, O_RDWR | O_NONBLOCK | O_NOCTTY);
      makeRaw(this.#fd);
      return true;
    } catch (error) {
      if (failures === 0) {
        const reason = describeError(error);
        this.#log.warn("the serial device cannot be opened yet", { path: this.#path, reason });
      }
      return false;
    }
  }

  /** Returns false when there is no peer. */
  async #waitAndRead(): Promise<boolean> {
    const fd = this.#fd;
    if (fd === undefined) return false;
    const ready = await pollReadable(fd, this.#isUp ? POLL_TIMEOUT_MS : 0);
    if (this.#closed) return true;
    // What a peer wrote before it left is read first.
    const bytes = (ready & POLLIN) === 0 ? undefined : this.#read(fd);
    if (bytes === "end") return false;
    const hungUp = (ready & (POLLHUP | POLLERR | POLLNVAL)) !== 0;
    if (bytes === undefined && hungUp) return false;
    this.#setUp();
    if (bytes !== undefined) this.onData(bytes);
    return true;
  }

  /** Returns bytes, or undefined for none now, or "end" for no peer. */
  #read(fd: number): Buffer | undefined | "end" {
    try {
      const count = readSync(fd, this.#buffer, 0, READ_BYTES_MAX, null);
      return count === 0 ? "end" : Buffer.from(this.#buffer.subarray(0, count));
    } catch (error) {
      return isTryAgain(error) ? undefined : "end";
    }
  }

  #setUp(): void {
    if (this.#isUp) return;
    this.#isUp = true;
    this.onUp();
  }

  #setDown(): void {
    this.#queue = [];
    this.#queuedBytes = 0;
    clearTimeout(this.#writeTimer);
    this.#writeTimer = undefined;
    this.#writeRetryMs = WRITE_RETRY_MIN_MS;
    if (!this.#isUp) return;
    this.#isUp = false;
    this.onDown();
  }

  #closeDescriptor(): void {
    if (this.#fd === undefined) return;
    closeSync(this.#fd);
    this.#fd = undefined;
  }

  /** Writes what the device takes now; the rest is tried again a little later. */
  #flush(): void {
    this.#writeTimer = undefined;
    while (this.#fd !== undefined && this.#queue.length > 0) {
      const head = this.#queue[0] ?? Buffer.alloc(0);
      const written = this.#writeSome(this.#fd, head);
      this.#queuedBytes -= written;
      if (written < head.length) {
        this.#queue[0] = head.subarray(written);
        this.#writeRetryMs =
          written > 0 ? WRITE_RETRY_MIN_MS : Math.min(WRITE_RETRY_MAX_MS, 2 * this.#writeRetryMs);
        this.#writeTimer = setTimeout(() => this.#flush(), this.#writeRetryMs);
        return;
      }
      this.#queue.shift();
    }
    this.#writeRetryMs = WRITE_RETRY_MIN_MS;
  }

  #writeSome(fd: number, bytes: Buffer): number {
    try {
      return writeSync(fd, bytes);
    } catch (error) {
      if (!isTryAgain(error)) {
        this.#log.debug("the serial device takes no bytes", { reason: describeError(error) });
      }
      return 0; // The reader notices when the peer is gone, and empties the queue.
    }
  }
}

function isTryAgain(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EAGAIN";
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
