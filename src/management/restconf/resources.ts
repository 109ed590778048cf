/**
 * What stands where below `/restconf`, and how its answers are sent.
 *
 * Effect: answers requests through the core's operations.
 * Source: RFC 8040 §3. Limit: STREAMS_MAX event streams at once.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { protocolError, type RpcError } from "../../lib/netconf/rpc-error.ts";
import type { EventBus } from "../core/event-bus.ts";
import type { Operations } from "../core/operations.ts";
import type { SessionEntry } from "../session-registry.ts";
import { formatEntityTag } from "./conditions.ts";
import { DataReader, versionOf } from "./data-reader.ts";
import type { DataRequest, RestAnswer, RestResult } from "./data-request.ts";
import { DataWriter } from "./data-writer.ts";
import {
  formatErrorsJson,
  formatErrorsXml,
  NS_RESTCONF,
  notAllowed,
  notFound,
  type RestError,
  statusOf,
} from "./errors.ts";
import { isStream, parseStreamQuery, serveStream } from "./event-stream.ts";
import {
  type Asked,
  formatLibraryVersion,
  LIBRARY_VERSION,
  mediaTypeOf,
  negotiate,
  PATCH_JSON,
  readDataRequest,
  splitOnce,
  YANG_JSON,
  YANG_XML,
} from "./exchange.ts";
import { OperationResources } from "./operation-resource.ts";
import type { Encoding, ResourceContext } from "./resource-data.ts";
import { applyYangPatch } from "./yang-patch.ts";

export const STREAMS_MAX = 32;

export class Resources {
  readonly #operations: Operations;
  readonly #context: ResourceContext;
  readonly #bus: EventBus;
  readonly #reader: DataReader;
  readonly #writer: DataWriter;
  readonly #rpcs: OperationResources;
  #streamCount = 0;

  constructor(operations: Operations, context: ResourceContext, bus: EventBus) {
    this.#operations = operations;
    this.#context = context;
    this.#bus = bus;
    this.#reader = new DataReader(operations, context);
    this.#writer = new DataWriter(operations, context);
    this.#rpcs = new OperationResources(operations, context);
  }

  async dispatch(
    session: SessionEntry,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<FastifyReply> {
    const [pathText = "", query = ""] = splitOnce(request.url, "?");
    const accepts = negotiate(request.headers.accept);
    if (accepts === undefined && !pathText.startsWith("/restconf/streams/")) {
      const text = `Only ${YANG_JSON} and ${YANG_XML} can be sent`;
      return this.sendError(request, reply, {
        error: protocolError("invalid-value", text),
        status: 406,
      });
    }
    const [, resource = "", rest = ""] = /^\/restconf\/?([^/]*)\/?(.*)$/.exec(pathText) ?? [];
    const asked = { session, request, path: rest, query, accepts: accepts ?? "json" } as const;
    switch (resource) {
      case "":
        return this.#serveRoot(request, reply, asked.accepts);
      case "data":
        return this.#serveData(asked, reply);
      case "operations":
        return this.#serveOperations(asked, reply);
      case "yang-library-version":
        return this.#send(reply, asked.accepts, 200, formatLibraryVersion(asked.accepts));
      case "streams":
        return this.#serveEvents(asked, reply);
      case "schema":
        return this.#serveSchema(rest, request, reply);
      default:
        return this.sendError(request, reply, notFound(`There is no "${resource}" in the API`));
    }
  }

  #serveRoot(request: FastifyRequest, reply: FastifyReply, accepts: Encoding): FastifyReply {
    if (request.method !== "GET" && request.method !== "HEAD") {
      return this.sendError(request, reply, notAllowed("The API resource takes GET"));
    }
    const json = {
      "ietf-restconf:restconf": {
        data: {},
        operations: {},
        "yang-library-version": LIBRARY_VERSION,
      },
    };
    const version = `<yang-library-version>${LIBRARY_VERSION}</yang-library-version>`;
    const xml = `<restconf xmlns="${NS_RESTCONF}"><data/><operations/>${version}</restconf>`;
    return this.#send(reply, accepts, 200, accepts === "json" ? JSON.stringify(json) : xml);
  }

  async #serveData(asked: Asked, reply: FastifyReply): Promise<FastifyReply> {
    const { request } = asked;
    const data = readDataRequest(asked);
    if (!data.ok) return this.sendError(request, reply, data.error);
    const type = mediaTypeOf(request);
    if (request.method === "PATCH" && type === PATCH_JSON) {
      const answer = await applyYangPatch(this.#operations, this.#context, data.value);
      this.#setVersion(reply);
      return reply.code(answer.status).type(YANG_JSON).send(answer.body);
    }
    const result = await this.#runMethod(data.value, request.method);
    if (!result.ok) return this.sendError(request, reply, result.error);
    return this.#sendAnswer(asked, reply, result.value);
  }

  async #runMethod(data: DataRequest, method: string): Promise<RestResult> {
    switch (method) {
      case "GET":
      case "HEAD":
        return await this.#reader.get(data);
      case "POST":
        return await this.#writer.post(data);
      case "PUT":
        return await this.#writer.put(data);
      case "PATCH":
        return await this.#writer.patch(data);
      case "DELETE":
        return await this.#writer.delete(data);
      case "OPTIONS":
        return { ok: true, value: { status: 204 } };
      default:
        return { ok: false, error: notAllowed(`Method ${method} is not understood`) };
    }
  }

  async #serveOperations(asked: Asked, reply: FastifyReply): Promise<FastifyReply> {
    const { request, path, accepts } = asked;
    if (path === "" && request.method === "GET") {
      return this.#send(reply, accepts, 200, this.#rpcs.list(accepts));
    }
    if (request.method !== "POST") {
      return this.sendError(request, reply, notAllowed("An operation takes POST"));
    }
    const data = readDataRequest(asked);
    if (!data.ok) return this.sendError(request, reply, data.error);
    const result = await this.#rpcs.call({ ...data.value, path: decodeURIComponent(path) });
    if (!result.ok) return this.sendError(request, reply, result.error);
    const { status, body } = result.value;
    if (body === undefined) return reply.code(status).send();
    return this.#send(reply, "json", status, body);
  }

  #serveEvents({ request, session, path, query }: Asked, reply: FastifyReply): FastifyReply {
    if (!isStream(path)) return this.sendError(request, reply, notFound("There is no such stream"));
    if (request.method !== "GET") {
      return this.sendError(request, reply, notAllowed("A stream takes GET"));
    }
    const lastEventId = request.headers["last-event-id"];
    const parsed = parseStreamQuery(
      query,
      typeof lastEventId === "string" ? lastEventId : undefined,
    );
    if (!parsed.ok) return this.sendError(request, reply, { error: parsed.error });
    if (this.#streamCount >= STREAMS_MAX) {
      const error = protocolError("resource-denied", `${STREAMS_MAX} streams are open already`);
      return this.sendError(request, reply, { error, status: 503 });
    }
    this.#streamCount++;
    reply.hijack();
    reply.raw.once("close", () => this.#streamCount--);
    const access = this.#operations.accessOf(session);
    serveStream(this.#bus, access, parsed.value, reply.raw);
    return reply;
  }

  #serveSchema(path: string, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const [name = "", revision = ""] = path.split("/");
    const text = this.#context.yang.getSchemaText(name, revision === "" ? undefined : revision);
    if (text === undefined) return this.sendError(request, reply, notFound(`No module "${name}"`));
    return reply.type("application/yang").send(text);
  }

  #sendAnswer(
    { request, accepts, path }: Asked,
    reply: FastifyReply,
    answer: RestAnswer,
  ): FastifyReply {
    if (request.method === "OPTIONS") {
      reply.header("allow", "OPTIONS, HEAD, GET, POST, PUT, PATCH, DELETE");
      reply.header("accept-patch", `${YANG_JSON}, ${YANG_XML}, ${PATCH_JSON}`);
    } else if (request.method !== "GET" || answer.isConfigOnly === true || path === "") {
      this.#setVersion(reply);
    }
    if (answer.location !== undefined) {
      reply.header("location", `/restconf/data/${answer.location.replace(/^\//, "")}`);
    }
    if (answer.body === undefined) return reply.code(answer.status).send();
    return this.#send(reply, accepts, answer.status, answer.body);
  }

  /** One for the whole configuration: a change anywhere is a change (§3.5.2 allows that). */
  #setVersion(reply: FastifyReply): void {
    const version = versionOf(this.#operations);
    reply.header("etag", formatEntityTag(version));
    reply.header("last-modified", version.at.toUTCString());
  }

  #send(reply: FastifyReply, encoding: Encoding, status: number, body: string): FastifyReply {
    reply.header("cache-control", "no-cache");
    return reply
      .code(status)
      .type(encoding === "json" ? YANG_JSON : YANG_XML)
      .send(body);
  }

  sendError(request: FastifyRequest, reply: FastifyReply, error: RestError): FastifyReply {
    const status = statusOf(error);
    if (status === 304) {
      this.#setVersion(reply);
      return reply.code(304).send();
    }
    const errors: readonly RpcError[] = [error.error];
    const isXml = negotiate(request.headers.accept) === "xml";
    const body = isXml
      ? formatErrorsXml(errors, this.#context.namespaceOf)
      : formatErrorsJson(errors);
    return this.#send(reply, isXml ? "xml" : "json", status, body);
  }
}
