/**
 * The operations that read: get, get-config, get-schema.
 *
 * Effect: asks the applier for its state. Source: RFC 6241 §7.1, §7.7; RFC 6022 §3.1.
 */
import { err, ok, type Result } from "../../lib/base/result.ts";
import { NS_MONITORING } from "../../lib/netconf/names.ts";
import {
  applicationError,
  attributeError,
  protocolError,
  type RpcError,
} from "../../lib/netconf/rpc-error.ts";
import { childOf, escapeXml, textOf, type XmlElement } from "../../lib/xml/tree.ts";
import type { YangModule } from "../../lib/yang/module-list.ts";
import type { ConfigStore } from "../config-store.ts";
import type { Operations } from "../core/operations.ts";
import type { DataRoot } from "../data-node.ts";
import { formatRoot } from "../data-xml.ts";
import type { RpcCall, RpcHandler } from "../rpc-answerer.ts";
import { applySubtreeFilter, filterTypeOf } from "../subtree-filter.ts";
import { missing, readDatastore, refuseUnknown } from "./parameters.ts";

/** Returns the handlers by operation name. */
export function makeReadHandlers(operations: Operations): Readonly<Record<string, RpcHandler>> {
  return {
    get: async (call) => get(operations, call),
    "get-config": async (call) => getConfig(operations, call),
  };
}

/** Returns the handler of get-schema. */
export function makeGetSchema(store: ConfigStore, modules: readonly YangModule[]): RpcHandler {
  return async (call) => getSchema(store, modules, call);
}

async function get(
  operations: Operations,
  { operation, scope, session }: RpcCall,
): Promise<Result<string, RpcError>> {
  const unknown = refuseUnknown(operation, ["filter"]);
  if (unknown !== undefined) return err(unknown);
  const filter = readFilter(operation);
  if (!filter.ok) return filter;
  const root = await operations.read(session, { datastore: "operational", hint: filter.value });
  return root.ok ? ok(formatSelected(root.value, filter.value, scope)) : root;
}

async function getConfig(
  operations: Operations,
  { operation, scope, session }: RpcCall,
): Promise<Result<string, RpcError>> {
  const unknown = refuseUnknown(operation, ["source", "filter"]);
  if (unknown !== undefined) return err(unknown);
  const source = readDatastore(operation, "source");
  if (!source.ok) return source;
  const filter = readFilter(operation);
  if (!filter.ok) return filter;
  const root = await operations.read(session, { datastore: source.value });
  return root.ok ? ok(formatSelected(root.value, filter.value, scope)) : root;
}

function readFilter(operation: XmlElement): Result<XmlElement | undefined, RpcError> {
  const filter = childOf(operation, "filter");
  if (filter === undefined) return ok(undefined);
  const type = filterTypeOf(filter);
  if (type === "subtree") return ok(filter);
  const text = `Filters of type "${type}" are not supported; "subtree" is`;
  return type === "xpath"
    ? err(protocolError("operation-not-supported", text))
    : err(attributeError("bad-attribute", "type", "filter", text));
}

function formatSelected(
  root: DataRoot,
  filter: XmlElement | undefined,
  scope: Readonly<Record<string, string>>,
): string {
  const selected = filter === undefined ? root : applySubtreeFilter(root, filter, scope);
  return `<data>${formatRoot(selected)}</data>`;
}

function getSchema(
  store: ConfigStore,
  modules: readonly YangModule[],
  { operation }: RpcCall,
): Result<string, RpcError> {
  const unknown = refuseUnknown(operation, ["identifier", "version", "format"]);
  if (unknown !== undefined) return err(unknown);
  const identifier = textOf(operation, "identifier");
  if (identifier === undefined) return missing("identifier", operation.local);
  const format = textOf(operation, "format") ?? "yang";
  const version = textOf(operation, "version");
  if (format.replace(/^.*:/, "") !== "yang") {
    return err(protocolError("invalid-value", `Schemas are there as YANG, not as "${format}"`));
  }
  const found = modules.filter(
    (module) =>
      module.name === identifier && (version === undefined || version === (module.revision ?? "")),
  );
  if (found.length > 1) {
    const text = `"${identifier}" is there in several versions; name one`;
    return err(applicationError("operation-failed", text, { appTag: "data-not-unique" }));
  }
  const text = found[0] === undefined ? undefined : store.yang.getSchemaText(identifier, version);
  if (text === undefined) {
    const wanted = version === undefined ? identifier : `${identifier}@${version}`;
    return err(applicationError("invalid-value", `There is no schema "${wanted}"`));
  }
  return ok(`<data xmlns="${NS_MONITORING}">${escapeXml(text)}</data>`);
}
