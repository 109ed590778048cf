/**
 * Operation resources: `/restconf/operations` and its children.
 *
 * Effect: runs operations of modules through the core.
 * Source: RFC 8040 §3.6, §4.4.2.
 */
import { malformedMessage, protocolError } from "../../lib/netconf/rpc-error.ts";
import { escapeXml } from "../../lib/xml/tree.ts";
import type { Operations } from "../core/operations.ts";
import { type DataRequest, fail, type RestResult } from "./data-request.ts";
import { NS_RESTCONF, notFound } from "./errors.ts";
import type { Encoding, ResourceContext } from "./resource-data.ts";

export class OperationResources {
  readonly #operations: Operations;
  readonly #context: ResourceContext;

  constructor(operations: Operations, context: ResourceContext) {
    this.#operations = operations;
    this.#context = context;
  }

  /** The operations that can be called here, by `module:name`. */
  list(encoding: Encoding): string {
    const { schema } = this.#context;
    const known = (schema.operations ?? []).filter(
      ({ kind, module, name }) =>
        kind === "rpc" && this.#operations.handlerOf(`${module}:${name}`) !== undefined,
    );
    if (encoding === "json") {
      const members = known.map(({ module, name }) => [`${module}:${name}`, [null]]);
      return JSON.stringify({ "ietf-restconf:operations": Object.fromEntries(members) });
    }
    const items = known.map(({ name, namespace }) => `<${name} xmlns="${escapeXml(namespace)}"/>`);
    return `<operations xmlns="${NS_RESTCONF}">${items.join("")}</operations>`;
  }

  /** Runs an operation. JSON in and out: its input has no other form in the core. */
  async call(request: DataRequest): Promise<RestResult> {
    const name = request.path;
    if (this.#operations.handlerOf(name) === undefined) {
      return { ok: false, error: notFound(`There is no operation "${name}"`) };
    }
    const input = readInput(name, request);
    if (!input.ok) return input;
    const output = await this.#operations.call(request.session, name, input.value);
    if (!output.ok) return fail(output.error);
    if (output.value === undefined || Object.keys(output.value).length === 0) {
      return { ok: true, value: { status: 204 } };
    }
    const [module] = name.split(":");
    const body = JSON.stringify({ [`${module}:output`]: output.value });
    return { ok: true, value: { status: 200, body } };
  }
}

function readInput(name: string, { body }: DataRequest) {
  const [module] = name.split(":");
  if (body === undefined || body.text.trim() === "") return { ok: true, value: {} } as const;
  if (body.encoding === "xml") {
    const text = "The input of an operation is taken as application/yang-data+json here";
    return {
      ok: false,
      error: { error: protocolError("invalid-value", text), status: 415 },
    } as const;
  }
  try {
    const members = JSON.parse(body.text) as Record<string, unknown> | null;
    const input = members?.[`${module}:input`];
    if (typeof input === "object" && input !== null && !Array.isArray(input)) {
      return { ok: true, value: input as Readonly<Record<string, unknown>> } as const;
    }
    return fail(protocolError("invalid-value", `The body must be one "${module}:input"`));
  } catch (error) {
    return fail(malformedMessage(`The body is no JSON: ${(error as Error).message}`));
  }
}
