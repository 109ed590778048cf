/**
 * Cuts live flows that a policy forbids, on the slow path alone.
 *
 * Effect: reads and deletes conntrack entries. Stands in for the offload engine while that cannot run:
 * policy must hold without it. With nf_conntrack_tcp_loose=0 a deleted TCP flow is not picked up again, and
 * anything else is judged by the new ruleset as if it were new.
 */
import type { ConntrackEntry } from "../lib/conntrack/entry.ts";
import type { ConntrackTable } from "../lib/conntrack/table.ts";
import type { ApplianceInterface, JudgeFlow } from "../lib/service/provider.ts";
import { placeOfMark } from "./policy.ts";

/** Entries deleted by one batch. */
const DELETES_PER_BATCH = 128;

/** Returns how many flows were cut. */
export async function cutForbiddenFlows(
  conntrack: ConntrackTable,
  judge: JudgeFlow,
  interfaces: readonly ApplianceInterface[],
): Promise<number> {
  const forbidden: ConntrackEntry[] = [];
  await conntrack.dump((entry) => {
    if (!judge(entry, placeOfMark(entry.mark, interfaces)).allowed) forbidden.push(entry);
  });
  for (let at = 0; at < forbidden.length; at += DELETES_PER_BATCH) {
    conntrack.delete(forbidden.slice(at, at + DELETES_PER_BATCH));
  }
  return forbidden.length;
}
