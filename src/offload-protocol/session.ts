/**
 * The session handshake of the serial port, the same machine on both sides.
 *
 *            start, lost, retry              marker(p), p new           hello(own = p, echo = mine)
 *   stopped ────────────────► wait-marker ───────────────► wait-hello ─────────────────────► open
 *      ▲                      send M(mine)     send M(mine), H(mine, p)                        │
 *      │ stop                       marker(p), p new, or lost: draw mine anew, send M, H  ◄────┘
 *
 * Pure: (state, event, surroundings) → (state, effects). Source: docs/offload-binding.md §5.
 * Invariant: nothing is delivered before the peer's hello echoed our current id, so nothing of an
 * older session, however long it lay in a queue, is taken for this one's.
 * Limit: one retry per back-off step, RETRY_MIN_MS doubling to RETRY_MAX_MS.
 */
import type { FrameItem, SessionId } from "./framing.ts";
import { decodeHello, type Encoding, encodeHello, type ReceivedHello } from "./hello.ts";

export const RETRY_MIN_MS = 1_000;
export const RETRY_MAX_MS = 8_000;

export interface SessionCounters {
  /** Hellos that echoed another id than ours: of older sessions. */
  readonly staleHellos: number;
  /** Hellos that could not be read or lack a capability. */
  readonly refusedHellos: number;
  /** Hellos of the session that is open already. */
  readonly repeatedHellos: number;
  /** Messages dropped because no hello had been accepted. */
  readonly droppedMessages: number;
  readonly opened: number;
}

export interface SessionState {
  readonly phase: "stopped" | "wait-marker" | "wait-hello" | "open";
  /** What we call the session; drawn anew for each. */
  readonly own: SessionId | undefined;
  /** What the peer calls it: its newest marker. */
  readonly peer: SessionId | undefined;
  /** The first message after a marker is a hello. */
  readonly expectHello: boolean;
  readonly retries: number;
  /** When to send a `tick`; undefined when there is nothing to repeat. */
  readonly retryAtMs: number | undefined;
  readonly counters: SessionCounters;
}

export type SessionEvent =
  /** The port has a peer, or might have. */
  | { readonly kind: "start" }
  | FrameItem
  /** Something of the stream was lost: a full queue, a limit at the bridge, a request without answer. */
  | { readonly kind: "lost" }
  | { readonly kind: "tick" }
  /** The port has no peer any more. */
  | { readonly kind: "stop" };

export type SessionEffect =
  | { readonly kind: "send-marker"; readonly sessionId: SessionId }
  /** A hello, not yet framed. */
  | { readonly kind: "send-hello"; readonly bytes: Buffer }
  | {
      readonly kind: "opened";
      readonly own: SessionId;
      readonly hello: ReceivedHello;
      /** CBOR when both sides offer it. */
      readonly encoding: Encoding;
    }
  | { readonly kind: "deliver"; readonly bytes: Buffer }
  /** The session that was open is over; answers that were awaited will not come. */
  | { readonly kind: "closed"; readonly why: "peer-restarted" | "lost" | "stopped" };

/** What a step needs from outside. */
export interface SessionSurroundings {
  readonly nowMs: number;
  drawSessionId(): SessionId;
  /** Given by the controller only: its NETCONF session-id. */
  readonly netconfSessionId?: number;
  /** Whether our hellos offer CBOR; the same for all steps. Default: XML alone. */
  readonly offersCbor?: boolean;
}

export interface SessionStep {
  readonly state: SessionState;
  readonly effects: readonly SessionEffect[];
}

const NO_COUNTERS: SessionCounters = {
  staleHellos: 0,
  refusedHellos: 0,
  repeatedHellos: 0,
  droppedMessages: 0,
  opened: 0,
};

export const SESSION_STOPPED: SessionState = {
  phase: "stopped",
  own: undefined,
  peer: undefined,
  expectHello: false,
  retries: 0,
  retryAtMs: undefined,
  counters: NO_COUNTERS,
};

