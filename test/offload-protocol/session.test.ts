import { expect, test } from "vitest";
import type { SessionId } from "../../src/offload-protocol/framing.ts";
import {
  BASE_1_1,
  decodeHello,
  encodeHello,
  HELLO_BYTES_MAX,
  OFFLOAD_CAPABILITY,
} from "../../src/offload-protocol/hello.ts";
import {
  RETRY_MAX_MS,
  RETRY_MIN_MS,
  retryDelayMs,
  SESSION_STOPPED,
  type SessionEffect,
  type SessionEvent,
  type SessionState,
  stepSession,
} from "../../src/offload-protocol/session.ts";

const PEER = "aaaaaaaaaaaaaaaa" as SessionId;
const PEER_2 = "bbbbbbbbbbbbbbbb" as SessionId;

/** The n-th id that a harness draws. */
function id(n: number): SessionId {
  return n.toString(16).padStart(16, "0") as SessionId;
}

/** One machine under test; effects as short text. */
class Harness {
  state: SessionState = SESSION_STOPPED;
  nowMs = 0;
  #drawn = 0;

  send(event: SessionEvent): string[] {
    const step = stepSession(this.state, event, {
      nowMs: this.nowMs,
      drawSessionId: () => id(++this.#drawn),
    });
    this.state = step.state;
    return step.effects.map(describeEffect);
  }

  marker(sessionId: SessionId): string[] {
    return this.send({ kind: "marker", sessionId });
  }

  hello(own: SessionId, echo: SessionId): string[] {
    return this.send({ kind: "message", bytes: encodeHello({ own, echo }) });
  }

  message(text: string): string[] {
    return this.send({ kind: "message", bytes: Buffer.from(text) });
  }

  tick(nowMs: number): string[] {
    this.nowMs = nowMs;
    return this.send({ kind: "tick" });
  }

  /** Brings the machine to `open` with own id 1 and peer PEER. */
  open(): this {
    this.send({ kind: "start" });
    this.marker(PEER);
    this.hello(PEER, id(1));
    expect(this.state.phase).toBe("open");
    return this;
  }
}

function describeEffect(effect: SessionEffect): string {
  switch (effect.kind) {
    case "send-marker":
      return `M ${effect.sessionId.slice(-1)}`;
    case "send-hello": {
      const hello = decodeHello(effect.bytes);
      return hello.ok ? `H ${hello.value.own.slice(-1)} ${hello.value.echo.slice(-1)}` : "H broken";
    }
    case "opened":
      return `opened ${effect.own.slice(-1)} ${effect.hello.own.slice(-1)}`;
    case "closed":
      return `closed ${effect.why}`;
    case "deliver":
      return `deliver ${effect.bytes.toString()}`;
  }
}

test("stepSession() does nothing before start", () => {
  const machine = new Harness();
  expect(machine.marker(PEER)).toEqual([]);
  expect(machine.message("x")).toEqual([]);
  expect(machine.state.phase).toBe("stopped");
});

test("stepSession() opens: marker out, marker in, hello out, hello in", () => {
  const machine = new Harness();
  expect(machine.send({ kind: "start" })).toEqual(["M 1"]);
  expect(machine.marker(PEER)).toEqual(["M 1", "H 1 a"]);
  expect(machine.hello(PEER, id(1))).toEqual(["opened 1 a"]);
  expect(machine.message("x")).toEqual(["deliver x"]);
});

test("stepSession() delivers nothing before the echo", () => {
  const machine = new Harness();
  machine.send({ kind: "start" });
  expect(machine.message("early")).toEqual([]);
  machine.marker(PEER);
  expect(machine.message("not a hello")).toEqual([]);
  expect(machine.message("early")).toEqual([]);
  expect(machine.state.counters).toMatchObject({ droppedMessages: 2, refusedHellos: 1 });
});

test("stepSession() drops and counts the hello of an older session", () => {
  const machine = new Harness();
  machine.send({ kind: "start" });
  machine.marker(PEER);
  expect(machine.hello(PEER, id(9))).toEqual([]);
  expect(machine.state.counters.staleHellos).toBe(1);
  expect(machine.state.phase).toBe("wait-hello");
});

test("stepSession() recovers from a stale marker and hello that lay in a queue", () => {
  const machine = new Harness();
  machine.send({ kind: "start" });
  expect(machine.marker(PEER)).toEqual(["M 1", "H 1 a"]);
  machine.hello(PEER, id(9));
  expect(machine.marker(PEER_2)).toEqual(["M 1", "H 1 b"]);
  expect(machine.hello(PEER_2, id(1))).toEqual(["opened 1 b"]);
});

test("stepSession() refuses a hello whose own id is not the newest marker", () => {
  const machine = new Harness();
  machine.send({ kind: "start" });
  machine.marker(PEER);
  expect(machine.hello(PEER_2, id(1))).toEqual([]);
  expect(machine.state.phase).toBe("wait-hello");
});

test("stepSession() refuses a hello that is not the first message after a marker", () => {
  const machine = new Harness();
  machine.send({ kind: "start" });
  machine.marker(PEER);
  machine.message("x");
  expect(machine.hello(PEER, id(1))).toEqual([]);
  expect(machine.state.phase).toBe("wait-hello");
});

test("stepSession() restarts under a fresh id when an open peer shows a new marker", () => {
  const machine = new Harness().open();
  expect(machine.marker(PEER_2)).toEqual(["closed peer-restarted", "M 2", "H 2 b"]);
  expect(machine.message("of whom?")).toEqual([]);
  machine.marker(PEER_2);
  expect(machine.hello(PEER_2, id(2))).toEqual(["opened 2 b"]);
});

test("stepSession() only forgets partial input at a repeated marker", () => {
  const machine = new Harness().open();
  expect(machine.marker(PEER)).toEqual([]);
  expect(machine.hello(PEER, id(1))).toEqual([]);
  expect(machine.state.counters.repeatedHellos).toBe(1);
  expect(machine.message("x")).toEqual(["deliver x"]);
});

test.each(["violation", "lost"] as const)("stepSession() starts anew on %s while open", (kind) => {
  const machine = new Harness().open();
  const event: SessionEvent = kind === "lost" ? { kind } : { kind, what: "framing-malformed" };
  expect(machine.send(event)).toEqual(["closed lost", "M 2", "H 2 a"]);
  expect(machine.send(event)).toEqual([]);
});

test("stepSession() repeats itself with a fresh id, later each time, until open", () => {
  const machine = new Harness();
  machine.send({ kind: "start" });
  expect(machine.tick(RETRY_MIN_MS - 1)).toEqual([]);
  expect(machine.tick(RETRY_MIN_MS)).toEqual(["M 2"]);
  expect(machine.tick(3 * RETRY_MIN_MS - 1)).toEqual([]);
  expect(machine.tick(3 * RETRY_MIN_MS)).toEqual(["M 3"]);
  machine.marker(PEER);
  expect(machine.tick(7 * RETRY_MIN_MS)).toEqual(["M 4", "H 4 a"]);
  machine.marker(PEER);
  machine.hello(PEER, id(4));
  expect(machine.state.retryAtMs).toBeUndefined();
  expect(machine.tick(1_000_000)).toEqual([]);
});

test("retryDelayMs() doubles from RETRY_MIN_MS and stays at RETRY_MAX_MS", () => {
  expect([0, 1, 2, 3, 4, 1000].map(retryDelayMs)).toEqual([1000, 2000, 4000, 8000, 8000, 8000]);
  expect(retryDelayMs(3)).toBe(RETRY_MAX_MS);
});

test("stepSession() a peer that missed our hello gets a new one when it asks again", () => {
  // We are open, the peer is not: our hello was lost. Its retry shows a fresh marker.
  const machine = new Harness().open();
  expect(machine.marker(PEER_2)).toEqual(["closed peer-restarted", "M 2", "H 2 b"]);
});

test("stepSession() ends the session at stop, and may start again", () => {
  const machine = new Harness().open();
  expect(machine.send({ kind: "stop" })).toEqual(["closed stopped"]);
  expect(machine.marker(PEER_2)).toEqual([]);
  expect(machine.send({ kind: "start" })).toEqual(["M 2"]);
});

test("decodeHello() returns what encodeHello() was given, session-id included", () => {
  const hello = { own: PEER, echo: PEER_2, netconfSessionId: 7 };
  expect(decodeHello(encodeHello(hello))).toEqual({
    ok: true,
    value: { ...hello, capabilities: [BASE_1_1, OFFLOAD_CAPABILITY] },
  });
});

test("decodeHello() refuses what lacks a capability, a session, or an id", () => {
  const good = encodeHello({ own: PEER, echo: PEER_2 }).toString();
  const kindOf = (text: string): string => {
    const result = decodeHello(Buffer.from(text));
    return result.ok ? "ok" : result.error.kind;
  };
  expect(kindOf(good)).toBe("ok");
  expect(kindOf(good.replace("base:1.1", "base:1.0"))).toBe("hello-incompatible");
  expect(kindOf(good.replace("urn:flowlift:offload?", "urn:other?"))).toBe("hello-incompatible");
  expect(kindOf(good.replace(/<session .*\/>/, ""))).toBe("hello-malformed");
  expect(kindOf(good.replace(PEER, PEER.toUpperCase()))).toBe("hello-malformed");
  expect(kindOf(good.replace("<session ", "<session-id>0</session-id><session "))).toBe(
    "hello-malformed",
  );
  expect(kindOf(good.replace("</hello>", ""))).toBe("hello-malformed");
  expect(kindOf("")).toBe("hello-malformed");
});

test("decodeHello() takes HELLO_BYTES_MAX bytes and refuses one more", () => {
  const good = encodeHello({ own: PEER, echo: PEER_2 }).toString();
  for (const [bytes, accepted] of [
    [HELLO_BYTES_MAX - 1, true],
    [HELLO_BYTES_MAX, true],
    [HELLO_BYTES_MAX + 1, false],
  ] as const) {
    expect(decodeHello(Buffer.from(good.padEnd(bytes))).ok).toBe(accepted);
  }
});

/** The encoding of a session between a machine and a peer, each of which offers CBOR or not. */
function encodingOf(weOffer: boolean, peerOffers: boolean): string | undefined {
  let state = SESSION_STOPPED;
  const step = (event: SessionEvent): readonly SessionEffect[] => {
    const around = { nowMs: 0, drawSessionId: () => id(1), offersCbor: weOffer };
    const { state: next, effects } = stepSession(state, event, around);
    state = next;
    return effects;
  };
  step({ kind: "start" });
  const greeting = step({ kind: "marker", sessionId: PEER });
  const hello = greeting.find((effect) => effect.kind === "send-hello");
  const said = hello === undefined ? undefined : decodeHello(hello.bytes);
  expect(said).toMatchObject({ ok: true });
  expect(said?.ok === true && said.value.offersCbor === true).toBe(weOffer);
  const bytes = encodeHello({ own: PEER, echo: id(1), offersCbor: peerOffers });
  const opened = step({ kind: "message", bytes }).find((effect) => effect.kind === "opened");
  return opened?.encoding;
}

test("a session is CBOR when both hellos offer it, and XML otherwise", () => {
  expect(encodingOf(true, true)).toBe("cbor");
  expect(encodingOf(true, false)).toBe("xml");
  expect(encodingOf(false, true)).toBe("xml");
  expect(encodingOf(false, false)).toBe("xml");
});
