/**
 * One transaction over the applier and the disk: all of it, or nothing.
 *
 * Effect: calls the applier, and what stores. A failure is undone before it is told.
 */
import { randomUUID } from "node:crypto";
import { describeError } from "../../lib/base/errors.ts";
import type { Log } from "../../lib/base/log.ts";
import { err, ok, type Result } from "../../lib/base/result.ts";
import { applicationError, type RpcError, rpcErrorOf } from "../../lib/netconf/rpc-error.ts";
import type { ConfigData } from "../../lib/service/provider.ts";
import type { Applier, ApplyOutcome } from "../applier.ts";

/** Without applier it is only stored. `store` makes it durable and visible. */
export async function applyPlan(
  applier: Applier | undefined,
  data: ConfigData,
  store: () => Promise<void>,
  log: Log,
): Promise<Result<ApplyOutcome, RpcError>> {
  const transactionId = randomUUID();
  try {
    const prepared = await applier?.prepare(transactionId, data);
    if (prepared?.ok === false) {
      const { path, message } = prepared.error;
      return err(applicationError("operation-failed", message, path === "" ? {} : { path }));
    }
    const outcome = await applier?.commit(transactionId);
    await store();
    return ok(outcome ?? { late: [] });
  } catch (error) {
    log.warn("A transaction failed", { transactionId, reason: describeError(error) });
    await applier?.abort(transactionId).catch((cause: unknown) => {
      // The applier gets running again as soon as it can be reached.
      log.warn("A transaction could not be aborted", { reason: describeError(cause) });
    });
    return err(rpcErrorOf(error));
  }
}
