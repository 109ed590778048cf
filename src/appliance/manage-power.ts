/**
 * The operations system-restart and system-shutdown (RFC 7317 §3.5).
 *
 * Effect: asks the helper, which has them in a VM only.
 */
import { connectLocalRpc } from "../lib/base/local-rpc.ts";
import type { Log } from "../lib/base/log.ts";
import { err, ok } from "../lib/base/result.ts";
import { protocolError } from "../lib/netconf/rpc-error.ts";
import type { OperationHandler } from "../management/core/operation-types.ts";
import type { ManagementServer } from "../management/management-server.ts";
import type { PowerOperation } from "./first-boot/power-operations.ts";

const POWER_TIMEOUT_MS = 5_000;

export interface PowerOptions {
  readonly helperSocket: string;
  /** Outside of one, the machine is not the appliance's to switch off. */
  readonly isInVm: boolean;
  readonly log: Log;
}

export function registerPower(server: ManagementServer, options: PowerOptions): void {
  const { operations } = server;
  operations.register("ietf-system:system-restart", makeHandler(options, "restart"));
  operations.register("ietf-system:system-shutdown", makeHandler(options, "power-off"));
}

function makeHandler(
  { helperSocket, isInVm, log }: PowerOptions,
  operation: PowerOperation,
): OperationHandler {
  return async (session) => {
    if (!isInVm) {
      const text = "This appliance is no VM of its own; whoever started it restarts it";
      return err(protocolError("operation-not-supported", text));
    }
    const { sourceHost, username } = session;
    log.warn("The VM was asked to go down", { operation, username, sourceHost });
    const helper = await connectLocalRpc(helperSocket, {});
    try {
      await helper.call(operation, {}, POWER_TIMEOUT_MS);
    } finally {
      helper.close();
    }
    return ok(undefined);
  };
}
