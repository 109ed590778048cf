/**
 * Operations of modules over NETCONF: XML to RFC 7951 values and back, by libyang.
 *
 * Effect: calls the registered handler.
 */
import { err, ok, type Result } from "../../lib/base/result.ts";
import type { RpcError } from "../../lib/netconf/rpc-error.ts";
import { OK_BODY } from "../../lib/netconf/rpc-message.ts";
import { rpcErrorOfYang } from "../../lib/netconf/yang-error.ts";
import { formatXml, parseXml } from "../../lib/xml/tree.ts";
import type { OperationHandler } from "../core/operation-types.ts";
import type { Operations } from "../core/operations.ts";
import type { RpcHandler } from "../rpc-answerer.ts";

/** Returns the handler of "module:name". */
export function makeModuleRpc(
  operations: Operations,
  name: string,
  handler: OperationHandler,
): RpcHandler {
  const { yang } = operations.store;
  return async ({ operation, scope, session }) => {
    const parsed = yang.parseOperation(
      formatXml({ ...operation, declared: { ...scope, ...operation.declared } }),
      "rpc",
    );
    if (!parsed.ok) return err(rpcErrorOfYang({ ...parsed.error, malformed: false }));
    const json = parsed.value.toJson({ withDefaults: "report-all" });
    parsed.value.free();
    const input = (json[name] ?? {}) as Readonly<Record<string, unknown>>;
    const output = await handler(session, input);
    if (!output.ok) return output;
    return output.value === undefined ? ok(OK_BODY) : formatOutput(operations, name, output.value);
  };
}

function formatOutput(
  { store }: Operations,
  name: string,
  output: Readonly<Record<string, unknown>>,
): Result<string, RpcError> {
  const text = JSON.stringify({ [name]: output });
  const reply = store.yang.parseOperation(text, "reply", "json");
  if (!reply.ok) return err(rpcErrorOfYang(reply.error));
  const xml = reply.value.print("xml");
  reply.value.free();
  // The element of the operation itself is not part of a reply (RFC 7950 §7.14.4).
  const tree = parseXml(xml);
  if (!tree.ok) return err({ type: "rpc", tag: "operation-failed", message: tree.error.message });
  return ok(tree.value.children.map((child) => formatXml(child)).join("") || OK_BODY);
}
