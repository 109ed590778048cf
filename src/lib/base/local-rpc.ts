/**
 * Request, reply and event lines between the processes of one machine, over a Unix stream socket.
 *
 * Each line is one JSON value: `{"id":1,"method":"m","params":…}`, `{"id":1,"result":…}`,
 * `{"id":1,"error":{"code":"…","message":"…"}}` or `{"event":"e","params":…}`. Both ends may call.
 * Limit: LINE_BYTES_MAX for each line, PENDING_CALLS_MAX calls without an answer.
 */
import { chmodSync, existsSync, unlinkSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { assert } from "./assert.ts";
import { describeError, type ErrorCode, FlowliftError } from "./errors.ts";
import { explainSocketPath } from "./folders.ts";

export const LINE_BYTES_MAX: number = 64 * 1024 * 1024;
export const PENDING_CALLS_MAX = 4096;
export const CALL_TIMEOUT_DEFAULT_MS = 30_000;

export type LocalRpcHandler = (params: unknown) => Promise<unknown> | unknown;
export type LocalRpcHandlers = Readonly<Record<string, LocalRpcHandler>>;

interface PendingCall {
  resolve(value: unknown): void;
  reject(error: Error): void;
  readonly timer: NodeJS.Timeout;
}

interface Line {
  readonly id?: number;
  readonly method?: string;
  readonly event?: string;
  readonly params?: unknown;
  readonly result?: unknown;
  readonly error?: { readonly code: ErrorCode; readonly message: string };
}

/** One end of a connection. Errors of a call: LOCAL_RPC_CLOSED, LOCAL_RPC_TIMEOUT, or the peer's own. */
export class LocalRpcPeer {
  readonly #socket: Socket;
  readonly #handlers: LocalRpcHandlers;
  readonly #pending = new Map<number, PendingCall>();
  readonly #parts: Buffer[] = [];
  #partBytes = 0;
  #nextId = 1;
  #closed = false;
  /** Called for each event of the peer, in order. */
  onEvent: (name: string, params: unknown) => void = () => {};
  /** Called once, when the connection is gone. */
  onClose: () => void = () => {};

  constructor(socket: Socket, handlers: LocalRpcHandlers) {
    this.#socket = socket;
    this.#handlers = handlers;
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("error", () => this.#end());
    socket.on("close", () => this.#end());
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Calls a method of the peer. */
  call(
    method: string,
    params: unknown,
    timeoutMs: number = CALL_TIMEOUT_DEFAULT_MS,
  ): Promise<unknown> {
    if (this.#closed) return Promise.reject(closedError(method));
    assert(
      this.#pending.size < PENDING_CALLS_MAX,
      "calls without an answer stay within their bound",
    );
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(
          new FlowliftError("LOCAL_RPC_TIMEOUT", `No answer to "${method}" within ${timeoutMs} ms`),
        );
      }, timeoutMs);
      this.#pending.set(id, { resolve, reject, timer });
      this.#write({ id, method, params });
    });
  }

  /** Sends an event; nothing comes back. Dropped when the connection is gone. */
  emit(event: string, params: unknown): void {
    if (!this.#closed) this.#write({ event, params });
  }

  /** Bytes that the kernel has not taken yet; a caller that streams looks at this. */
  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  close(): void {
    this.#socket.destroy();
    this.#end();
  }

  #write(line: Line): void {
    this.#socket.write(`${JSON.stringify(line)}\n`);
  }

  #receive(chunk: Buffer): void {
    let rest = chunk;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      this.#parts.push(rest.subarray(0, end));
      const text = Buffer.concat(this.#parts).toString("utf8");
      this.#parts.length = 0;
      this.#partBytes = 0;
      rest = rest.subarray(end + 1);
      this.#dispatch(text);
    }
    if (rest.length === 0) return;
    this.#parts.push(rest);
    this.#partBytes += rest.length;
    if (this.#partBytes > LINE_BYTES_MAX) this.close();
  }

  #dispatch(text: string): void {
    let line: Line;
    try {
      line = JSON.parse(text) as Line;
    } catch {
      this.close();
      return;
    }
    if (line.event !== undefined) this.onEvent(line.event, line.params);
    else if (line.method !== undefined && line.id !== undefined) {
      void this.#answer(line.id, line.method, line.params);
    } else if (line.id !== undefined) this.#settle(line.id, line);
  }

  async #answer(id: number, method: string, params: unknown): Promise<void> {
    // Own members only: "constructor" is no method of ours.
    const handler = Object.hasOwn(this.#handlers, method) ? this.#handlers[method] : undefined;
    try {
      if (handler === undefined) {
        throw new FlowliftError("LOCAL_RPC_FAILED", `The peer has no method "${method}"`);
      }
      const result = (await handler(params)) ?? null;
      if (!this.#closed) this.#write({ id, result });
    } catch (error) {
      const code = error instanceof FlowliftError ? error.code : "LOCAL_RPC_FAILED";
      if (!this.#closed) this.#write({ id, error: { code, message: describeError(error) } });
    }
  }

  #settle(id: number, line: Line): void {
    const call = this.#pending.get(id);
    if (call === undefined) return; // Its time was over.
    this.#pending.delete(id);
    clearTimeout(call.timer);
    if (line.error === undefined) call.resolve(line.result);
    else call.reject(new FlowliftError(line.error.code, line.error.message));
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const call of this.#pending.values()) {
      clearTimeout(call.timer);
      call.reject(closedError("a call"));
    }
    this.#pending.clear();
    this.onClose();
  }
}

function closedError(what: string): FlowliftError {
  return new FlowliftError(
    "LOCAL_RPC_CLOSED",
    `The connection closed before "${what}" was answered`,
  );
}

/** Listens on a Unix socket, replacing a stale file; `onPeer` gets each connection. Throws PORT_IN_USE. */
export function listenLocalRpc(
  path: string,
  handlers: LocalRpcHandlers,
  onPeer: (peer: LocalRpcPeer) => void = () => {},
  mode = 0o660,
): Promise<Server> {
  if (existsSync(path)) unlinkSync(path);
  const server = createServer((socket) => onPeer(new LocalRpcPeer(socket, handlers)));
  return new Promise((resolve, reject) => {
    server.once("error", (cause) =>
      reject(new FlowliftError("PORT_IN_USE", explainSocketPath(path), { cause })),
    );
    server.listen(path, () => {
      chmodSync(path, mode);
      resolve(server);
    });
  });
}

/** Connects to a Unix socket. Throws LOCAL_RPC_CLOSED when nobody listens. */
export function connectLocalRpc(path: string, handlers: LocalRpcHandlers): Promise<LocalRpcPeer> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once("error", (cause) =>
      reject(new FlowliftError("LOCAL_RPC_CLOSED", `Cannot connect to "${path}"`, { cause })),
    );
    socket.once("connect", () => {
      socket.removeAllListeners("error");
      resolve(new LocalRpcPeer(socket, handlers));
    });
  });
}
