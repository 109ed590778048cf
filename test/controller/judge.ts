/** Asks authoriseFlow() about a flow in the small world. */
import { authoriseFlow } from "../../src/controller/authorise.ts";
import type { OffloadFlow } from "../../src/offload-protocol/messages.ts";
import { CAPABILITIES, World } from "./world.ts";

const world = new World();

/** Returns "granted" or the reason. */
export function judge(flow: OffloadFlow, vm = "red/gateway", capabilities = CAPABILITIES): string {
  const result = authoriseFlow(
    flow,
    world.vm(vm).vm,
    (segmentId, mac) => world.core.locations.portOf(segmentId, mac),
    capabilities,
  );
  return result.ok ? "granted" : result.error.reason;
}

export type DeepPatch = Readonly<Record<string, unknown>>;

/** Returns a deep copy with some members changed. */
export function patch<T>(base: T, change: DeepPatch): T {
  const result: Record<string, unknown> = { ...(base as Record<string, unknown>) };
  for (const [name, value] of Object.entries(change)) {
    const isNested = typeof value === "object" && value !== null && !Array.isArray(value);
    result[name] = isNested ? patch(result[name] ?? {}, value as DeepPatch) : value;
  }
  return result as T;
}
