/**
 * The operations of NETCONF that change configuration: they read parameters, and call the core.
 *
 * Effect: changes the datastores. Source: RFC 6241 §7.2-§7.4, §8.2-§8.4, §8.6, §8.7.
 * An edit is all or nothing whatever error-option says: stop-on-error is met by rolling back.
 * test-option "test-then-set" checks constraints at once; without it they wait for validate or
 * commit, because a candidate may be invalid in between (RFC 7950 §8.3.3).
 */
import { err, ok, type Result } from "../../lib/base/result.ts";
import {
  applicationError,
  elementError,
  protocolError,
  type RpcError,
} from "../../lib/netconf/rpc-error.ts";
import { OK_BODY } from "../../lib/netconf/rpc-message.ts";
import { childOf, escapeXml, textOf, type XmlElement } from "../../lib/xml/tree.ts";
import type { ApplyOutcome } from "../applier.ts";
import type { Operations } from "../core/operations.ts";
import {
  CONFIRM_TIMEOUT_SEC_DEFAULT,
  CONFIRM_TIMEOUT_SEC_MAX,
  type ConfirmRequest,
} from "../core/pending-commit.ts";
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
export function makeEditHandlers(operations: Operations): Readonly<Record<string, RpcHandler>> {
  return {
    "edit-config": async (call) => editConfig(operations, call),
    "copy-config": async (call) => copyConfig(operations, call),
    "delete-config": async (call) => deleteConfig(operations, call),
    validate: async (call) => validate(operations, call),
    commit: async (call) => commit(operations, call),
    "cancel-commit": async (call) => cancelCommit(operations, call),
    "discard-changes": async (call) => discardChanges(operations, call),
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

async function editConfig(
  operations: Operations,
  { operation, scope, session }: RpcCall,
): Promise<Result<string, RpcError>> {
  const unknown = refuseUnknown(operation, EDIT_PARAMETERS);
  if (unknown !== undefined) return err(unknown);
  const target = readDatastore(operation, "target");
  if (!target.ok) return target;
  if (target.value === "startup") {
    return err(protocolError("operation-not-supported", '"startup" is changed by copy-config'));
  }
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
  const { schema, yang } = operations.store;
  const edits = readEditPayload(yang, schema, config, scope);
  if (!edits.ok) return edits;
  const done = await operations.edit(session, {
    target: target.value,
    edits: edits.value,
    defaultOperation: defaultOperation.value,
    testOption: testOption.value,
  });
  return done.ok ? ok(formatOutcome(done.value)) : done;
}

async function copyConfig(
  operations: Operations,
  call: RpcCall,
): Promise<Result<string, RpcError>> {
  const { operation, session } = call;
  const unknown = refuseUnknown(operation, ["target", "source", "with-defaults"]);
  if (unknown !== undefined) return err(unknown);
  const target = readDatastore(operation, "target");
  if (!target.ok) return target;
  const source = readSource(operation, "source");
  if (!source.ok) return source;
  if (source.value.kind === "datastore" && source.value.name === target.value) {
    return err(protocolError("invalid-value", "Source and target are the same datastore"));
  }
  const root = readRoot(operations, source.value, call);
  if (!root.ok) return root;
  const done = await operations.copy(session, root.value, target.value);
  return done.ok ? ok(formatOutcome(done.value)) : done;
}

async function deleteConfig(
  operations: Operations,
  { operation, session }: RpcCall,
): Promise<Result<string, RpcError>> {
  const unknown = refuseUnknown(operation, ["target"]);
  if (unknown !== undefined) return err(unknown);
  const target = readDatastore(operation, "target");
  if (!target.ok) return target;
  if (target.value !== "startup") {
    return err(protocolError("operation-not-supported", `"${target.value}" cannot be deleted`));
  }
  return answer(await operations.deleteStartup(session));
}

function validate(operations: Operations, call: RpcCall): Result<string, RpcError> {
  const unknown = refuseUnknown(call.operation, ["source"]);
  if (unknown !== undefined) return err(unknown);
  const source = readSource(call.operation, "source");
  if (!source.ok) return source;
  const root = readRoot(operations, source.value, call);
  return root.ok ? answer(operations.store.validate(root.value)) : root;
}

const COMMIT_PARAMETERS = ["confirmed", "confirm-timeout", "persist", "persist-id", "comment"];
/** As the model says (flowlift-history). */
export const COMMENT_CHARACTERS_MAX = 1_024;

async function commit(
  operations: Operations,
  { operation, session }: RpcCall,
): Promise<Result<string, RpcError>> {
  const unknown = refuseUnknown(operation, COMMIT_PARAMETERS);
  if (unknown !== undefined) return err(unknown);
  const confirm = readConfirm(operation);
  if (!confirm.ok) return confirm;
  const comment = textOf(operation, "comment");
  if (comment !== undefined && comment.length > COMMENT_CHARACTERS_MAX) {
    const text = `A comment has at most ${COMMENT_CHARACTERS_MAX} characters`;
    return err(applicationError("invalid-value", text, badElement("comment")));
  }
  const persistId = textOf(operation, "persist-id");
  const outcome = await operations.commit(session, {
    ...(comment === undefined ? {} : { comment }),
    ...(confirm.value === undefined ? {} : { confirm: confirm.value }),
    ...(persistId === undefined ? {} : { persistId }),
  });
  return outcome.ok ? ok(formatOutcome(outcome.value)) : outcome;
}

/** RFC 6241 §8.4.5.1: the timeout and `persist` mean something in a confirmed commit only. */
function readConfirm(operation: XmlElement): Result<ConfirmRequest | undefined, RpcError> {
  const persist = textOf(operation, "persist");
  const timeout = textOf(operation, "confirm-timeout");
  if (childOf(operation, "confirmed") === undefined) {
    const needless = persist !== undefined ? "persist" : "confirm-timeout";
    if (persist === undefined && timeout === undefined) return ok(undefined);
    return err(elementError("bad-element", needless, `"${needless}" goes with "confirmed" only`));
  }
  const timeoutSec = timeout === undefined ? CONFIRM_TIMEOUT_SEC_DEFAULT : Number(timeout);
  const isRight = timeout === undefined || /^[1-9]\d{0,9}$/.test(timeout);
  if (!isRight || timeoutSec > CONFIRM_TIMEOUT_SEC_MAX) {
    const text = `"confirm-timeout" takes 1 to ${CONFIRM_TIMEOUT_SEC_MAX} seconds`;
    return err(protocolError("invalid-value", text, badElement("confirm-timeout")));
  }
  return ok({ timeoutSec, persist });
}

function badElement(name: string): Pick<RpcError, "info"> {
  return { info: [{ name: "bad-element", text: name }] };
}

async function cancelCommit(
  operations: Operations,
  { operation, session }: RpcCall,
): Promise<Result<string, RpcError>> {
  const unknown = refuseUnknown(operation, ["persist-id"]);
  if (unknown !== undefined) return err(unknown);
  return answer(await operations.cancelCommit(session, textOf(operation, "persist-id")));
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
  operations: Operations,
  { operation, session }: RpcCall,
): Result<string, RpcError> {
  const unknown = refuseUnknown(operation, []);
  return answer(unknown ?? operations.discard(session));
}

function readRoot(
  operations: Operations,
  source: ConfigSource,
  { scope, session }: RpcCall,
): Result<DataRoot, RpcError> {
  if (source.kind === "datastore") return ok(operations.rootOf(session, source.name));
  const { schema, yang } = operations.store;
  const edits = readEditPayload(yang, schema, source.config, scope);
  return edits.ok ? operations.store.edited(EMPTY_ROOT, edits.value, "merge") : edits;
}

function answer(problem: RpcError | undefined): Result<string, RpcError> {
  return problem === undefined ? ok(OK_BODY) : err(problem);
}
