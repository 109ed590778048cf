/**
 * Turns one message into one reply: envelope, dispatch, errors, counters.
 *
 * Effect: runs the operation's handler. A handler's expected refusals are values; what it throws is
 * mapped by lib/netconf/rpc-error.ts and logged here, where the error stops travelling.
 */
import { AssertionFailure } from "../lib/base/assert.ts";
import { describeError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import { err, type Result } from "../lib/base/result.ts";
import type { NamespaceOfModule } from "../lib/netconf/error-path.ts";
import { inBase10, protocolError, type RpcError, rpcErrorOf } from "../lib/netconf/rpc-error.ts";
import { formatErrorBody, formatReply, parseRpc } from "../lib/netconf/rpc-message.ts";
import type { XmlElement } from "../lib/xml/tree.ts";
import type { Prefixes } from "./data-node.ts";
import type { RpcCounters, SessionEntry, SessionRegistry } from "./session-registry.ts";

/** One request on its way through a handler. */
export interface RpcCall {
  readonly session: SessionEntry;
  readonly operation: XmlElement;
  /** Prefixes in scope at the operation's children. */
  readonly scope: Prefixes;
}

/** Returns the body of the reply. */
export type RpcHandler = (call: RpcCall) => Promise<Result<string, RpcError>>;

export interface RpcHandlers {
  /** By namespace and name: `${namespace} ${name}`. */
  readonly byName: ReadonlyMap<string, RpcHandler>;
  readonly namespaceOf: NamespaceOfModule;
  /** Says no to what the session may not run. */
  readonly refuse?: (call: RpcCall) => RpcError | undefined;
  /** Told about each operation that was run or refused. */
  readonly onDone?: (call: RpcCall, error: RpcError | undefined) => void;
}

export interface Answer {
  readonly text: string;
  /** The session ends after this reply. */
  readonly closes: boolean;
}

const CLOSE_SESSION = "close-session";

/** Answers the requests of one session. */
export class RpcAnswerer {
  readonly #session: SessionEntry;
  readonly #handlers: RpcHandlers;
  readonly #registry: SessionRegistry;
  readonly #log: Log;

  constructor(session: SessionEntry, handlers: RpcHandlers, registry: SessionRegistry, log: Log) {
    this.#session = session;
    this.#handlers = handlers;
    this.#registry = registry;
    this.#log = log;
  }

  async answer(message: Uint8Array, base: "1.0" | "1.1"): Promise<Answer> {
    const request = parseRpc(message);
    if (!request.ok) {
      this.#count("inBadRpcs");
      return { text: this.#refusal(request.error.rpc, request.error.error, base), closes: false };
    }
    this.#count("inRpcs");
    const { rpc, operation } = request.value;
    const name = `${operation.namespace} ${operation.local}`;
    const handler = this.#handlers.byName.get(name);
    if (handler === undefined) {
      const text = `This server has no operation "${operation.local}" in "${operation.namespace}"`;
      const error = protocolError("operation-not-supported", text);
      return { text: this.#refusal(rpc, error, base), closes: false };
    }
    const scope = { ...rpc.declared, ...operation.declared };
    const call = { session: this.#session, operation, scope };
    const denied = this.#handlers.refuse?.(call);
    const result = denied === undefined ? await this.#run(handler, call) : err(denied);
    this.#handlers.onDone?.(call, result.ok ? undefined : result.error);
    if (!result.ok) return { text: this.#refusal(rpc, result.error, base), closes: false };
    return { text: formatReply(rpc, result.value), closes: operation.local === CLOSE_SESSION };
  }

  async #run(handler: RpcHandler, call: RpcCall): Promise<Result<string, RpcError>> {
    try {
      return await handler(call);
    } catch (error) {
      if (error instanceof AssertionFailure) throw error;
      this.#log.error("An operation failed", {
        session: call.session.id,
        operation: call.operation.local,
        reason: describeError(error),
      });
      return { ok: false, error: rpcErrorOf(error) };
    }
  }

  #refusal(rpc: XmlElement | undefined, error: RpcError, base: "1.0" | "1.1"): string {
    this.#count("outRpcErrors");
    const told = base === "1.0" ? inBase10(error) : error;
    return formatReply(rpc, formatErrorBody([told], this.#handlers.namespaceOf));
  }

  #count(name: keyof RpcCounters): void {
    this.#session.counters[name]++;
    this.#registry.totals[name]++;
  }
}
