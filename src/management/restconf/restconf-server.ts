/**
 * RESTCONF over HTTPS, on the same core as NETCONF.
 *
 * Effect: listens and serves until close().
 * Source: RFC 8040. Limit: BODY_BYTES_MAX a request, CONNECTIONS_MAX at once.
 */
import type { RequestListener } from "node:http";
import { createServer, type Server } from "node:https";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { AssertionFailure } from "../../lib/base/assert.ts";
import type { Clock } from "../../lib/base/clock.ts";
import { describeError, FlowliftError } from "../../lib/base/errors.ts";
import type { Log } from "../../lib/base/log.ts";
import { protocolError, rpcErrorOf } from "../../lib/netconf/rpc-error.ts";
import type { YangModule } from "../../lib/yang/module-list.ts";
import type { Authenticator } from "../authenticator.ts";
import type { EventBus } from "../core/event-bus.ts";
import type { Operations } from "../core/operations.ts";
import type { SessionEntry, SessionRegistry } from "../session-registry.ts";
import type { ClientCertificates } from "../tls/client-certificates.ts";
import { TLS_OPTIONS } from "../tls/tls-server.ts";
import { BasicAuthentication } from "./basic-auth.ts";
import { notFound } from "./errors.ts";
import { Resources } from "./resources.ts";

export const BODY_BYTES_MAX: number = 16 * 1024 * 1024;
export const CONNECTIONS_MAX = 256;
const REQUEST_TIMEOUT_MS = 30_000;

export interface RestconfOptions {
  readonly operations: Operations;
  readonly registry: SessionRegistry;
  readonly authenticator: Authenticator;
  readonly bus: EventBus;
  readonly modules: readonly YangModule[];
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
  /** Whose certificates do in place of a password; absent: nobody's. */
  readonly clientCertificates?: ClientCertificates;
  readonly clock: Clock;
  readonly log: Log;
}

export class RestconfServer {
  readonly #options: RestconfOptions;
  readonly #resources: Resources;
  readonly #authentication: BasicAuthentication;
  #server: Server | undefined;
  #stopFollowing: (() => void) | undefined;

  constructor(options: RestconfOptions) {
    const { operations, modules } = options;
    const namespaces = new Map(modules.map(({ name, namespace }) => [name, namespace]));
    this.#options = options;
    const context = {
      yang: operations.store.yang,
      schema: operations.store.schema,
      namespaceOf: (module: string) => namespaces.get(module),
    };
    this.#resources = new Resources(operations, context, options.bus);
    this.#authentication = new BasicAuthentication(options.authenticator, options.clock);
  }

  /** Listens; returns the port. Throws PORT_IN_USE. */
  async start(where: { readonly address: string; readonly port: number }): Promise<number> {
    await this.prepare();
    return await this.#listen(where);
  }

  /** Makes it ready for accept(), without listening. */
  async prepare(): Promise<void> {
    const app = Fastify({
      bodyLimit: BODY_BYTES_MAX,
      requestTimeout: REQUEST_TIMEOUT_MS,
      exposeHeadRoutes: false,
      serverFactory: (handler) => {
        this.#server = this.#makeServer(handler);
        return this.#server;
      },
    });
    this.#addRoutes(app);
    await app.ready();
  }

  /** Serves a connection that somebody else opened; it ends with its socket. */
  accept(socket: Socket): void {
    this.#server?.emit("connection", socket);
  }

  close(): void {
    this.#stopFollowing?.();
    this.#server?.close();
    this.#server?.closeAllConnections();
  }

  #makeServer(handler: RequestListener): Server {
    const { clientCertificates } = this.#options;
    const server = createServer(
      {
        ...this.#material(),
        requestCert: clientCertificates !== undefined,
        rejectUnauthorized: false, // There are passwords too.
        requestTimeout: REQUEST_TIMEOUT_MS,
      },
      handler,
    );
    server.maxConnections = CONNECTIONS_MAX;
    this.#stopFollowing = clientCertificates?.onChange(() =>
      server.setSecureContext(this.#material()),
    );
    return server;
  }

  #material() {
    const { certificate: cert, clientCertificates, key } = this.#options;
    return { cert, key, ca: clientCertificates?.authorities ?? [], ...TLS_OPTIONS };
  }

  #listen(where: { readonly address: string; readonly port: number }): Promise<number> {
    const server = this.#server;
    return new Promise((resolve, reject) => {
      if (server === undefined) throw new FlowliftError("PORT_IN_USE", "Fastify made no server");
      server.once("error", (cause) => {
        const text = `Cannot serve RESTCONF on ${where.address} port ${where.port}`;
        reject(new FlowliftError("PORT_IN_USE", text, { cause }));
      });
      server.listen({ host: where.address, port: where.port }, () => {
        const bound = server.address();
        resolve(typeof bound === "object" && bound !== null ? bound.port : where.port);
      });
    });
  }

  #addRoutes(app: FastifyInstance): void {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser("*", { parseAs: "string" }, (_request, body, done) => {
      done(null, body);
    });
    app.get("/.well-known/host-meta", (_request, reply) => {
      const link = '<Link rel="restconf" href="/restconf"/>';
      const xrd = "http://docs.oasis-open.org/ns/xri/xrd-1.0";
      return reply.type("application/xrd+xml").send(`<XRD xmlns="${xrd}">${link}</XRD>`);
    });
    app.all("/restconf", (request, reply) => this.#serve(request, reply));
    app.all("/restconf/*", (request, reply) => this.#serve(request, reply));
    app.setNotFoundHandler((request, reply) => {
      this.#resources.sendError(request, reply, notFound("The API begins at /restconf"));
    });
    app.setErrorHandler(
      (error: { readonly statusCode?: number; message: string }, request, reply) => {
        const tag = error.statusCode === 413 ? "too-big" : "malformed-message";
        const status = error.statusCode ?? 500;
        this.#resources.sendError(request, reply, {
          error: protocolError(tag, error.message),
          status,
        });
      },
    );
  }

  async #serve(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const username =
      this.#userOfCertificate(request.raw.socket) ??
      (await this.#authentication.check(request.headers.authorization, request.ip));
    if (username === undefined) {
      reply.header("www-authenticate", 'Basic realm="flowlift", charset="UTF-8"');
      const error = protocolError(
        "access-denied",
        "A user name and password, or a known client certificate, are needed",
      );
      return this.#resources.sendError(request, reply, { error, status: 401 });
    }
    const session = this.#makeSession(username, request.ip);
    try {
      return await this.#resources.dispatch(session, request, reply);
    } catch (error) {
      if (error instanceof AssertionFailure) throw error;
      this.#options.log.error("A request failed", { reason: describeError(error) });
      return this.#resources.sendError(request, reply, { error: rpcErrorOf(error) });
    } finally {
      this.#options.operations.sessionEnded(session);
    }
  }

  #userOfCertificate(socket: Socket): string | undefined {
    if (!(socket instanceof TLSSocket)) return undefined;
    const user = this.#options.clientCertificates?.userOf(socket);
    return user?.ok === true ? user.value : undefined;
  }

  /** A request is a session of its own: it holds no lock and has no candidate. */
  #makeSession(username: string, sourceHost: string): SessionEntry {
    const { registry } = this.#options;
    return {
      id: registry.takeId(),
      transport: "restconf",
      username,
      sourceHost,
      loginTime: new Date(),
      counters: { inRpcs: 0, inBadRpcs: 0, outRpcErrors: 0, outNotifications: 0 },
      terminate: () => {},
    };
  }
}
