/**
 * GET and HEAD of data resources.
 *
 * Effect: reads the datastores through the core's operations.
 * Source: RFC 8040 §3.4, §3.5, §4.3, §4.8.
 */
import { protocolError } from "../../lib/netconf/rpc-error.ts";
import { parseXml, type XmlElement } from "../../lib/xml/tree.ts";
import type { Operations } from "../core/operations.ts";
import type { DataNode, DataRoot } from "../data-node.ts";
import { writeNode } from "../data-xml.ts";
import type { EditNode } from "../edit-node.ts";
import { checkConditions } from "./conditions.ts";
import { type DataRequest, fail, type RestResult, readPath, resolveNodes } from "./data-request.ts";
import { NS_RESTCONF, notFound } from "./errors.ts";
import { projectNode, projectRoot } from "./projection.ts";
import { parseReadQuery } from "./query.ts";
import { type Encoding, findInstance, type ResourceContext } from "./resource-data.ts";
import { isOneInstance, type ResourcePath } from "./resource-path.ts";

export class DataReader {
  readonly #operations: Operations;
  readonly #context: ResourceContext;

  constructor(operations: Operations, context: ResourceContext) {
    this.#operations = operations;
    this.#context = context;
  }

  async get(request: DataRequest): Promise<RestResult> {
    const query = parseReadQuery(request.query);
    if (!query.ok) return fail(query.error);
    const path = readPath(this.#context, request.path);
    if (!path.ok) return path;
    const chain = resolveNodes(this.#context, path.value);
    if (!chain.ok) return chain;
    const { session, accepts, conditions } = request;
    const unchanged = checkConditions(conditions, versionOf(this.#operations), true);
    if (unchanged !== undefined) return { ok: false, error: unchanged };
    const isConfigOnly = query.value.content === "config";
    const data = await this.#operations.read(session, {
      datastore: isConfigOnly ? "running" : "operational",
      withDefaults: query.value.withDefaults,
      hint: hintOf(path.value),
    });
    if (!data.ok) return fail(data.error);
    if (path.value.steps.length === 0) {
      const body = this.#formatRoot(projectRoot(data.value, query.value), accepts);
      return { ok: true, value: { status: 200, body, isConfigOnly } };
    }
    const found = isOneInstance(path.value)
      ? findInstance(data.value, chain.value)
      : findList(data.value, chain.value, path.value);
    const node = found === undefined ? undefined : projectNode(found, query.value);
    if (node === undefined) return { ok: false, error: notFound("There is no such resource") };
    if (node.kind === "list" && accepts === "xml") {
      return fail(
        protocolError("invalid-value", "XML has no form for a whole list; name one entry"),
      );
    }
    const body = this.#format(node, accepts);
    return { ok: true, value: { status: 200, body, isConfigOnly } };
  }

  #format(node: DataNode, encoding: Encoding): string {
    if (encoding === "xml") {
      const out: string[] = [];
      writeNode(node, "", out);
      return out.join("");
    }
    const { schema } = node;
    const value = this.#operations.store.json.writeNode(node);
    const isEntry = node.kind !== "list" && (schema.kind === "list" || schema.kind === "leaf-list");
    return JSON.stringify({ [`${schema.module}:${schema.name}`]: isEntry ? [value] : value });
  }

  #formatRoot(root: DataRoot, encoding: Encoding): string {
    if (encoding === "xml") {
      const out: string[] = [];
      for (const node of root.values()) writeNode(node, "", out);
      return `<data xmlns="${NS_RESTCONF}">${out.join("")}</data>`;
    }
    return JSON.stringify({ "ietf-restconf:data": this.#operations.store.json.write(root) });
  }
}

/** What the path cannot select need not be collected. */
function hintOf(path: ResourcePath): XmlElement | undefined {
  const [first] = path.steps;
  return first === undefined ? undefined : parseHint(first.schema.name, first.schema.namespace);
}

/** Counts commits, the last of which changed the configuration. */
export function versionOf({ store }: Operations): { readonly id: number; readonly at: Date } {
  return { id: store.lastCommitId, at: store.lastCommitAt };
}

function parseHint(name: string, namespace: string): XmlElement | undefined {
  const tree = parseXml(`<filter><${name} xmlns="${namespace}"/></filter>`);
  return tree.ok ? tree.value : undefined;
}

/** All entries of a list: its parent's child. */
function findList(
  root: DataRoot,
  chain: readonly EditNode[],
  path: ResourcePath,
): DataNode | undefined {
  const last = path.steps.at(-1);
  if (last === undefined) return undefined;
  if (path.steps.length === 1) return root.get(last.schema);
  const parent = findInstance(root, chain.slice(0, path.steps.length - 1));
  return parent?.kind === "container" ? parent.children.get(last.schema) : undefined;
}
