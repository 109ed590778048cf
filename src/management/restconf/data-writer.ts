/**
 * POST, PUT, PATCH and DELETE of data resources.
 *
 * Effect: changes running through the core's operations; each request is one transaction.
 * Source: RFC 8040 §4.4 to §4.7.
 */
import type { Result } from "../../lib/base/result.ts";
import { protocolError } from "../../lib/netconf/rpc-error.ts";
import type { Operations } from "../core/operations.ts";
import type { DataRoot } from "../data-node.ts";
import type { EditNode, Insert } from "../edit-node.ts";
import { checkConditions } from "./conditions.ts";
import { versionOf } from "./data-reader.ts";
import {
  type DataRequest,
  fail,
  type RestAnswer,
  type RestResult,
  readPath,
  resolveNodes,
} from "./data-request.ts";
import { notAllowed, notFound, type RestError } from "./errors.ts";
import { parseNoQuery, parseWriteQuery, type WriteQuery } from "./query.ts";
import {
  findInstance,
  markNode,
  type ResourceContext,
  readChildBody,
  readResourceBody,
} from "./resource-data.ts";
import { isOneInstance, type ResourcePath } from "./resource-path.ts";

export class DataWriter {
  readonly #operations: Operations;
  readonly #context: ResourceContext;

  constructor(operations: Operations, context: ResourceContext) {
    this.#operations = operations;
    this.#context = context;
  }

  async put(request: DataRequest): Promise<RestResult> {
    return this.#write(request, "replace");
  }

  async patch(request: DataRequest): Promise<RestResult> {
    return this.#write(request, "merge");
  }

  async delete(request: DataRequest): Promise<RestResult> {
    const query = parseNoQuery(request.query);
    if (!query.ok) return fail(query.error);
    const path = this.#parseWritable(request.path);
    if (!path.ok) return path;
    if (path.value.steps.length === 0) {
      return { ok: false, error: notAllowed("The datastore itself cannot be deleted") };
    }
    const chain = resolveNodes(this.#context, path.value);
    if (!chain.ok) return chain;
    const target = chain.value.at(-1);
    const roots = chain.value.slice(0, 1);
    if (target === undefined) return { ok: false, error: notFound("There is no such resource") };
    const edits = markNode(roots, target, { operation: "delete" });
    return this.#change(request, edits, { status: 204 }, (root) =>
      findInstance(root, chain.value) === undefined
        ? notFound("There is no such resource")
        : undefined,
    );
  }

  async post(request: DataRequest): Promise<RestResult> {
    const query = parseWriteQuery(request.query);
    if (!query.ok) return fail(query.error);
    const path = this.#parseWritable(request.path);
    if (!path.ok) return path;
    const { body } = request;
    if (body === undefined) return fail(protocolError("malformed-message", "A body is missing"));
    const last = path.value.steps.at(-1)?.schema.kind;
    if (last !== undefined && last !== "container" && last !== "list") {
      return { ok: false, error: notAllowed("Only containers and list entries have children") };
    }
    const read = readChildBody(this.#context, path.value, body);
    if (!read.ok) return fail(read.error);
    const { edits, child } = read.value;
    const insert = this.#readInsert(query.value, child);
    if (!insert.ok) return insert;
    const marked = markNode(edits, child, { operation: "create", insert: insert.value });
    const chain = resolveNodes(this.#context, path.value);
    if (!chain.ok) return chain;
    const location = `${request.path.replace(/\/$/, "")}/${formatStep(child)}`;
    return this.#change(request, marked, { status: 201, location }, (root) =>
      this.#missingParent(root, chain.value),
    );
  }

  async #write(request: DataRequest, operation: "replace" | "merge"): Promise<RestResult> {
    const query = operation === "merge" ? parseNoQuery(request.query) : undefined;
    if (query !== undefined && !query.ok) return fail(query.error);
    const write = operation === "replace" ? parseWriteQuery(request.query) : undefined;
    if (write !== undefined && !write.ok) return fail(write.error);
    const path = this.#parseWritable(request.path);
    if (!path.ok) return path;
    const { body } = request;
    if (body === undefined) return fail(protocolError("malformed-message", "A body is missing"));
    const edits = readResourceBody(this.#context, path.value, body);
    if (!edits.ok) return fail(edits.error);
    const chain = resolveNodes(this.#context, path.value);
    if (!chain.ok) return chain;
    if (chain.value.length === 0) return this.#replaceAll(request, edits.value, operation);
    const target = findEdit(edits.value, chain.value);
    if (target === undefined) {
      return fail(protocolError("invalid-value", "The body is not the resource of the path"));
    }
    const insert = this.#readInsert(write?.value, target);
    if (!insert.ok) return insert;
    const marked = markNode(edits.value, target, { operation, insert: insert.value });
    let existed = true;
    const outcome = await this.#change(request, marked, { status: 204 }, (root) => {
      existed = findInstance(root, chain.value) !== undefined;
      if (operation === "merge" && !existed) return notFound("There is no such resource");
      return this.#missingParent(root, chain.value.slice(0, -1));
    });
    return outcome.ok && !existed ? { ok: true, value: { status: 201 } } : outcome;
  }

