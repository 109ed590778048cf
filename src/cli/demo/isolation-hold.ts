/**
 * Flows that a session asks for, holds and gives back.
 *
 * Effect: talks through a session. Limit: LOCATE_MS_MAX until the controller knows where the hosts are.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { FlowliftError } from "../../lib/base/errors.ts";
import type { Epoch, FlowEvent, OffloadFlow } from "../../offload-protocol/messages.ts";
import type { HostileSession } from "./hostile-session.ts";
import { makeRequest } from "./isolation-request.ts";

export const LOCATE_MS_MAX = 3000;
const RETRY_MS = 20;
/** How long a granted flow may take to become active. */
const ACTIVE_MS_MAX = 5000;

/** Requests flows that the tenant may have, and waits until all are active. Throws LAB_FAILED. */
export async function holdFlows(
  session: HostileSession,
  epoch: Epoch,
  flows: readonly OffloadFlow[],
): Promise<void> {
  const untilMs = performance.now() + LOCATE_MS_MAX;
  for (let left = flows, round = 0; left.length > 0; round++) {
    const request = { kind: "request-offload", epoch, flows: left } as const;
    const answer = await session.call(makeRequest(`hold-${epoch}-${round}`, request));
    if (answer.kind !== "request-offload") throw notGranted("the request was not understood");
    const refused = new Map(
      answer.results.flatMap((result) =>
        result.outcome === "refused" ? [[result.flowId, result.reason] as const] : [],
      ),
    );
    const final = [...refused.values()].find((reason) => reason !== "location-unknown");
    if (final !== undefined) throw notGranted(final);
    left = left.filter(({ flowId }) => refused.has(flowId));
    if (left.length > 0 && performance.now() > untilMs) throw notGranted("location-unknown");
    if (left.length > 0) await sleep(RETRY_MS);
  }
  for (const { flowId } of flows) {
    if (!(await isActivated(session, epoch, flowId))) throw notGranted("it was refused late");
  }
}

function notGranted(why: string): FlowliftError {
  return new FlowliftError("LAB_FAILED", `A probe's own flow was not granted: ${why}`);
}

/** Waits for the news about a flow that was granted; returns whether it became active. */
export async function isActivated(
  session: HostileSession,
  epoch: Epoch,
  flowId: bigint,
): Promise<boolean> {
  const find = (): FlowEvent | undefined =>
    session.events.find((event) => event.epoch === epoch && event.flowId === flowId);
  await session.until(`news of flow ${flowId}`, () => find() !== undefined, ACTIVE_MS_MAX);
  return find()?.what.kind === "activated";
}

/** Withdraws some flows, or all of an epoch; resolves when nothing of them can match a packet. */
export async function withdrawFlows(
  session: HostileSession,
  epoch: Epoch,
  flowIds: readonly bigint[] | "all",
): Promise<void> {
  if (flowIds.length === 0) return;
  const selection =
    flowIds === "all" ? ({ kind: "all" } as const) : ({ kind: "flow-ids", flowIds } as const);
  await session.call(
    makeRequest(`withdraw-${epoch}`, { kind: "withdraw-offload", epoch, selection }),
  );
}

/** Settles every event that the session was told. */
export async function acknowledgeAll(session: HostileSession): Promise<void> {
  const sequence = session.events.at(-1)?.sequence;
  if (sequence === undefined) return;
  await session.call(makeRequest("settle", { kind: "acknowledge-events", sequence }));
}
