/**
 * The operations that change configuration.
 *
 * Effect: changes the datastores. Source: RFC 6241 §7.2-§7.4, §8.3.4, §8.6, §8.7.
 * An edit is all or nothing whatever error-option says: stop-on-error is met by rolling back.
 * test-option "test-then-set" checks constraints at once; without it they wait for validate or
 * commit, because a candidate may be invalid in between (RFC 7950 §8.3.3).
 */
import { err, ok, type Result } from "../../lib/base/result.ts";
import { elementError, protocolError, type RpcError } from "../../lib/netconf/rpc-error.ts";
import { OK_BODY } from "../../lib/netconf/rpc-message.ts";
import { childOf, escapeXml } from "../../lib/xml/tree.ts";
import type { ApplyOutcome } from "../applier.ts";
import type { ConfigStore } from "../config-store.ts";
import { type DataRoot, EMPTY_ROOT } from "../data-node.ts";
import { readEditPayload } from "../edit-payload.ts";
import type { RpcCall, RpcHandler } from "../rpc-answerer.ts";
import {
  type ConfigSource,
  missing,
  readChoice,
  readDatastore,
  readSource,
  refuseUnknown,
} from "./parameters.ts";

/** Namespace of what our replies say besides `ok`. */
export const NS_MANAGEMENT = "urn:flowlift:management";

/** Returns the handlers by operation name. */
export function makeEditHandlers(store: ConfigStore): Readonly<Record<string, RpcHandler>> {
  return {
    "edit-config": async (call) => editConfig(store, call),
    "copy-config": async (call) => copyConfig(store, call),
    "delete-config": async (call) => deleteConfig(store, call),
    validate: async (call) => validate(store, call),
    commit: async (call) => commit(store, call),
    "discard-changes": async (call) => discardChanges(store, call),
  };
}

const EDIT_PARAMETERS = [
  "target",
  "default-operation",
  "test-option",
  "error-option",
  "config",
  "url",
];

function editConfig(
  store: ConfigStore,
  { operation, scope, session }: RpcCall,
): Result<string, RpcError> {
  const unknown = refuseUnknown(operation, EDIT_PARAMETERS);
  if (unknown !== undefined) return err(unknown);
  const target = readDatastore(operation, "target");
  if (!target.ok) return target;
  if (target.value !== "candidate") {
    return err(
      protocolError("operation-not-supported", `"${target.value}" is edited by commit only`),
    );
  }
  const locked = store.locks.refuse(["candidate"], session.id);
  if (locked !== undefined) return err(locked);
  const defaultOperation = readChoice(
    operation,
    "default-operation",
    ["merge", "replace", "none"],
    "merge",
  );
  if (!defaultOperation.ok) return defaultOperation;
  const testOption = readChoice(
    operation,
    "test-option",
    ["unchecked", "test-then-set", "set", "test-only"],
    "unchecked",
  );
  if (!testOption.ok) return testOption;
  const errorOption = readChoice(
    operation,
    "error-option",
    ["stop-on-error", "continue-on-error", "rollback-on-error"],
    "rollback-on-error",
  );
  if (!errorOption.ok) return errorOption;
  if (errorOption.value === "continue-on-error") {
    return err(protocolError("operation-not-supported", "An edit here is all or nothing"));
  }
  const config = childOf(operation, "config"); // ncclient sends it without namespace when its user does.
  if (config === undefined) return missing("config", operation.local);
  const edits = readEditPayload(store.yang, store.schema, config, scope);
  if (!edits.ok) return edits;
  const next = store.edited(store.read("candidate"), edits.value, defaultOperation.value);
  if (!next.ok) return next;
  if (testOption.value === "test-then-set" || testOption.value === "test-only") {
    const valid = store.validate(next.value);
    if (!valid.ok) return valid;
  }
  if (
    testOption.value !== "test-only" &&
    edits.value.length + Number(defaultOperation.value === "replace") > 0
  ) {
    store.setCandidate(next.value);
  }
  return ok(OK_BODY);
}

