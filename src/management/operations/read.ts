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
import type { WithDefaults } from "../../lib/yang/data-tree.ts";
import type { YangModule } from "../../lib/yang/module-list.ts";
import type { ConfigStore } from "../config-store.ts";
import type { Operations } from "../core/operations.ts";
import { selectXpath } from "../core/selection.ts";
import { toModuleXpath } from "../core/xpath-names.ts";
import type { DataRoot, Prefixes } from "../data-node.ts";
import { formatRoot } from "../data-xml.ts";
import type { DatastoreName } from "../locks.ts";
import type { RpcCall, RpcHandler } from "../rpc-answerer.ts";
import { applySubtreeFilter, filterTypeOf } from "../subtree-filter.ts";
import { missing, readChoice, readDatastore, refuseUnknown } from "./parameters.ts";

/** What reading needs besides the datastores. */
export interface ReadContext {
  readonly operations: Operations;
  readonly moduleOf: (namespace: string) => string | undefined;
}

/** Returns the handlers by operation name. */
export function makeReadHandlers(context: ReadContext): Readonly<Record<string, RpcHandler>> {
  return {
    get: async (call) => get(context, call),
    "get-config": async (call) => getConfig(context, call),
  };
}

/** Returns the handler of get-schema. */
export function makeGetSchema(store: ConfigStore, modules: readonly YangModule[]): RpcHandler {
  return async (call) => getSchema(store, modules, call);
}

async function get(context: ReadContext, call: RpcCall): Promise<Result<string, RpcError>> {
  const unknown = refuseUnknown(call.operation, ["filter", "with-defaults"]);
  if (unknown !== undefined) return err(unknown);
  return read(context, call, "operational");
}

async function getConfig(context: ReadContext, call: RpcCall): Promise<Result<string, RpcError>> {
  const unknown = refuseUnknown(call.operation, ["source", "filter", "with-defaults"]);
  if (unknown !== undefined) return err(unknown);
  const source = readDatastore(call.operation, "source");
  return source.ok ? read(context, call, source.value) : source;
}

async function read(
  context: ReadContext,
  { operation, scope, session }: RpcCall,
  datastore: DatastoreName | "operational",
): Promise<Result<string, RpcError>> {
  const filter = readFilter(operation, scope, context.moduleOf);
  if (!filter.ok) return filter;
  const mode = readDefaultsMode(operation);
  if (!mode.ok) return mode;
  const hint = filter.value.kind === "subtree" ? filter.value.element : undefined;
  const { operations } = context;
  const root = await operations.read(session, { datastore, hint, withDefaults: mode.value });
  if (!root.ok) return root;
  const selected = applyFilter(operations, root.value, filter.value, scope);
  return selected.ok ? ok(`<data>${formatRoot(selected.value)}</data>`) : selected;
}

/** A filter as it was asked for. */
export type ReadFilter =
  | { readonly kind: "none" }
  | { readonly kind: "subtree"; readonly element: XmlElement }
  | { readonly kind: "xpath"; readonly xpath: string };

function readFilter(
  operation: XmlElement,
  scope: Prefixes,
  moduleOf: ReadContext["moduleOf"],
): Result<ReadFilter, RpcError> {
  const filter = childOf(operation, "filter");
  if (filter === undefined) return ok({ kind: "none" });
  const type = filterTypeOf(filter);
  if (type === "subtree") return ok({ kind: "subtree", element: filter });
  if (type !== "xpath") {
    const text = `Filters of type "${type}" are not supported; "subtree" and "xpath" are`;
    return err(attributeError("bad-attribute", "type", "filter", text));
  }
  const select = filter.attributes.find(({ local }) => local === "select")?.value;
  if (select === undefined) {
    const text = 'A filter of type "xpath" needs the attribute "select"';
    return err(attributeError("missing-attribute", "select", "filter", text));
  }
  const xpath = toModuleXpath(select, { ...scope, ...filter.declared }, moduleOf);
  return xpath.ok ? ok({ kind: "xpath", xpath: xpath.value }) : xpath;
}

/** Returns what the filter selects. */
export function applyFilter(
  operations: Operations,
  root: DataRoot,
  filter: ReadFilter,
  scope: Prefixes,
): Result<DataRoot, RpcError> {
  if (filter.kind === "none") return ok(root);
  if (filter.kind === "subtree") return ok(applySubtreeFilter(root, filter.element, scope));
  const { schema, yang } = operations.store;
  return selectXpath(yang, schema, root, filter.xpath);
}

const DEFAULTS_MODES = ["explicit", "report-all", "report-all-tagged", "trim"] as const;

/** RFC 6243 §4.5. */
export function readDefaultsMode(operation: XmlElement): Result<WithDefaults, RpcError> {
  return readChoice(operation, "with-defaults", DEFAULTS_MODES, "explicit");
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
