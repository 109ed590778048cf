/** What the core's operations are asked with. Pure: types. */
import type { Result } from "../../lib/base/result.ts";
import type { RpcError } from "../../lib/netconf/rpc-error.ts";
import type { XmlElement } from "../../lib/xml/tree.ts";
import type { WithDefaults } from "../../lib/yang/data-tree.ts";
import type { DataRoot } from "../data-node.ts";
import type { DefaultOperation, EditNode } from "../edit-node.ts";
import type { DatastoreName } from "../locks.ts";
import type { SessionEntry } from "../session-registry.ts";
import type { ConfirmRequest } from "./pending-commit.ts";

export type TestOption = "unchecked" | "set" | "test-then-set" | "test-only";

export interface EditRequest {
  readonly target: DatastoreName;
  readonly edits: readonly EditNode[];
  readonly defaultOperation: DefaultOperation;
  /** Of a candidate; running and startup are always validated. Default: unchecked. */
  readonly testOption?: TestOption;
  readonly comment?: string;
  /** Looked at with the datastore as it is when the edit has its turn (If-Match …). */
  readonly precondition?: (root: DataRoot) => RpcError | undefined;
}

export interface CommitRequest {
  readonly confirm?: ConfirmRequest;
  readonly persistId?: string;
  readonly comment?: string;
}

export interface ReadRequest {
  readonly datastore: DatastoreName | "operational";
  /** A subtree filter: what it cannot select need not be collected. It is not applied here. */
  readonly hint?: XmlElement | undefined;
  /** Default: explicit. */
  readonly withDefaults?: WithDefaults | undefined;
}

/** An operation of a module, by RFC 7951 values. Registered by its name, "module:name". */
export type OperationHandler = (
  session: SessionEntry,
  input: Readonly<Record<string, unknown>>,
) => Promise<Result<Readonly<Record<string, unknown>> | undefined, RpcError>>;
