/**
 * The life of one flow in the controller.
 *
 * Pure: (phase, event, now) → (phase, effects).
 *
 *   queued ──sent──► installing ──installed──► active ──withdraw──► quiescing ──withdrawn──► closed
 *     │ withdraw        │ refused, or withdraw                         ▲
 *     │ deadline        │ remembered until the result ─────────────────┤ (installed although unwanted)
 *     └──────► closed ◄─┘
 *
 * Invariant: every flow ends with exactly one terminal effect (`refused-late` or `closed`), and its tuples
 * stay held until then: nothing reuses a tuple or NAT port that the fast path may still match.
 * Invariant: a withdraw is never lost: it cancels a queued install and follows one under way.
 */
import type { CloseCause, FlowCounters, RefusalReason } from "../offload-protocol/messages.ts";

/** How long a granted flow may wait to be given to the driver. */
export const QUEUED_MS_MAX = 5_000;
/** How long the driver may take for an install or a withdrawal before it counts as stuck. */
export const DRIVER_ANSWER_MS_MAX = 10_000;

export type FlowPhase =
  | { readonly kind: "queued"; readonly deadlineMs: number }
  | {
      readonly kind: "installing";
      readonly deadlineMs: number;
      /** Set when the flow is not wanted any more. */
      readonly unwanted: CloseCause | undefined;
    }
  | { readonly kind: "active" }
  | {
      readonly kind: "quiescing";
      readonly cause: CloseCause;
      /** Undefined while the withdrawal waits to be given to the driver. */
      readonly deadlineMs: number | undefined;
    }
  | { readonly kind: "closed" };

export type FlowLifeEvent =
  | { readonly kind: "install-sent" }
  | { readonly kind: "installed" }
  | { readonly kind: "install-refused"; readonly reason: RefusalReason }
  | { readonly kind: "withdraw"; readonly cause: CloseCause }
  | { readonly kind: "withdraw-sent" }
  | { readonly kind: "withdrawn"; readonly counters: FlowCounters | undefined }
  /** The driver was lost and is back; `isHeld` says whether its table still has the flow. */
  | { readonly kind: "reconciled"; readonly isHeld: boolean }
  | { readonly kind: "tick" };

export type FlowLifeEffect =
  | { readonly kind: "queue-withdraw" }
  | { readonly kind: "activated" }
  | { readonly kind: "refused-late"; readonly reason: RefusalReason }
  /** Undefined counters: the driver did not know the flow, the last ones read are final. */
  | {
      readonly kind: "closed";
      readonly cause: CloseCause;
      readonly counters: FlowCounters | undefined;
    }
  /** The driver owes an answer for longer than it may. */
  | { readonly kind: "driver-stuck" };

export interface LifeStep {
  readonly phase: FlowPhase;
  readonly effects: readonly FlowLifeEffect[];
}

const CLOSED: FlowPhase = { kind: "closed" };
const ACTIVE: FlowPhase = { kind: "active" };
const NO_EFFECTS: readonly FlowLifeEffect[] = [];
const ACTIVATED: LifeStep = { phase: ACTIVE, effects: [{ kind: "activated" }] };

/** Returns the phase of a flow that was just granted. */
export function startLife(nowMs: number): FlowPhase {
  return { kind: "queued", deadlineMs: nowMs + QUEUED_MS_MAX };
}

/** Returns what the event makes of the flow. Events that mean nothing in a phase change nothing. */
export function stepLife(phase: FlowPhase, event: FlowLifeEvent, nowMs: number): LifeStep {
  switch (phase.kind) {
    case "queued":
      return stepQueued(phase, event, nowMs);
    case "installing":
      return stepInstalling(phase, event, nowMs);
    case "active":
      return stepActive(phase, event);
    case "quiescing":
      return stepQuiescing(phase, event, nowMs);
    case "closed":
      return { phase, effects: NO_EFFECTS };
  }
}

function stepQueued(
  phase: FlowPhase & { kind: "queued" },
  event: FlowLifeEvent,
  nowMs: number,
): LifeStep {
  if (event.kind === "install-sent") {
    const deadlineMs = nowMs + DRIVER_ANSWER_MS_MAX;
    return { phase: { kind: "installing", deadlineMs, unwanted: undefined }, effects: NO_EFFECTS };
  }
  if (event.kind === "withdraw") return refuseLate("cancelled");
  if (event.kind === "install-refused") return refuseLate(event.reason);
  if (event.kind === "tick" && nowMs >= phase.deadlineMs) return refuseLate("driver-failed");
  return { phase, effects: NO_EFFECTS };
}

function stepInstalling(
  phase: FlowPhase & { kind: "installing" },
  event: FlowLifeEvent,
  nowMs: number,
): LifeStep {
  if (event.kind === "withdraw") {
    return { phase: { ...phase, unwanted: phase.unwanted ?? event.cause }, effects: NO_EFFECTS };
  }
  const isHeld = event.kind === "installed" || (event.kind === "reconciled" && event.isHeld);
  if (isHeld) {
    if (phase.unwanted === undefined) {
      return ACTIVATED;
    }
    return quiesce(phase.unwanted);
  }
  if (event.kind === "reconciled" || event.kind === "install-refused") {
    if (phase.unwanted !== undefined) return refuseLate("cancelled");
    return refuseLate(event.kind === "reconciled" ? "driver-failed" : event.reason);
  }
  if (event.kind === "tick" && nowMs >= phase.deadlineMs) {
    const unwanted = phase.unwanted ?? "evicted";
    const deadlineMs = nowMs + DRIVER_ANSWER_MS_MAX;
    return { phase: { ...phase, unwanted, deadlineMs }, effects: [{ kind: "driver-stuck" }] };
  }
  return { phase, effects: NO_EFFECTS };
}

function stepActive(phase: FlowPhase & { kind: "active" }, event: FlowLifeEvent): LifeStep {
  if (event.kind === "withdraw") return quiesce(event.cause);
  if (event.kind === "reconciled" && !event.isHeld) {
    return {
      phase: CLOSED,
      effects: [{ kind: "closed", cause: "evicted", counters: undefined }],
    };
  }
  return { phase, effects: NO_EFFECTS };
}

function stepQuiescing(
  phase: FlowPhase & { kind: "quiescing" },
  event: FlowLifeEvent,
  nowMs: number,
): LifeStep {
  switch (event.kind) {
    case "withdraw-sent":
      return { phase: { ...phase, deadlineMs: nowMs + DRIVER_ANSWER_MS_MAX }, effects: NO_EFFECTS };
    case "withdrawn":
      return close(phase.cause, event.counters);
    case "reconciled":
      return event.isHeld ? quiesce(phase.cause) : close(phase.cause, undefined);
    case "tick":
      if (phase.deadlineMs === undefined || nowMs < phase.deadlineMs)
        return { phase, effects: NO_EFFECTS };
      return {
        phase: { ...phase, deadlineMs: nowMs + DRIVER_ANSWER_MS_MAX },
        effects: [{ kind: "driver-stuck" }],
      };
    default:
      return { phase, effects: NO_EFFECTS };
  }
}

function quiesce(cause: CloseCause): LifeStep {
  return {
    phase: { kind: "quiescing", cause, deadlineMs: undefined },
    effects: [{ kind: "queue-withdraw" }],
  };
}

function close(cause: CloseCause, counters: FlowCounters | undefined): LifeStep {
  return { phase: CLOSED, effects: [{ kind: "closed", cause, counters }] };
}

function refuseLate(reason: RefusalReason): LifeStep {
  return { phase: CLOSED, effects: [{ kind: "refused-late", reason }] };
}
