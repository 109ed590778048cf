/**
 * Speaks with a running QEMU: one command at a time over its QMP socket.
 *
 * Effect: one connection to a Unix socket. Source: docs/interop/qmp-spec.rst of QEMU 7.2.
 * Limit: QMP_TIMEOUT_MS for each answer, QMP_LINE_BYTES_MAX for a line, EVENTS_KEPT_MAX events.
 */
import { connect, type Socket } from "node:net";
import { FlowliftError } from "../base/errors.ts";

export const QMP_TIMEOUT_MS = 30_000;
export const QMP_LINE_BYTES_MAX: number = 1024 * 1024;
export const EVENTS_KEPT_MAX = 64;

export interface QmpEvent {
  readonly event: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

interface Line {
  readonly QMP?: unknown;
  readonly return?: unknown;
  readonly error?: { readonly class?: string; readonly desc?: string };
  readonly event?: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

interface Waiter {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** A session with QEMU. Every failure is a FlowliftError with code LAB_FAILED. */
export class QmpClient {
  readonly #socket: Socket;
  readonly #path: string;
  readonly #events: QmpEvent[] = [];
  #rest = "";
  #waiter: Waiter | undefined;
  #closed = false;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(socket: Socket, path: string) {
    this.#socket = socket;
    this.#path = path;
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("error", () => this.#end());
    socket.on("close", () => this.#end());
  }

  /** Connects, and leaves the mode in which QEMU takes no commands. */
  static async connect(path: string): Promise<QmpClient> {
    const client = new QmpClient(connect(path), path);
    try {
      await client.#wait(undefined);
      await client.execute("qmp_capabilities");
    } catch (error) {
      client.close();
      throw error;
    }
    return client;
  }

  /** Events since the session began, the oldest first. */
  get events(): readonly QmpEvent[] {
    return this.#events;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Runs a command and returns what QEMU answers. Commands of several callers follow each other. */
  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    const request = { execute: command, ...(args === undefined ? {} : { arguments: args }) };
    const answer = this.#turn.then(() => this.#wait(`${JSON.stringify(request)}\n`));
    this.#turn = answer.catch(() => {});
    return answer;
  }

  close(): void {
    this.#socket.destroy();
    this.#end();
  }

  #wait(text: string | undefined): Promise<unknown> {
    if (this.#closed) return Promise.reject(this.#failure("the session is over"));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiter = undefined;
        reject(this.#failure(`no answer within ${QMP_TIMEOUT_MS} ms`));
        this.close(); // A late answer would be taken for another's.
      }, QMP_TIMEOUT_MS);
      const settle = (): void => {
        clearTimeout(timer);
        this.#waiter = undefined;
      };
      this.#waiter = {
        resolve: (value) => {
          settle();
          resolve(value);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      if (text !== undefined) this.#socket.write(text);
    });
  }

  #receive(chunk: Buffer): void {
    const lines = (this.#rest + chunk.toString("utf8")).split("\n");
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > QMP_LINE_BYTES_MAX) {
      this.close();
      return;
    }
    for (const line of lines) if (line.trim() !== "") this.#take(line);
  }

  #take(text: string): void {
    let line: Line;
    try {
      line = JSON.parse(text) as Line;
    } catch {
      this.close();
      return;
    }
    if (line.event !== undefined) {
      if (this.#events.length >= EVENTS_KEPT_MAX) this.#events.shift();
      const { event, data } = line;
      this.#events.push(data === undefined ? { event } : { event, data });
    } else if (line.error !== undefined) {
      this.#waiter?.reject(this.#failure(line.error.desc ?? line.error.class ?? "refused"));
    } else this.#waiter?.resolve(line.return);
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#waiter?.reject(this.#failure("QEMU closed the session"));
  }

  #failure(reason: string): FlowliftError {
    return new FlowliftError("LAB_FAILED", `QEMU at "${this.#path}": ${reason}`);
  }
}