async function copyConfig(store: ConfigStore, call: RpcCall): Promise<Result<string, RpcError>> {
  const { operation, session } = call;
  const unknown = refuseUnknown(operation, ["target", "source", "with-defaults"]);
  if (unknown !== undefined) return err(unknown);
  const target = readDatastore(operation, "target");
  if (!target.ok) return target;
  const source = readSource(operation, "source");
  if (!source.ok) return source;
  if (target.value === "running") {
    return err(protocolError("operation-not-supported", "running is changed by commit only"));
  }
  if (source.value.kind === "datastore" && source.value.name === target.value) {
    return err(protocolError("invalid-value", "Source and target are the same datastore"));
  }
  const locked = store.locks.refuse([target.value], session.id);
  if (locked !== undefined) return err(locked);
  const root = readRoot(store, source.value, call);
  if (!root.ok) return root;
  if (target.value === "candidate") {
    store.setCandidate(root.value);
    return ok(OK_BODY);
  }
  const problem = await store.saveStartup(root.value);
  return problem === undefined ? ok(OK_BODY) : err(problem);
}

async function deleteConfig(
  store: ConfigStore,
  { operation, session }: RpcCall,
): Promise<Result<string, RpcError>> {
  const unknown = refuseUnknown(operation, ["target"]);
  if (unknown !== undefined) return err(unknown);
  const target = readDatastore(operation, "target");
  if (!target.ok) return target;
  if (target.value !== "startup") {
    return err(protocolError("operation-not-supported", `"${target.value}" cannot be deleted`));
  }
  const locked = store.locks.refuse(["startup"], session.id);
  if (locked !== undefined) return err(locked);
  const problem = await store.deleteStartup();
  return problem === undefined ? ok(OK_BODY) : err(problem);
}

function validate(store: ConfigStore, call: RpcCall): Result<string, RpcError> {
  const unknown = refuseUnknown(call.operation, ["source"]);
  if (unknown !== undefined) return err(unknown);
  const source = readSource(call.operation, "source");
  if (!source.ok) return source;
  const root = readRoot(store, source.value, call);
  if (!root.ok) return root;
  const valid = store.validate(root.value);
  return valid.ok ? ok(OK_BODY) : valid;
}

async function commit(
  store: ConfigStore,
  { operation, session }: RpcCall,
): Promise<Result<string, RpcError>> {
  const [parameter] = operation.children;
  if (parameter !== undefined) {
    const text = `This server has no confirmed commit, so no "${parameter.local}"`;
    return err(elementError("unknown-element", parameter.local, text));
  }
  const locked = store.locks.refuse(["running", "candidate"], session.id);
  if (locked !== undefined) return err(locked);
  const outcome = await store.commit();
  return outcome.ok ? ok(formatOutcome(outcome.value)) : outcome;
}

/**
 * `ok`, then what is late. RFC 6241's way, an rpc-error with severity "warning", makes ncclient
 * raise; an element of another namespace after `ok` passes every client that was tried.
 */
function formatOutcome({ late }: ApplyOutcome): string {
  if (late.length === 0) return OK_BODY;
  const items = late.map((line) => `<flow>${escapeXml(line)}</flow>`).join("");
  return `${OK_BODY}<late-revocations xmlns="${NS_MANAGEMENT}">${items}</late-revocations>`;
}

function discardChanges(
  store: ConfigStore,
  { operation, session }: RpcCall,
): Result<string, RpcError> {
  const unknown = refuseUnknown(operation, []);
  if (unknown !== undefined) return err(unknown);
  const locked = store.locks.refuse(["candidate"], session.id);
  if (locked !== undefined) return err(locked);
  store.discardChanges();
  return ok(OK_BODY);
}

function readRoot(
  store: ConfigStore,
  source: ConfigSource,
  { scope }: RpcCall,
): Result<DataRoot, RpcError> {
  if (source.kind === "datastore") return ok(store.read(source.name));
  const edits = readEditPayload(store.yang, store.schema, source.config, scope);
  return edits.ok ? store.edited(EMPTY_ROOT, edits.value, "merge") : edits;
}
