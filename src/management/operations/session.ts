/**
 * The operations on sessions and locks.
 *
 * Effect: changes locks, ends sessions. Source: RFC 6241 §7.5, §7.6, §7.8, §7.9, §8.3.5.
 */
import { err, ok, type Result } from "../../lib/base/result.ts";
import { protocolError, type RpcError } from "../../lib/netconf/rpc-error.ts";
import { OK_BODY } from "../../lib/netconf/rpc-message.ts";
import { textOf } from "../../lib/xml/tree.ts";
import type { Operations } from "../core/operations.ts";
import type { DatastoreName } from "../locks.ts";
import type { RpcCall, RpcHandler } from "../rpc-answerer.ts";
import type { SessionEntry, SessionRegistry } from "../session-registry.ts";
import { missing, readDatastore, refuseUnknown } from "./parameters.ts";

/** Returns the handlers by operation name. */
export function makeSessionHandlers(
  operations: Operations,
  registry: SessionRegistry,
): Readonly<Record<string, RpcHandler>> {
  return {
    lock: async (call) => locking(call, (session, name) => operations.lock(session, name)),
    unlock: async (call) => locking(call, (session, name) => operations.unlock(session, name)),
    "close-session": async () => ok(OK_BODY),
    "kill-session": async (call) => killSession(registry, call),
  };
}

function locking(
  { operation, session }: RpcCall,
  act: (session: SessionEntry, name: DatastoreName) => RpcError | undefined,
): Result<string, RpcError> {
  const unknown = refuseUnknown(operation, ["target"]);
  if (unknown !== undefined) return err(unknown);
  const target = readDatastore(operation, "target");
  if (!target.ok) return target;
  const problem = act(session, target.value);
  return problem === undefined ? ok(OK_BODY) : err(problem);
}

function killSession(
  registry: SessionRegistry,
  { operation, session }: RpcCall,
): Result<string, RpcError> {
  const unknown = refuseUnknown(operation, ["session-id"]);
  if (unknown !== undefined) return err(unknown);
  const text = textOf(operation, "session-id");
  if (text === undefined) return missing("session-id", operation.local);
  const info = [{ name: "bad-element", text: "session-id" }];
  const victim = /^[1-9]\d{0,9}$/.test(text) ? registry.get(Number(text)) : undefined;
  if (victim === undefined) {
    return err(protocolError("invalid-value", `There is no session "${text}"`, { info }));
  }
  if (victim.id === session.id) {
    return err(protocolError("invalid-value", "A session ends itself by close-session", { info }));
  }
  victim.terminate(`Session ${session.id} killed it`, session.id);
  return ok(OK_BODY);
}