  #replaceAll(
    request: DataRequest,
    edits: readonly EditNode[],
    operation: "replace" | "merge",
  ): Promise<RestResult> {
    return this.#change(request, edits, { status: 204 }, () => undefined, operation);
  }

  async #change(
    request: DataRequest,
    edits: readonly EditNode[],
    answer: RestAnswer,
    refuse: (root: DataRoot) => RestError | undefined,
    defaultOperation: "merge" | "replace" = "merge",
  ): Promise<RestResult> {
    let refusal: RestError | undefined;
    const done = await this.#operations.edit(request.session, {
      target: "running",
      edits,
      defaultOperation,
      precondition: (root) => {
        refusal =
          checkConditions(request.conditions, versionOf(this.#operations), false) ?? refuse(root);
        return refusal?.error;
      },
    });
    if (refusal !== undefined) return { ok: false, error: refusal };
    return done.ok ? { ok: true, value: answer } : fail(done.error);
  }

  /** List entries and presence containers on the way must be there; the rest makes itself. */
  #missingParent(root: DataRoot, chain: readonly EditNode[]): RestError | undefined {
    for (let count = 1; count <= chain.length; count++) {
      const { schema } = chain[count - 1] as EditNode;
      const mustBe = schema.kind === "list" || schema.presence;
      if (mustBe && findInstance(root, chain.slice(0, count)) === undefined) {
        return notFound(`The "${schema.name}" above the resource does not exist`);
      }
    }
    return undefined;
  }

  #readInsert(
    query: WriteQuery | undefined,
    child: EditNode,
  ): Result<Insert | undefined, RestError> {
    if (query?.insert === undefined) return { ok: true, value: undefined };
    const { insert, point } = query;
    if (!child.schema.userOrdered) {
      return fail(protocolError("invalid-value", `"${child.schema.name}" is not ordered by users`));
    }
    if (insert === "first" || insert === "last") return { ok: true, value: { where: insert } };
    const path = readPath(this.#context, (point ?? "").replace(/^\/(?:restconf\/data\/)?/, ""));
    if (!path.ok) return path;
    const chain = resolveNodes(this.#context, path.value);
    if (!chain.ok) return chain;
    const anchor = chain.value.at(-1);
    if (anchor?.schema !== child.schema) {
      return fail(protocolError("invalid-value", `point must name a "${child.schema.name}"`));
    }
    return { ok: true, value: { where: insert, anchorKey: anchor.entryKey } };
  }

  #parseWritable(text: string): Result<ResourcePath, RestError> {
    const path = readPath(this.#context, text);
    if (!path.ok) return path;
    const last = path.value.steps.at(-1);
    if (last?.schema.config === false) {
      return { ok: false, error: notAllowed(`"${last.schema.name}" is state, not configuration`) };
    }
    if (isOneInstance(path.value)) return path;
    return { ok: false, error: notAllowed("A whole list cannot be changed; name one entry") };
  }
}

/** The node of an edit that has the same place as the end of `chain`. */
function findEdit(edits: readonly EditNode[], chain: readonly EditNode[]): EditNode | undefined {
  let level = edits;
  let found: EditNode | undefined;
  for (const { schema, entryKey } of chain) {
    found = level.find((node) => node.schema === schema && node.entryKey === entryKey);
    if (found === undefined) return undefined;
    level = found.children;
  }
  return found;
}

/** The step of a created child, as in a path. */
function formatStep({ schema, entryKey, children }: EditNode): string {
  const name = `${schema.module}:${schema.name}`;
  if (schema.kind === "leaf-list") return `${name}=${encodeURIComponent(entryKey)}`;
  if (schema.kind !== "list") return name;
  const values = schema.keys.map(
    (key) => children.find((child) => child.schema.name === key)?.value ?? "",
  );
  return `${name}=${values.map(encodeURIComponent).join(",")}`;
}
