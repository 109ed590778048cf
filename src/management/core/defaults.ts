/**
 * Trees with default values, in the four ways of RFC 6243.
 *
 * Effect: libyang adds the defaults. This server's own way is `explicit`: what was set, and only that.
 */
import { ok, type Result } from "../../lib/base/result.ts";
import type { RpcError } from "../../lib/netconf/rpc-error.ts";
import { rpcErrorOfYang } from "../../lib/netconf/yang-error.ts";
import type { WithDefaults } from "../../lib/yang/data-tree.ts";
import { addDefaults } from "../../lib/yang/tree-validation.ts";
import type { YangContext } from "../../lib/yang/yang-context.ts";
import { type DataRoot, EMPTY_ROOT } from "../data-node.ts";
import { formatRoot } from "../data-xml.ts";
import { applyEdit } from "../edit-engine.ts";
import { readCanonicalXml } from "../edit-payload.ts";
import type { Schema } from "../schema.ts";

export function withDefaults(
  yang: YangContext,
  schema: Schema,
  root: DataRoot,
  mode: WithDefaults,
): Result<DataRoot, RpcError> {
  if (mode === "explicit") return ok(root);
  const parsed = yang.parseConfig(formatRoot(root), "xml", { validate: false, withState: true });
  if (!parsed.ok) return { ok: false, error: rpcErrorOfYang(parsed.error) };
  addDefaults(yang, parsed.value);
  const text = parsed.value.print("xml", { withDefaults: mode });
  parsed.value.free();
  const edits = readCanonicalXml(schema, text);
  return edits.ok ? applyEdit(EMPTY_ROOT, edits.value, "merge") : edits;
}
