/**
 * YANG Patch: several edits of a resource, all of them or none.
 *
 * Effect: changes running in one transaction.
 * Source: RFC 8072 §2. Limit: PATCH_EDITS_MAX edits.
 */
import { err, ok, type Result } from "../../lib/base/result.ts";
import { malformedMessage, protocolError, type RpcError } from "../../lib/netconf/rpc-error.ts";
import type { Operations } from "../core/operations.ts";
import type { DataRoot } from "../data-node.ts";
import type { EditNode, EditOperation, Insert } from "../edit-node.ts";
import { checkConditions } from "./conditions.ts";
import { versionOf } from "./data-reader.ts";
import { type DataRequest, readPath, resolveNodes } from "./data-request.ts";
import { describeRpcError, type RestError, statusOf } from "./errors.ts";
import { findInstance, markNode, type ResourceContext, readResourceBody } from "./resource-data.ts";

export const PATCH_EDITS_MAX = 10_000;

const OPERATIONS = ["create", "delete", "insert", "merge", "move", "replace", "remove"] as const;
type PatchOperation = (typeof OPERATIONS)[number];

interface PatchEdit {
  readonly id: string;
  readonly operation: PatchOperation;
  readonly target: string;
  readonly point: string | undefined;
  readonly where: "before" | "after" | "first" | "last" | undefined;
  readonly value: unknown;
}

interface Patch {
  readonly id: string;
  readonly edits: readonly PatchEdit[];
}

/** The `yang-patch-status` of a request, and its status code. */
export interface PatchAnswer {
  readonly status: number;
  readonly body: string;
}

/** An edit that failed, by its id; undefined: the patch as a whole. */
interface PatchFailure {
  readonly editId: string | undefined;
  readonly error: RestError;
}

export async function applyYangPatch(
  operations: Operations,
  context: ResourceContext,
  request: DataRequest,
): Promise<PatchAnswer> {
  const patch = readPatch(request.body?.text ?? "");
  if (!patch.ok) return answerFailure("", { editId: undefined, error: { error: patch.error } });
  const { id } = patch.value;
  const prepared = prepare(context, request.path, patch.value);
  if (!prepared.ok) return answerFailure(id, prepared.error);
  let failure: PatchFailure | undefined;
  const done = await operations.edit(request.session, {
    target: "running",
    edits: prepared.value.flatMap(({ nodes }) => nodes),
    defaultOperation: "merge",
    comment: `YANG patch ${id}`,
    precondition: (root) => {
      const refusal = checkConditions(request.conditions, versionOf(operations), false);
      failure =
        refusal === undefined
          ? findFailure(operations, root, prepared.value)
          : { editId: undefined, error: refusal };
      return failure?.error.error;
    },
  });
  if (failure !== undefined) return answerFailure(id, failure);
  if (!done.ok) return answerFailure(id, { editId: undefined, error: { error: done.error } });
  const body = { "ietf-yang-patch:yang-patch-status": { "patch-id": id, ok: [null] } };
  return { status: 200, body: JSON.stringify(body) };
}

/** Carries the edits out one by one on a copy: which of them is it that fails? */
function findFailure(
  operations: Operations,
  base: DataRoot,
  edits: readonly PreparedEdit[],
): PatchFailure | undefined {
  let root = base;
  for (const { id, nodes, chain, mustExist } of edits) {
    if (mustExist && findInstance(root, chain) === undefined) {
      const error = protocolError("data-missing", "There is nothing at the target of this edit");
      return { editId: id, error: { error } };
    }
    const next = operations.store.edited(root, nodes, "merge");
    if (!next.ok) return { editId: id, error: { error: next.error } };
    root = next.value;
  }
  return undefined;
}

interface PreparedEdit {
  readonly id: string;
  readonly nodes: readonly EditNode[];
  readonly chain: readonly EditNode[];
  readonly mustExist: boolean;
}

function prepare(
  context: ResourceContext,
  base: string,
  patch: Patch,
): Result<PreparedEdit[], PatchFailure> {
  const prepared: PreparedEdit[] = [];
  for (const edit of patch.edits) {
    const one = prepareEdit(context, base, edit);
    if (!one.ok) return err({ editId: edit.id, error: one.error });
    prepared.push(one.value);
  }
  return ok(prepared);
}

