/**
 * The admin endpoint: flows, events, metrics, audit trail, reload.
 *
 * Effect: listens on the loopback or on an inherited descriptor; every route wants the bearer token.
 * Limit: FLOWS_PER_PAGE_MAX flows a page, EVENT_LISTENERS_MAX streams, EVENT_QUEUE_BYTES_MAX queued for each.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { createServer, type Server, type ServerResponse } from "node:http";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Clock } from "../lib/base/clock.ts";
import { describeError, FlowliftError } from "../lib/base/errors.ts";
import { AUDIT_ENTRIES_MAX } from "./audit.ts";
import type { Controller } from "./controller.ts";
import { describeFlow, type FlowNews } from "./flow-news.ts";
import { formatMetrics } from "./metrics-text.ts";
import type { MockFaults } from "./mock-faults.ts";

export const FLOWS_PER_PAGE_MAX = 1000;
export const EVENT_LISTENERS_MAX = 16;
export const EVENT_QUEUE_BYTES_MAX: number = 4 * 1024 * 1024;

export interface AdminOptions {
  readonly controller: Controller;
  readonly token: string;
  readonly clock: Clock;
  readonly reload: () => Promise<void>;
  /** Present with `--mock` only. */
  readonly faults?: MockFaults;
}

type Query = Readonly<Record<string, string | undefined>>;

/** Listens; returns the URL and how to stop. */
export async function serveAdmin(
  options: AdminOptions,
  where: { readonly listenFd: number } | { readonly address: string },
): Promise<{ readonly url: string; close(): void }> {
  let server: Server | undefined;
  const app = Fastify({
    serverFactory: (handler) => {
      server = createServer(handler);
      return server;
    },
  });
  addRoutes(app, options);
  await app.ready();
  if (server === undefined) throw new FlowliftError("PORT_IN_USE", "Fastify made no server");
  const url = await listen(server, where);
  const listening = server;
  return {
    url,
    close: () => {
      // Fastify closes only what it made listen itself.
      listening.close();
      listening.closeAllConnections();
    },
  };
}

function listen(
  server: Server,
  where: { readonly listenFd: number } | { readonly address: string },
): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      const place = "address" in where ? `"${where.address}"` : `descriptor ${where.listenFd}`;
      const text = `Cannot serve the admin endpoint on ${place}`;
      reject(new FlowliftError("PORT_IN_USE", text, { cause }));
    });
    const done = (): void => resolve(urlOf(server));
    if ("listenFd" in where) server.listen({ fd: where.listenFd }, done);
    else {
      const at = where.address.lastIndexOf(":");
      const host = where.address.slice(0, at).replace(/^\[|\]$/g, "");
      server.listen({ host, port: Number(where.address.slice(at + 1)) }, done);
    }
  });
}

function urlOf(server: Server): string {
  const bound = server.address();
  if (bound === null || typeof bound === "string") return `unix:${bound ?? ""}`;
  const host = bound.family === "IPv6" ? `[${bound.address}]` : bound.address;
  return `http://${host}:${bound.port}`;
}

function addRoutes(app: FastifyInstance, options: AdminOptions): void {
  const { controller, clock, faults } = options;
  app.addHook("onRequest", async (request, reply) => {
    if (isAuthorised(request.headers.authorization, options.token)) return;
    await reply.code(401).header("www-authenticate", "Bearer").send({ error: "token missing" });
  });
  app.get("/flows", (request) => listFlows(controller, clock, request.query as Query));
  app.get("/vms", () => listVms(controller, clock));
  app.get("/metrics", async (_, reply) => {
    reply.header("content-type", "text/plain; version=0.0.4");
    return formatMetrics(controller);
  });
  app.get("/audit", (request) => {
    const last = numberOf((request.query as Query)["last"], 100, AUDIT_ENTRIES_MAX);
    return { total: controller.ledger.audit.total, entries: controller.ledger.audit.list(last) };
  });
  app.get("/events", (request, reply) => streamEvents(controller, request, reply));
  app.post("/reload", async (_, reply) => {
    try {
      await options.reload();
      return { reloaded: true };
    } catch (error) {
      if (!(error instanceof FlowliftError)) throw error;
      return reply.code(400).send({ reloaded: false, error: describeError(error) });
    }
  });
  if (faults === undefined) return;
  app.get("/faults", () => faults.values);
  app.post("/faults", async (request, reply) => {
    const problem = faults.change(request.body);
    return problem === undefined ? faults.values : reply.code(400).send({ error: problem });
  });
}

