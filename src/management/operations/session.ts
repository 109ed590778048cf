/**
 * The operations on sessions and locks.
 *
 * Effect: changes locks, ends sessions. Source: RFC 6241 §7.5, §7.6, §7.8, §7.9, §8.3.5.
 */
import { err, ok, type Result } from "../../lib/base/result.ts";
import { protocolError, type RpcError } from "../../lib/netconf/rpc-error.ts";
import { OK_BODY } from "../../lib/netconf/rpc-message.ts";
import { textOf } from "../../lib/xml/tree.ts";
import type { ConfigStore } from "../config-store.ts";
import type { RpcCall, RpcHandler } from "../rpc-answerer.ts";
import type { SessionRegistry } from "../session-registry.ts";
import { missing, readDatastore, refuseUnknown } from "./parameters.ts";

/** Returns the handlers by operation name. */
export function makeSessionHandlers(
  store: ConfigStore,
  registry: SessionRegistry,
): Readonly<Record<string, RpcHandler>> {
  return {
    lock: async (call) => lock(store, call),
    unlock: async (call) => unlock(store, call),
    "close-session": async () => ok(OK_BODY),
    "kill-session": async (call) => killSession(registry, call),
  };
}

function lock(store: ConfigStore, { operation, session }: RpcCall): Result<string, RpcError> {
  const unknown = refuseUnknown(operation, ["target"]);
  if (unknown !== undefined) return err(unknown);
  const target = readDatastore(operation, "target");
  if (!target.ok) return target;
  const isModified = target.value === "candidate" && store.isCandidateModified;
  const problem = store.locks.lock(target.value, session.id, new Date(), isModified);
  return problem === undefined ? ok(OK_BODY) : err(problem);
}

function unlock(store: ConfigStore, { operation, session }: RpcCall): Result<string, RpcError> {
  const unknown = refuseUnknown(operation, ["target"]);
  if (unknown !== undefined) return err(unknown);
  const target = readDatastore(operation, "target");
  if (!target.ok) return target;
  const problem = store.locks.unlock(target.value, session.id);
  if (problem !== undefined) return err(problem);
  // §8.3.5.2: changes that were not committed end with the lock.
  if (target.value === "candidate") store.discardChanges();
  return ok(OK_BODY);
}

/** Releases what an ended session had locked. */
export function releaseLocks(store: ConfigStore, sessionId: number): void {
  if (store.locks.releaseAll(sessionId).includes("candidate")) store.discardChanges();
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
  victim.terminate(`Session ${session.id} killed it`);
  return ok(OK_BODY);
}