function prepareEdit(
  context: ResourceContext,
  base: string,
  edit: PatchEdit,
): Result<PreparedEdit, RestError> {
  const { id, operation, target, value } = edit;
  const full = `${base.replace(/\/$/, "")}/${target.replace(/^\//, "")}`;
  const path = readPath(context, full);
  if (!path.ok) return path;
  const chain = resolveNodes(context, path.value);
  if (!chain.ok) return chain;
  const last = chain.value.at(-1);
  if (last === undefined) {
    return err({ error: protocolError("invalid-value", "The target must not be the datastore") });
  }
  const insert = readWhere(context, base, edit, last);
  if (!insert.ok) return insert;
  const mark = { operation: editOperation(operation), insert: insert.value };
  const needsValue = ["create", "insert", "merge", "replace"].includes(operation);
  if (!needsValue) {
    const nodes = markNode(chain.value.slice(0, 1), last, mark);
    return ok({ id, nodes, chain: chain.value, mustExist: operation === "move" });
  }
  if (typeof value !== "object" || value === null) {
    return err({ error: protocolError("missing-element", `${operation} needs a "value"`) });
  }
  const body = { encoding: "json", text: JSON.stringify(value) } as const;
  const edits = readResourceBody(context, path.value, body);
  if (!edits.ok) return err({ error: edits.error });
  const node = findAt(edits.value, chain.value);
  if (node === undefined) {
    return err({ error: protocolError("invalid-value", "The value is not that of the target") });
  }
  const nodes = markNode(edits.value, node, mark);
  return ok({ id, nodes, chain: chain.value, mustExist: false });
}

/** `insert` creates, `move` moves what is there. */
function editOperation(operation: PatchOperation): EditOperation {
  if (operation === "insert") return "create";
  return operation === "move" ? "merge" : operation;
}

function readWhere(
  context: ResourceContext,
  base: string,
  { operation, where, point }: PatchEdit,
  target: EditNode,
): Result<Insert | undefined, RestError> {
  if (operation !== "insert" && operation !== "move") return ok(undefined);
  if (!target.schema.userOrdered) {
    const text = `"${target.schema.name}" is not ordered by users`;
    return err({ error: protocolError("invalid-value", text) });
  }
  const place = where ?? "last";
  if (place === "first" || place === "last") return ok({ where: place });
  const full = `${base.replace(/\/$/, "")}/${(point ?? "").replace(/^\//, "")}`;
  const path = readPath(context, full);
  if (!path.ok) return path;
  const chain = resolveNodes(context, path.value);
  if (!chain.ok) return chain;
  const anchor = chain.value.at(-1);
  if (anchor?.schema === target.schema) return ok({ where: place, anchorKey: anchor.entryKey });
  const text = `point must name a "${target.schema.name}"`;
  return err({ error: protocolError("invalid-value", text) });
}

function findAt(edits: readonly EditNode[], chain: readonly EditNode[]): EditNode | undefined {
  let level = edits;
  let found: EditNode | undefined;
  for (const { schema, entryKey } of chain) {
    found = level.find((node) => node.schema === schema && node.entryKey === entryKey);
    if (found === undefined) return undefined;
    level = found.children;
  }
  return found;
}

function readPatch(text: string): Result<Patch, RpcError> {
  let members: Record<string, unknown> | null;
  try {
    members = JSON.parse(text) as Record<string, unknown> | null;
  } catch (error) {
    return err(malformedMessage(`The body is no JSON: ${(error as Error).message}`));
  }
  const patch = members?.["ietf-yang-patch:yang-patch"] as Record<string, unknown> | undefined;
  const id = patch?.["patch-id"];
  if (typeof id !== "string") return err(protocolError("missing-element", "patch-id is missing"));
  const list = patch?.["edit"] ?? [];
  if (!Array.isArray(list)) return err(protocolError("invalid-value", '"edit" must be a list'));
  if (list.length > PATCH_EDITS_MAX) {
    return err(protocolError("too-big", `A patch has at most ${PATCH_EDITS_MAX} edits`));
  }
  const edits: PatchEdit[] = [];
  const ids = new Set<string>();
  for (const item of list) {
    const edit = readEdit(item as Record<string, unknown>);
    if (!edit.ok) return edit;
    if (ids.has(edit.value.id)) {
      return err(protocolError("invalid-value", `edit-id "${edit.value.id}" is there twice`));
    }
    ids.add(edit.value.id);
    edits.push(edit.value);
  }
  return ok({ id, edits });
}

function readEdit(item: Record<string, unknown>): Result<PatchEdit, RpcError> {
  const text = (name: string): string | undefined =>
    typeof item[name] === "string" ? (item[name] as string) : undefined;
  const id = text("edit-id");
  const target = text("target");
  const operation = OPERATIONS.find((known) => known === text("operation"));
  if (id === undefined || target === undefined || operation === undefined) {
    const wanted = `edit-id, target and an operation of ${OPERATIONS.join(", ")}`;
    return err(protocolError("missing-element", `Each edit needs ${wanted}`));
  }
  const where = (["before", "after", "first", "last"] as const).find(
    (one) => one === text("where"),
  );
  return ok({ id, target, operation, where, point: text("point"), value: item["value"] });
}

function answerFailure(patchId: string, { editId, error }: PatchFailure): PatchAnswer {
  const errors = { error: [describeRpcError(error.error)] };
  const status =
    editId === undefined
      ? { "patch-id": patchId, errors }
      : { "patch-id": patchId, "edit-status": { edit: [{ "edit-id": editId, errors }] } };
  const body = JSON.stringify({ "ietf-yang-patch:yang-patch-status": status });
  return { status: statusOf(error), body };
}
