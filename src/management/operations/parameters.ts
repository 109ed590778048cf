/** Reads the parameters of operations. Pure. Source: RFC 6241 §7, §8; errors after Appendix A. */
import { err, ok, type Result } from "../../lib/base/result.ts";
import { NS_NETCONF } from "../../lib/netconf/names.ts";
import { elementError, protocolError, type RpcError } from "../../lib/netconf/rpc-error.ts";
import { childOf, type XmlElement } from "../../lib/xml/tree.ts";
import { DATASTORE_NAMES, type DatastoreName } from "../locks.ts";

/** Refuses parameters that the operation does not have, and the same one twice. */
export function refuseUnknown(
  operation: XmlElement,
  allowed: readonly string[],
): RpcError | undefined {
  const seen = new Set<string>();
  for (const { local } of operation.children) {
    if (!allowed.includes(local)) {
      const text = `"${operation.local}" has no parameter "${local}"`;
      return elementError("unknown-element", local, text);
    }
    if (seen.has(local)) return elementError("bad-element", local, `"${local}" is there twice`);
    seen.add(local);
  }
  return undefined;
}

/** Either one of the datastores or configuration in the request itself. */
export type ConfigSource =
  | { readonly kind: "datastore"; readonly name: DatastoreName }
  | { readonly kind: "inline"; readonly config: XmlElement };

/** Reads `source` or `target`. */
export function readSource(
  operation: XmlElement,
  parameter: "source" | "target",
): Result<ConfigSource, RpcError> {
  const holder = childOf(operation, parameter, NS_NETCONF);
  if (holder === undefined) return missing(parameter, operation.local);
  const [item, second] = holder.children;
  if (item === undefined || second !== undefined) {
    const text = `"${parameter}" names exactly one datastore`;
    return err(elementError("bad-element", parameter, text));
  }
  if (item.local === "config") return ok({ kind: "inline", config: item });
  if (item.local === "url") {
    return err(protocolError("operation-not-supported", "This server does not read or write URLs"));
  }
  const name = DATASTORE_NAMES.find((candidate) => candidate === item.local);
  if (name !== undefined && item.namespace === NS_NETCONF) return ok({ kind: "datastore", name });
  return err(elementError("bad-element", item.local, `There is no datastore "${item.local}"`));
}

/** Reads a parameter that must name a datastore. */
export function readDatastore(
  operation: XmlElement,
  parameter: "source" | "target",
): Result<DatastoreName, RpcError> {
  const source = readSource(operation, parameter);
  if (!source.ok) return source;
  if (source.value.kind === "datastore") return ok(source.value.name);
  return err(elementError("bad-element", "config", `"${parameter}" names a datastore`));
}

/** Reads a parameter with a closed list of values. */
export function readChoice<T extends string>(
  operation: XmlElement,
  parameter: string,
  values: readonly T[],
  fallback: T,
): Result<T, RpcError> {
  const element = childOf(operation, parameter);
  if (element === undefined) return ok(fallback);
  const text = element.text.trim();
  const value = values.find((candidate) => candidate === text);
  if (value !== undefined) return ok(value);
  const message = `"${text}" is not one of ${values.join(", ")}`;
  return err(
    protocolError("invalid-value", message, { info: [{ name: "bad-element", text: parameter }] }),
  );
}

/** Returns the error for a parameter that has to be there. */
export function missing<T>(parameter: string, operation: string): Result<T, RpcError> {
  return err(elementError("missing-element", parameter, `"${operation}" needs "${parameter}"`));
}
