/**
 * Notes flow ids that a virtual machine names although it has no such flows: mistaken, or another tenant's.
 *
 * Pure. A flow of its own whose end it may not have heard of yet is no such case.
 */
import type { Epoch } from "../offload-protocol/messages.ts";
import type { CoreEffect } from "./core-effect.ts";
import { flowKey } from "./flow-key.ts";
import type { RequestContext } from "./request-context.ts";

type Operation = Extract<CoreEffect, { readonly kind: "unknown-flows" }>["operation"];

/** Counts them, and leaves one line of the audit trail for all. */
export function noteUnknown(
  { core, state }: RequestContext,
  operation: Operation,
  epoch: Epoch,
  flowIds: readonly bigint[],
): void {
  const unknown = flowIds.filter((flowId) => !state.ended.has(flowKey(epoch, flowId)));
  if (unknown.length === 0) return;
  for (const _ of unknown) state.countRefusal("no-such-flow");
  core.emit({ kind: "unknown-flows", vmKey: state.vm.key, operation, epoch, flowIds: unknown });
}
