/**
 * get-data and edit-data. Effect: reads and changes the datastores. Source: RFC 8526 §3.1, §3.2.
 *
 * `intended` is running: nothing here transforms configuration. `operational` cannot be edited.
 */
import { err, ok, type Result } from "../../lib/base/result.ts";
import { elementError, protocolError, type RpcError } from "../../lib/netconf/rpc-error.ts";
import { OK_BODY } from "../../lib/netconf/rpc-message.ts";
import { childOf, childrenOf, textOf, type XmlElement } from "../../lib/xml/tree.ts";
import { markOrigins, type Origin } from "../core/origin.ts";
import { filterConfig, limitDepth } from "../core/selection.ts";
import { toModuleXpath } from "../core/xpath-names.ts";
import type { DataRoot, Prefixes } from "../data-node.ts";
import { formatRoot } from "../data-xml.ts";
import { readEditPayload } from "../edit-payload.ts";
import type { DatastoreName } from "../locks.ts";
import type { RpcCall, RpcHandler } from "../rpc-answerer.ts";
import { missing, readChoice } from "./parameters.ts";
import { applyFilter, type ReadContext, type ReadFilter, readDefaultsMode } from "./read.ts";

export const NS_NMDA = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda";

/** Returns the handlers by operation name. */
export function makeNmdaHandlers(context: ReadContext): Readonly<Record<string, RpcHandler>> {
  return {
    "get-data": async (call) => getData(context, call),
    "edit-data": async (call) => editData(context, call),
  };
}

type Named = DatastoreName | "operational";
const DATASTORES: Readonly<Record<string, Named>> = {
  running: "running",
  intended: "running",
  candidate: "candidate",
  startup: "startup",
  operational: "operational",
};

function readName(operation: XmlElement): Result<Named, RpcError> {
  const text = textOf(operation, "datastore");
  if (text === undefined) return missing("datastore", operation.local);
  const name = DATASTORES[text.replace(/^.*:/, "")];
  if (name !== undefined) return ok(name);
  return err(
    protocolError("invalid-value", `There is no datastore "${text}"`, {
      info: [{ name: "bad-element", text: "datastore" }],
    }),
  );
}

const GET_PARAMETERS: ReadonlySet<string> = new Set([
  "datastore",
  "subtree-filter",
  "xpath-filter",
  "config-filter",
  "origin-filter",
  "negated-origin-filter",
  "max-depth",
  "with-origin",
  "with-defaults",
]);

async function getData(context: ReadContext, call: RpcCall): Promise<Result<string, RpcError>> {
  const { operation, scope, session } = call;
  const foreign = operation.children.find(({ local }) => !GET_PARAMETERS.has(local));
  if (foreign !== undefined) {
    const text = `"get-data" has no parameter "${foreign.local}"`;
    return err(elementError("unknown-element", foreign.local, text));
  }
  const name = readName(operation);
  if (!name.ok) return name;
  const filter = readFilter(operation, scope, context);
  if (!filter.ok) return filter;
  const mode = readDefaultsMode(operation);
  if (!mode.ok) return mode;
  const depth = readDepth(operation);
  if (!depth.ok) return depth;
  const { operations } = context;
  const root = await operations.read(session, { datastore: name.value, withDefaults: mode.value });
  if (!root.ok) return root;
  const selected = applyFilter(operations, root.value, filter.value, scope);
  if (!selected.ok) return selected;
  const config = textOf(operation, "config-filter");
  const ofKind =
    config === undefined ? selected.value : filterConfig(selected.value, config === "true");
  const marked = withOrigins(context, operation, name.value, ofKind);
  if (!marked.ok) return marked;
  const shallow = depth.value === undefined ? marked.value : limitDepth(marked.value, depth.value);
  return ok(`<data xmlns="${NS_NMDA}">${formatRoot(shallow)}</data>`);
}

function readFilter(
  operation: XmlElement,
  scope: Prefixes,
  { moduleOf }: ReadContext,
): Result<ReadFilter, RpcError> {
  const subtree = childOf(operation, "subtree-filter");
  const xpath = childOf(operation, "xpath-filter");
  if (subtree !== undefined && xpath !== undefined) {
    const text = 'A request has "subtree-filter" or "xpath-filter"';
    return err(elementError("bad-element", "xpath-filter", text));
  }
  if (subtree !== undefined) return ok({ kind: "subtree", element: subtree });
  if (xpath === undefined) return ok({ kind: "none" });
  const made = toModuleXpath(xpath.text, { ...scope, ...xpath.declared }, moduleOf);
  return made.ok ? ok({ kind: "xpath", xpath: made.value }) : made;
}

function readDepth(operation: XmlElement): Result<number | undefined, RpcError> {
  const text = textOf(operation, "max-depth");
  if (text === undefined || text === "unbounded") return ok(undefined);
  if (/^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535) return ok(Number(text));
  return err(
    protocolError("invalid-value", '"max-depth" takes 1 to 65535 or "unbounded"', {
      info: [{ name: "bad-element", text: "max-depth" }],
    }),
  );
}

function withOrigins(
  { operations }: ReadContext,
  operation: XmlElement,
  name: Named,
  root: DataRoot,
): Result<DataRoot, RpcError> {
  const isShown = childOf(operation, "with-origin") !== undefined;
  const names = (parameter: string): string[] =>
    childrenOf(operation, parameter).map(({ text }) => text.trim().replace(/^.*:/, ""));
  const wanted = names("origin-filter");
  const unwanted = names("negated-origin-filter");
  if (!isShown && wanted.length === 0 && unwanted.length === 0) return ok(root);
  if (name !== "operational") {
    const text = 'Only "operational" knows where a node comes from';
    return err(elementError("bad-element", "with-origin", text));
  }
  const wants = (origin: Origin): boolean =>
    wanted.length > 0 ? wanted.includes(origin) : !unwanted.includes(origin);
  return ok(markOrigins(root, operations.store.read("running"), { isShown, wants }));
}

async function editData(context: ReadContext, call: RpcCall): Promise<Result<string, RpcError>> {
  const { operation, scope, session } = call;
  const name = readName(operation);
  if (!name.ok) return name;
  if (name.value === "operational" || textOf(operation, "datastore")?.endsWith("intended")) {
    const text = "This datastore follows from others: it cannot be edited";
    return err(
      protocolError("invalid-value", text, { info: [{ name: "bad-element", text: "datastore" }] }),
    );
  }
  const mode = readChoice(operation, "default-operation", ["merge", "replace", "none"], "merge");
  if (!mode.ok) return mode;
  const config = childOf(operation, "config");
  if (config === undefined) return missing("config", operation.local);
  const { operations } = context;
  const { schema, yang } = operations.store;
  const edits = readEditPayload(yang, schema, config, scope);
  if (!edits.ok) return edits;
  const done = await operations.edit(session, {
    target: name.value,
    edits: edits.value,
    defaultOperation: mode.value,
  });
  return done.ok ? ok(OK_BODY) : done;
}