/** Returns the next state and what to do. A violation counts as lost. */
export function stepSession(
  state: SessionState,
  event: SessionEvent,
  around: SessionSurroundings,
): SessionStep {
  if (state.phase === "stopped" && event.kind !== "start") return { state, effects: [] };
  switch (event.kind) {
    case "start":
      return start(state, around);
    case "marker":
      return takeMarker(state, event.sessionId, around);
    case "message":
      return takeMessage(state, event.bytes, around);
    case "violation":
    case "lost":
      return state.phase === "open"
        ? announce(state, around, [{ kind: "closed", why: "lost" }])
        : { state: { ...state, expectHello: false }, effects: [] };
    case "tick":
      return takeTick(state, around);
    case "stop":
      return {
        state: { ...SESSION_STOPPED, counters: state.counters },
        effects: state.phase === "open" ? [{ kind: "closed", why: "stopped" }] : [],
      };
  }
}

function start(state: SessionState, around: SessionSurroundings): SessionStep {
  const closed: SessionEffect[] =
    state.phase === "open" ? [{ kind: "closed", why: "stopped" }] : [];
  const fresh: SessionState = { ...SESSION_STOPPED, counters: state.counters };
  return announce(fresh, around, closed);
}

/** Draws an own id, says it, and says hello too when the peer's id is known. */
function announce(
  state: SessionState,
  around: SessionSurroundings,
  before: readonly SessionEffect[],
): SessionStep {
  const own = around.drawSessionId();
  const retries = state.phase === "open" ? 0 : state.retries;
  const next: SessionState = {
    ...state,
    phase: state.peer === undefined ? "wait-marker" : "wait-hello",
    own,
    expectHello: false,
    retries,
    retryAtMs: around.nowMs + retryDelayMs(retries),
  };
  return { state: next, effects: [...before, ...greeting(own, state.peer, around)] };
}

function greeting(
  own: SessionId,
  peer: SessionId | undefined,
  around: SessionSurroundings,
): SessionEffect[] {
  const marker: SessionEffect = { kind: "send-marker", sessionId: own };
  if (peer === undefined) return [marker];
  const id = around.netconfSessionId;
  const hello = {
    own,
    echo: peer,
    offersCbor: around.offersCbor ?? false,
    ...(id === undefined ? {} : { netconfSessionId: id }),
  };
  return [marker, { kind: "send-hello", bytes: encodeHello(hello) }];
}

/** Returns how long to wait before retry number `retries`. */
export function retryDelayMs(retries: number): number {
  return Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(retries, 16));
}

function takeMarker(
  state: SessionState,
  peer: SessionId,
  around: SessionSurroundings,
): SessionStep {
  if (peer === state.peer) return { state: { ...state, expectHello: true }, effects: [] };
  if (state.phase === "open" || state.own === undefined) {
    const step = announce({ ...state, peer }, around, [{ kind: "closed", why: "peer-restarted" }]);
    return { ...step, state: { ...step.state, expectHello: true } };
  }
  return {
    state: { ...state, phase: "wait-hello", peer, expectHello: true },
    effects: greeting(state.own, peer, around),
  };
}

function takeMessage(state: SessionState, bytes: Buffer, around: SessionSurroundings): SessionStep {
  const next: SessionState = { ...state, expectHello: false };
  if (state.phase === "open") {
    return state.expectHello
      ? { state: count(next, "repeatedHellos"), effects: [] }
      : { state, effects: [{ kind: "deliver", bytes }] };
  }
  if (!state.expectHello) return { state: count(next, "droppedMessages"), effects: [] };
  const hello = decodeHello(bytes);
  if (!hello.ok) return { state: count(next, "refusedHellos"), effects: [] };
  if (hello.value.echo !== state.own || hello.value.own !== state.peer) {
    return { state: count(next, "staleHellos"), effects: [] };
  }
  const isCbor = hello.value.offersCbor === true && around.offersCbor === true;
  const encoding: Encoding = isCbor ? "cbor" : "xml";
  return {
    state: { ...count(next, "opened"), phase: "open", retries: 0, retryAtMs: undefined },
    effects: [{ kind: "opened", own: state.own, hello: hello.value, encoding }],
  };
}

function takeTick(state: SessionState, around: SessionSurroundings): SessionStep {
  if (state.retryAtMs === undefined || around.nowMs < state.retryAtMs) {
    return { state, effects: [] };
  }
  // A fresh id: a peer that believes the session open must notice that we do not.
  return announce({ ...state, retries: state.retries + 1 }, around, []);
}

function count(state: SessionState, what: keyof SessionCounters): SessionState {
  return { ...state, counters: { ...state.counters, [what]: state.counters[what] + 1 } };
}
