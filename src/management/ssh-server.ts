/**
 * NETCONF over SSH: connections, public-key authentication, the `netconf` subsystem.
 *
 * Effect: listens on addresses and on inherited sockets. Source: RFC 6242 §3.
 * Limit: CONNECTIONS_MAX at once, LOGIN_TIMEOUT_MS to the subsystem, one session a connection.
 */
import { createServer, type Server as NetServer, Socket } from "node:net";
import type { Duplex } from "node:stream";
import ssh2, { type AuthContext, type Connection } from "ssh2";
import { FlowliftError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import type { Authenticator } from "./authenticator.ts";

/** More than SESSIONS_MAX, so that full sessions do not lock out the login that could end one. */
export const CONNECTIONS_MAX = 320;
export const LOGIN_TIMEOUT_MS = 30_000;
export const AUTHENTICATION_ATTEMPTS_MAX = 6;
/** A connection that must end gets so long to take what was written. */
const FLUSH_TIMEOUT_MS = 5_000;
const TCP_KEEPALIVE_MS = 30_000;

/** Where to listen. */
export type ListenPoint =
  | { readonly kind: "address"; readonly address: string; readonly port: number }
  | { readonly kind: "inherited"; readonly fd: number };

/** A client that asked for the subsystem. */
export interface SshClient {
  readonly stream: Duplex;
  readonly username: string;
  readonly sourceHost: string;
  /** Groups that the transport knows. */
  readonly groups?: readonly string[];
  /** Ends the connection when the stream is flushed, or after a while. */
  readonly end: () => void;
  /** Calls the listener when the connection is gone; a paused stream would never say so. */
  readonly onGone: (listener: () => void) => void;
}

export interface SshServerOptions {
  readonly hostKey: string;
  readonly authenticator: Authenticator;
  readonly listen: readonly ListenPoint[];
  readonly log: Log;
  /** Default: LOGIN_TIMEOUT_MS. */
  readonly loginTimeoutMs?: number;
  /** False: no more sessions now. */
  readonly mayAccept: () => boolean;
  readonly onClient: (client: SshClient) => void;
}

/** Listens until close(). Throws PORT_IN_USE. */
export class SshServer {
  readonly #options: SshServerOptions;
  readonly #listeners: NetServer[] = [];
  readonly #sockets = new Set<Duplex>();

  constructor(options: SshServerOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    for (const point of this.#options.listen) {
      this.#listeners.push(await listenOn(point, (socket) => this.accept(socket)));
    }
  }

  /** The ports in use, in the order of `listen`. */
  get ports(): number[] {
    return this.#listeners.map((listener) => {
      const address = listener.address();
      return typeof address === "object" && address !== null ? address.port : 0;
    });
  }

  close(): void {
    for (const listener of this.#listeners) listener.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /**
   * Serves SSH on any byte stream: a socket of its own listeners, or e.g. the management port of a
   * VM. `sourceHost` is what sessions show; a socket's own address when it is absent.
   */
  accept(socket: Duplex, sourceHost?: string): void {
    if (this.#sockets.size >= CONNECTIONS_MAX) {
      socket.destroy();
      this.#options.log.warn("A connection was refused: too many", { max: CONNECTIONS_MAX });
      return;
    }
    this.#sockets.add(socket);
    if (socket instanceof Socket) {
      socket.setKeepAlive(true, TCP_KEEPALIVE_MS);
      socket.setNoDelay(true);
    }
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
    const timeoutMs = this.#options.loginTimeoutMs ?? LOGIN_TIMEOUT_MS;
    const timer = setTimeout(() => socket.destroy(), timeoutMs);
    socket.once("close", () => clearTimeout(timer));
    socket.once("flowlift-session", () => clearTimeout(timer));
    // One for each socket: this is how a connection is matched to its socket.
    const ssh = new ssh2.Server({ hostKeys: [this.#options.hostKey], ident: "flowlift" });
    const from = sourceHost ?? (socket instanceof Socket ? (socket.remoteAddress ?? "") : "");
    ssh.on("connection", (connection: Connection) => this.#serve(connection, socket, from));
    ssh.injectSocket(socket as Socket);
  }

  #serve(connection: Connection, socket: Duplex, sourceHost: string): void {
    let attempts = 0;
    let username = "";
    let hasSession = false;
    connection.on("error", () => {}); // The socket closes; nothing else depends on it.
    connection.on("authentication", (context: AuthContext) => {
      // The first "none" only asks which methods there are (RFC 4252 §5.2).
      if (context.method !== "none") attempts++;
      if (attempts > AUTHENTICATION_ATTEMPTS_MAX) {
        connection.end();
        return;
      }
      void this.#authenticate(context, sourceHost).then((isAuthentic) => {
        if (!isAuthentic) {
          context.reject([...this.#options.authenticator.methods()]);
          return;
        }
        username = context.username;
        context.accept();
      });
    });
    connection.on("session", (accept) => {
      const session = accept();
      session.on("subsystem", (acceptSubsystem, reject, info) => {
        if (info.name !== "netconf" || hasSession || !this.#options.mayAccept()) {
          reject?.();
          return;
        }
        hasSession = true;
        socket.emit("flowlift-session");
        const stream: Duplex = acceptSubsystem();
        const end = (): void => {
          if (socket.destroyed) return; // It says "close" no more.
          const timer = setTimeout(() => socket.destroy(), FLUSH_TIMEOUT_MS);
          socket.once("close", () => clearTimeout(timer));
          // Not before the client closed the channel too: a disconnect overtakes what it still reads.
          if (stream.closed) connection.end();
          else stream.once("close", () => connection.end());
        };
        const onGone = (listener: () => void): void => {
          socket.once("close", listener);
        };
        this.#options.onClient({ stream, username, sourceHost, end, onGone });
      });
    });
  }

  #authenticate(context: AuthContext, sourceHost: string): Promise<boolean> {
    const { authenticator } = this.#options;
    const { username } = context;
    if (context.method === "password") {
      return authenticator.checkPassword(username, context.password, sourceHost);
    }
    if (context.method !== "publickey") return Promise.resolve(false);
    const key = authenticator.findKey(username, context.key.data, sourceHost);
    if (key === undefined) return Promise.resolve(false);
    // Without signature the client only asks whether this key would do.
    if (context.signature === undefined || context.blob === undefined) return Promise.resolve(true);
    const isRight = key.verify(context.blob, context.signature, context.hashAlgo) === true;
    authenticator.report(username, sourceHost, isRight);
    return Promise.resolve(isRight);
  }
}

function listenOn(point: ListenPoint, onSocket: (socket: Socket) => void): Promise<NetServer> {
  const server = createServer({ pauseOnConnect: false }, onSocket);
  const place =
    point.kind === "inherited" ? `inherited socket ${point.fd}` : `${point.address}:${point.port}`;
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const isUsed = cause.code === "EADDRINUSE";
      const text = isUsed ? `${place} is in use` : `Cannot listen on ${place}`;
      reject(new FlowliftError("PORT_IN_USE", text, { cause }));
    });
    const ready = (): void => resolve(server);
    if (point.kind === "inherited") server.listen({ fd: point.fd }, ready);
    else server.listen({ host: point.address, port: point.port }, ready);
  });
}
