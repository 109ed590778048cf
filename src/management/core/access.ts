/**
 * What access control decides, as the operations see it.
 *
 * Pure: types, and the one that permits everything. nacm.ts compiles the configured rules.
 */
import type { RpcError } from "../../lib/netconf/rpc-error.ts";
import type { DataRoot } from "../data-node.ts";
import type { SchemaOperation } from "../schema.ts";
import type { Change, NodePlace } from "./diff.ts";

/** The rights of one user. Good until the next commit. */
export interface Access {
  /** Returns `access-denied` when the operation may not be run; `place` is an action's node. */
  refuseOperation(operation: SchemaOperation, place?: NodePlace): RpcError | undefined;
  /** Returns the data without what may not be read; the same tree when all may. */
  prune(root: DataRoot): DataRoot;
  /** Returns `access-denied` with the path of the first node that may not be changed so. */
  refuseChanges(changes: readonly Change[]): RpcError | undefined;
  mayReceive(notification: SchemaOperation): boolean;
}

/** The recovery session's, and the server's own (RFC 8341 §3.4.3). */
export const FULL_ACCESS: Access = {
  refuseOperation: () => undefined,
  prune: (root) => root,
  refuseChanges: () => undefined,
  mayReceive: () => true,
};
