/**
 * The client of the transfer protocol: connections that are held, used in rounds, and checked.
 *
 * Effect: connects; reads commands from standard input when `rounds` is 0.
 */
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { ByteStream } from "./byte-stream.ts";
import {
  TIMEOUT_DEFAULT_MS,
  type TransferClientOptions,
  type TransferClientResult,
  type TransferRound,
} from "./options.ts";
import { nameFailure, Tally } from "./serving.ts";
import { DIGEST_BYTES, encodeTransferRequest, type TransferRequest } from "./transfer-codec.ts";

interface Connection {
  readonly index: number;
  readonly socket: Socket;
  readonly stream: ByteStream;
}

/** Opens all connections, transfers round by round, and reports. */
export async function runTransferClient(
  options: TransferClientOptions,
): Promise<TransferClientResult> {
  const client = new TransferClient(options);
  await client.open();
  const rounds = options.rounds ?? 1;
  if (rounds > 0) for (let round = 0; round < rounds; round++) await client.transfer();
  else await followCommands(client);
  return client.close();
}

/** READY once the connections are open; then one line for each `round`. */
async function followCommands(client: TransferClient): Promise<void> {
  process.stdout.write("READY\n");
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === "close") return;
    if (line === "round") {
      process.stdout.write(`${JSON.stringify(await client.transfer())}\n`);
    }
  }
}

class TransferClient {
  readonly #options: TransferClientOptions;
  readonly #startedMs = performance.now();
  readonly #errors = new Tally();
  #held: Connection[] = [];
  #round = 0;
  #bytesSent = 0;
  #bytesReceived = 0;

  constructor(options: TransferClientOptions) {
    this.#options = options;
  }

  async open(): Promise<void> {
    const { connections, openPauseMs } = this.#options;
    const opened: Promise<Connection | undefined>[] = [];
    for (let index = 0; index < connections; index++) {
      if (openPauseMs !== undefined) await sleep(openPauseMs);
      opened.push(this.#connect(index));
    }
    this.#held = (await Promise.all(opened)).filter((one) => one !== undefined);
  }

  #connect(index: number): Promise<Connection | undefined> {
    const { target, port, timeoutMs } = this.#options;
    const socket = connect({ host: target, port });
    socket.setTimeout(timeoutMs ?? TIMEOUT_DEFAULT_MS);
    return new Promise((resolve) => {
      const fail = (error: unknown): void => {
        this.#errors.add(nameFailure(error));
        socket.destroy();
        resolve(undefined);
      };
      const onTimeout = (): void => fail("no connection in time");
      socket.once("error", fail);
      socket.once("timeout", onTimeout);
      socket.once("connect", () => {
        socket.off("error", fail);
        socket.off("timeout", onTimeout);
        socket.setTimeout(0);
        resolve({ index, socket, stream: new ByteStream(socket) });
      });
    });
  }

  /** Transfers the payloads over every connection that is left. */
  async transfer(): Promise<TransferRound> {
    const round = this.#round++;
    const startedMs = performance.now();
    const before = this.#held.length;
    const outcomes = await Promise.all(this.#held.map((one) => this.#transferOne(one, round)));
    this.#held = this.#held.filter((_one, index) => outcomes[index]);
    const held = this.#held.length;
    return { round, held, failed: before - held, durationMs: performance.now() - startedMs };
  }

  async #transferOne({ index, socket, stream }: Connection, round: number): Promise<boolean> {
    const { uploadBytes, downloadBytes, timeoutMs } = this.#options;
    const request: TransferRequest = { connection: index, round, uploadBytes, downloadBytes };
    try {
      socket.setTimeout(timeoutMs ?? TIMEOUT_DEFAULT_MS);
      await stream.write(encodeTransferRequest(request));
      const sent = await stream.writePayload(request, uploadBytes);
      this.#bytesSent += uploadBytes;
      const arrived = await stream.readExactly(DIGEST_BYTES);
      if (!arrived.equals(sent)) throw new Error("the upload arrived changed");
      const received = await stream.readDigest(downloadBytes);
      const expected = await stream.readExactly(DIGEST_BYTES);
      if (!expected.equals(received)) throw new Error("the download arrived changed");
      this.#bytesReceived += downloadBytes;
      socket.setTimeout(0);
      return true;
    } catch (error) {
      this.#errors.add(nameFailure(error));
      socket.destroy();
      return false;
    }
  }

  /** Closes every connection in order and waits for their ends. */
  async close(): Promise<TransferClientResult> {
    await Promise.all(
      this.#held.map(
        ({ socket }) =>
          new Promise<void>((resolve) => {
            socket.once("close", () => resolve());
            socket.setTimeout(this.#options.timeoutMs ?? TIMEOUT_DEFAULT_MS);
            socket.resume();
            socket.end();
          }),
      ),
    );
    return {
      connections: this.#options.connections,
      failedConnections: this.#options.connections - this.#held.length,
      rounds: this.#round,
      bytesSent: this.#bytesSent,
      bytesReceived: this.#bytesReceived,
      errors: this.#errors.toJson(),
      durationMs: performance.now() - this.#startedMs,
    };
  }
}
