/**
 * NETCONF over TLS: connections, client certificates, one session a connection.
 *
 * Effect: listens, and takes sockets that others opened (call home).
 * Source: RFC 7589. Limit: TLS_CONNECTIONS_MAX at once, HANDSHAKE_TIMEOUT_MS; no resumption and no
 * renegotiation, so that every connection shows its certificate once.
 */
import { constants, type X509Certificate } from "node:crypto";
import { createServer, type Server as NetServer, type Socket } from "node:net";
import {
  createServer as createTlsServer,
  type TLSSocket,
  type Server as TlsServer,
} from "node:tls";
import { FlowliftError } from "../../lib/base/errors.ts";
import type { Log } from "../../lib/base/log.ts";
import type { SshClient } from "../ssh-server.ts";
import { formatFingerprint } from "./cert-to-name.ts";
import { type ClientCertificates, shownBy } from "./client-certificates.ts";

/** More than SESSIONS_MAX, as for SSH. */
export const TLS_CONNECTIONS_MAX = 96;
export const HANDSHAKE_TIMEOUT_MS = 30_000;
/** A connection that must end gets so long to take what was written. */
const FLUSH_TIMEOUT_MS = 5_000;
const TCP_KEEPALIVE_MS = 30_000;
/** Without tickets a server of Node keeps no session, so nothing is resumed. */
export const TLS_OPTIONS: { readonly minVersion: "TLSv1.2"; readonly secureOptions: number } = {
  minVersion: "TLSv1.2",
  secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
};

export interface TlsIdentity {
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
}

export interface TlsServerOptions {
  readonly identity: TlsIdentity;
  readonly certificates: ClientCertificates;
  readonly log: Log;
  /** Default: HANDSHAKE_TIMEOUT_MS. */
  readonly handshakeTimeoutMs?: number;
  readonly connectionsMax?: number;
  /** False: no more sessions now. */
  readonly mayAccept: () => boolean;
  readonly onClient: (client: SshClient) => void;
  /** `who` is the fingerprint of what was shown. */
  readonly onRefused: (who: string, sourceHost: string, message: string) => void;
}

/** Serves until close(); listens only when it is told to. */
export class NetconfTlsServer {
  readonly counters = { accepted: 0, refused: 0, failedHandshakes: 0 };
  readonly #options: TlsServerOptions;
  readonly #tls: TlsServer;
  readonly #sockets = new Set<Socket>();
  readonly #stopFollowing: () => void;
  #listener: NetServer | undefined;

  constructor(options: TlsServerOptions) {
    const { certificates, handshakeTimeoutMs = HANDSHAKE_TIMEOUT_MS } = options;
    this.#options = options;
    this.#tls = createTlsServer({
      ...this.#material(),
      requestCert: true,
      rejectUnauthorized: false, // Pinned certificates have no authority; judged below.
      handshakeTimeout: handshakeTimeoutMs,
    });
    this.#tls.on("secureConnection", (socket) => this.#serve(socket));
    this.#tls.on("tlsClientError", (error, socket) => {
      this.counters.failedHandshakes++;
      options.log.info("A TLS handshake failed", {
        sourceHost: socket.remoteAddress,
        reason: error.message,
      });
      socket.destroy();
    });
    this.#stopFollowing = certificates.onChange(() => this.#tls.setSecureContext(this.#material()));
  }

  #material() {
    const { certificates, identity } = this.#options;
    const { certificate: cert, key } = identity;
    return { cert, key, ca: certificates.authorities, ...TLS_OPTIONS };
  }

  /** The server's own, as PEM. */
  get certificate(): string {
    return this.#options.identity.certificate;
  }

  /** The connections that are open, handshakes included. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Listens there, and no longer where it listened before. Returns the port. Throws PORT_IN_USE. */
  async listen(where: { readonly address: string; readonly port: number }): Promise<number> {
    const next = createServer((socket) => this.accept(socket));
    const port = await new Promise<number>((resolve, reject) => {
      next.once("error", (cause) => {
        const text = `Cannot serve NETCONF over TLS on ${where.address} port ${where.port}`;
        reject(new FlowliftError("PORT_IN_USE", text, { cause }));
      });
      next.listen({ host: where.address, port: where.port }, () => {
        const bound = next.address();
        resolve(typeof bound === "object" && bound !== null ? bound.port : where.port);
      });
    });
    this.stopListening();
    this.#listener = next;
    return port;
  }

  /** Sessions go on. */
  stopListening(): void {
    this.#listener?.close();
    this.#listener = undefined;
  }

  close(): void {
    this.stopListening();
    this.#stopFollowing();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Serves a connection, whoever opened it. */
  accept(socket: Socket): void {
    const { connectionsMax = TLS_CONNECTIONS_MAX, log } = this.#options;
    socket.on("error", () => {});
    if (this.#sockets.size >= connectionsMax) {
      socket.destroy();
      log.warn("A connection was refused: too many", { max: connectionsMax });
      return;
    }
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    socket.setKeepAlive(true, TCP_KEEPALIVE_MS);
    socket.setNoDelay(true);
    this.#tls.emit("connection", socket);
  }

  #serve(socket: TLSSocket): void {
    const { certificates, mayAccept, onClient } = this.#options;
    const sourceHost = socket.remoteAddress ?? "";
    socket.on("error", () => {}); // It closes; nothing else depends on it.
    const user = certificates.userOf(socket);
    if (!user.ok) {
      this.#refuse(socket, sourceHost, user.error.message);
      return;
    }
    if (!mayAccept()) {
      socket.destroy();
      return;
    }
    this.counters.accepted++;
    onClient({
      stream: socket,
      username: user.value,
      sourceHost,
      end: () => endOf(socket),
      onGone: (listener) => {
        socket.once("close", listener);
      },
    });
  }

  #refuse(socket: TLSSocket, sourceHost: string, message: string): void {
    this.counters.refused++;
    const { leaf } = shownBy(socket);
    socket.destroy();
    this.#options.log.warn("A client certificate was refused", { sourceHost, reason: message });
    this.#options.onRefused(`certificate ${describe(leaf)}`, sourceHost, message);
  }
}

function describe(leaf: X509Certificate | undefined): string {
  return (leaf === undefined ? undefined : formatFingerprint(leaf)) ?? "none";
}

function endOf(socket: TLSSocket): void {
  if (socket.destroyed) return; // It says "close" no more.
  const timer = setTimeout(() => socket.destroy(), FLUSH_TIMEOUT_MS);
  socket.once("close", () => clearTimeout(timer));
  socket.end();
}
