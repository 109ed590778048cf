/**
 * What a commit would do: to the ruleset, and to the flows that live under it.
 *
 * Effect: reads conntrack. Nothing changes: flows that come and go meanwhile are counted or not.
 */
import type { ConntrackTuple } from "../lib/conntrack/entry.ts";
import type { ConntrackTable } from "../lib/conntrack/table.ts";
import type { Ruleset } from "../lib/nft/nodes.ts";
import type { TableName } from "../lib/nft/render.ts";
import { EMPTY_INVENTORY, planTransaction } from "../lib/nft/transaction.ts";
import type { ApplianceInterface, JudgeFlow } from "../lib/service/provider.ts";
import type { OffloadHandle } from "../offload/handle.ts";
import { FLOWS_TRACKED_MAX } from "../offload/limits.ts";
import { placeOfMark } from "./policy.ts";

export interface CommitPreview {
  /** Commands of nft's JSON, one on each line, with "+" or "-" before it. */
  readonly ruleset: string;
  readonly cutFlows: number;
  readonly cutOffloadedFlows: number;
}

/** Returns how two rulesets of one table differ; chains have names that follow from their content. */
export function compareRulesets(
  table: TableName,
  before: Ruleset | undefined,
  after: Ruleset,
): string {
  const old = before === undefined ? [] : listCommands(table, before);
  const next = listCommands(table, after);
  const [has, had] = [new Set(next), new Set(old)];
  return [
    ...old.filter((line) => !has.has(line)).map((line) => `- ${line}`),
    ...next.filter((line) => !had.has(line)).map((line) => `+ ${line}`),
  ].join("\n");
}

function listCommands(table: TableName, ruleset: Ruleset): string[] {
  return planTransaction(table, EMPTY_INVENTORY, ruleset).map((command) => JSON.stringify(command));
}

/** Counts the flows that the policy forbids. */
export async function countForbidden(
  conntrack: ConntrackTable,
  judge: JudgeFlow,
  interfaces: readonly ApplianceInterface[],
  offload: OffloadHandle | undefined,
): Promise<Pick<CommitPreview, "cutFlows" | "cutOffloadedFlows">> {
  const offloaded = new Set<string>();
  for (const flow of offload?.listFlows(FLOWS_TRACKED_MAX) ?? []) {
    if (flow.state === "active") offloaded.add(formatTuple(flow.original));
  }
  let cutFlows = 0;
  let cutOffloadedFlows = 0;
  await conntrack.dump((entry) => {
    if (judge(entry, placeOfMark(entry.mark, interfaces)).allowed) return;
    cutFlows++;
    if (offloaded.has(formatTuple(entry.original))) cutOffloadedFlows++;
  });
  return { cutFlows, cutOffloadedFlows };
}

function formatTuple(tuple: ConntrackTuple): string {
  return JSON.stringify(tuple, (_name, value: unknown) =>
    typeof value === "bigint" ? String(value) : value,
  );
}
