/**
 * A TCP connection read in exact amounts and written with back-pressure.
 *
 * Effect: reads and writes the socket it is given.
 */
import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import { makeBlock, type TransferRequest } from "./transfer-codec.ts";

type Consume = (chunk: Buffer) => Buffer | undefined;

/** One reader at a time; whatever arrives between two reads is kept. */
export class ByteStream {
  readonly #socket: Socket;
  #kept: Buffer[] = [];
  #consume: Consume | undefined;
  #settle: { resolve(): void; reject(error: Error): void } | undefined;
  #failure: Error | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("the connection ended")));
    socket.on("timeout", () => socket.destroy(new Error("no byte in time")));
  }

  #receive(chunk: Buffer): void {
    if (this.#consume === undefined) {
      this.#kept.push(chunk);
      if (this.#kept.length > 1) this.#socket.pause();
      return;
    }
    const rest = this.#consume(chunk);
    if (rest === undefined) return;
    this.#consume = undefined;
    if (rest.length > 0) this.#kept.push(rest);
    this.#settle?.resolve();
    this.#settle = undefined;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#settle?.reject(error);
    this.#settle = undefined;
    this.#consume = undefined;
  }

  #read(consume: Consume): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#consume = consume;
      this.#settle = { resolve, reject };
      const kept = this.#kept;
      this.#kept = [];
      for (const chunk of kept) this.#receive(chunk);
      this.#socket.resume();
      if (this.#settle !== undefined && this.#failure !== undefined) this.#fail(this.#failure);
    });
  }

  /** Returns exactly `byteCount` bytes; rejects when the connection ends before. */
  async readExactly(byteCount: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    let missing = byteCount;
    if (missing === 0) return Buffer.alloc(0);
    await this.#read((chunk) => {
      parts.push(chunk.subarray(0, missing));
      const rest = chunk.subarray(Math.min(missing, chunk.length));
      missing -= chunk.length - rest.length;
      return missing === 0 ? rest : undefined;
    });
    return Buffer.concat(parts);
  }

  /** Reads `byteCount` bytes without keeping them; returns their SHA-256. */
  async readDigest(byteCount: number): Promise<Buffer> {
    const hash = createHash("sha256");
    let missing = byteCount;
    if (missing > 0) {
      await this.#read((chunk) => {
        const rest = chunk.subarray(Math.min(missing, chunk.length));
        hash.update(chunk.subarray(0, chunk.length - rest.length));
        missing -= chunk.length - rest.length;
        return missing === 0 ? rest : undefined;
      });
    }
    return hash.digest();
  }

  /** Resolves when the socket has room again. */
  write(bytes: Buffer): Promise<void> | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#socket.write(bytes)) return undefined;
    return new Promise((resolve, reject) => {
      const done = (): void => {
        this.#socket.off("close", failed);
        resolve();
      };
      const failed = (): void => {
        this.#socket.off("drain", done);
        reject(this.#failure ?? new Error("the connection ended"));
      };
      this.#socket.once("drain", done);
      this.#socket.once("close", failed);
    });
  }

  /** Writes a payload of `byteCount` bytes; returns its SHA-256. */
  async writePayload(request: TransferRequest, byteCount: number): Promise<Buffer> {
    const hash = createHash("sha256");
    for (let offset = 0; offset < byteCount; ) {
      const block = makeBlock(request, offset, byteCount);
      hash.update(block);
      offset += block.length;
      await this.write(block);
    }
    return hash.digest();
  }
}