function isAuthorised(header: string | undefined, token: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(header ?? ""), digest(`Bearer ${token}`));
}

function numberOf(text: string | undefined, otherwise: number, max: number): number {
  const value = Number(text ?? otherwise);
  return Number.isInteger(value) && value >= 0 ? Math.min(value, max) : otherwise;
}

/** Pages by host and handle: `after` is the `next` of the page before. */
function listFlows(controller: Controller, clock: Clock, query: Query): unknown {
  const limit = numberOf(query["limit"], 100, FLOWS_PER_PAGE_MAX);
  const [afterHost = "", afterHandle = "0"] = (query["after"] ?? "").split(" ");
  const isAfter = (host: string, handle: number): boolean =>
    host > afterHost || (host === afterHost && handle > Number(afterHandle));
  const nowMs = clock.nowMs();
  const found = controller
    .listHosts()
    .flatMap(({ core, driver: { host } }) =>
      [...core.table.list()]
        .filter(
          ({ vmKey, fast }) =>
            isAfter(host.name, fast.handle) &&
            (query["tenant"] ?? vmKey.split("/")[0]) === vmKey.split("/")[0] &&
            (query["vm"] ?? vmKey.split("/")[1]) === vmKey.split("/")[1] &&
            (query["host"] ?? host.name) === host.name,
        )
        .map((record) => ({ record, host: host.name, handle: record.fast.handle })),
    );
  found.sort((a, b) => (a.host < b.host ? -1 : a.host > b.host ? 1 : a.handle - b.handle));
  const page = found.slice(0, limit);
  const last = found.length > page.length ? page.at(-1) : undefined;
  return {
    total: found.length,
    ...(last === undefined ? {} : { next: `${last.host} ${last.handle}` }),
    flows: page.map(({ record, host }) => describeFlow(record, host, nowMs)),
  };
}

function listVms(controller: Controller, clock: Clock): unknown {
  const nowMs = clock.nowMs();
  return controller.listHosts().flatMap(({ core, driver }) =>
    [...core.vms.values()].map((state) => ({
      tenant: state.vm.tenant,
      vm: state.vm.name,
      host: driver.host.name,
      slot: state.vm.slot,
      connected: state.isConnected,
      "driver-connected": driver.isConnected,
      epoch: state.epoch ?? null,
      "pending-flows": state.counts.queued + state.counts.installing,
      "active-flows": state.counts.active,
      "quiescing-flows": state.counts.quiescing,
      "lease-left": Math.max(0, Math.round(state.leaseEndsMs - nowMs)),
      "unacknowledged-events": state.events.unackedCount,
      refusal: [...state.refusals].map(([reason, flows]) => ({ reason, flows })),
    })),
  );
}

/** JSON lines, or server-sent events when the client asks for `text/event-stream`. */
function streamEvents(
  controller: Controller,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const { news } = controller.ledger;
  if (news.listenerCount("news") >= EVENT_LISTENERS_MAX) {
    return reply.code(503).send({ error: `${EVENT_LISTENERS_MAX} streams are open already` });
  }
  const isSse = (request.headers.accept ?? "").includes("text/event-stream");
  reply.hijack();
  const out: ServerResponse = reply.raw;
  const type = isSse ? "text/event-stream" : "application/x-ndjson";
  out.writeHead(200, { "content-type": type, "cache-control": "no-store" });
  out.flushHeaders();
  const tell = (item: FlowNews): void => {
    // A reader that falls behind loses the connection, not the controller its memory.
    if (out.writableLength > EVENT_QUEUE_BYTES_MAX) out.destroy();
    else out.write(isSse ? `data: ${JSON.stringify(item)}\n\n` : `${JSON.stringify(item)}\n`);
  };
  news.on("news", tell);
  out.on("close", () => news.off("news", tell));
  return reply;
}
