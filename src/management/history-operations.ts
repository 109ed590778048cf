/**
 * The operations of flowlift-history: rollback, compare, preview-commit; and its list of commits.
 *
 * Effect: reads the journal; rollback changes running or the candidate.
 */
import { err, ok, type Result } from "../lib/base/result.ts";
import { applicationError, protocolError, type RpcError } from "../lib/netconf/rpc-error.ts";
import type { ConfigData } from "../lib/service/provider.ts";
import type { ConfigStore } from "./config-store.ts";
import { diffRoots, formatChanges } from "./core/diff.ts";
import type { Operations } from "./core/operations.ts";
import type { DataRoot } from "./data-node.ts";

/** What a commit would do to what the configuration is applied to. */
export interface Preview {
  /** Lines that start with "+" or "-". */
  readonly ruleset: string;
  readonly cutFlows: number;
  readonly cutOffloadedFlows: number;
}

export type PreviewCommit = (config: ConfigData) => Promise<Result<Preview, RpcError>>;

interface Point {
  readonly "commit-id"?: string | number;
  readonly steps?: number;
}

/** Registers the operations; without `preview` only the configuration's difference is told. */
export function registerHistory(operations: Operations, preview: PreviewCommit | undefined): void {
  operations.register("flowlift-history:rollback", async (session, input) => {
    const id = pointId(operations, input as Point);
    const target = input["target"] === "candidate" ? "candidate" : "running";
    const comment = typeof input["comment"] === "string" ? input["comment"] : "";
    const done = await operations.rollback(session, id, target, comment);
    return done.ok ? ok(undefined) : done;
  });
  operations.register("flowlift-history:compare", async (session, input) => {
    const from = input["from"] as Point | undefined;
    const to = input["to"] as Point | undefined;
    const before = await rootAt(operations, from, operations.rootOf(session, "running"));
    if (!before.ok) return before;
    const after = await rootAt(operations, to, operations.rootOf(session, "candidate"));
    if (!after.ok) return after;
    const access = operations.accessOf(session);
    const changes = diffRoots(access.prune(before.value), access.prune(after.value));
    return ok({ difference: formatChanges(changes) });
  });
  operations.register("flowlift-history:preview-commit", async (session) => {
    const { store } = operations;
    const candidate = operations.candidateOf(session).merged();
    if (!candidate.ok) return candidate;
    const problem = store.validate(candidate.value);
    if (problem !== undefined) return err(problem);
    const access = operations.accessOf(session);
    const running = store.read("running");
    const changes = diffRoots(access.prune(running), access.prune(candidate.value));
    const difference = formatChanges(changes);
    if (preview === undefined) return ok({ difference });
    const effect = await preview(store.json.write(candidate.value));
    if (!effect.ok) return effect;
    const { cutFlows, cutOffloadedFlows, ruleset } = effect.value;
    return ok({
      difference,
      ruleset,
      "cut-flows": cutFlows,
      "cut-offloaded-flows": cutOffloadedFlows,
    });
  });
}

/** The commit before the last one, unless it is said otherwise. */
function pointId(operations: Operations, point: Point): number {
  const last = operations.store.lastCommitId;
  if (point["commit-id"] !== undefined) return Number(point["commit-id"]);
  return Math.max(0, last - (point.steps ?? 1));
}

async function rootAt(
  operations: Operations,
  point: Point | undefined,
  fallback: DataRoot,
): Promise<Result<DataRoot, RpcError>> {
  if (point === undefined || Object.keys(point).length === 0) return ok(fallback);
  return operations.store.rootOf(pointId(operations, point));
}

/** Returns the list of commits as RFC 7951 data. */
export function historyState(store: ConfigStore): ConfigData {
  const commit = store.log.listCommits().map((meta) => ({
    id: String(meta.id),
    time: meta.time,
    user: meta.user,
    "session-id": meta.sessionId,
    "source-host": meta.sourceHost,
    protocol: meta.protocol,
    how: meta.how,
    ...(meta.comment === "" ? {} : { comment: meta.comment }),
    changes: meta.changes,
  }));
  return commit.length === 0 ? {} : { "flowlift-history:history": { commit } };
}

/** Why a preview cannot be made. */
export function previewFailed(message: string, path?: string): RpcError {
  if (path === undefined || path === "") return applicationError("operation-failed", message);
  return protocolError("operation-failed", message, { type: "application", path });
}
