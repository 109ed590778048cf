/** Two session machines over a byte pipe that loses and tears what a crash loses and tears. */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  encodeMarker,
  encodeMessage,
  FrameDecoder,
  type SessionId,
} from "../../src/offload-protocol/framing.ts";
import {
  SESSION_STOPPED,
  type SessionEvent,
  type SessionState,
  stepSession,
} from "../../src/offload-protocol/session.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";

/** Random cases; `flowlift test --full` runs many more. */
const RUNS = campaignSize(300, 10_000);

type SideName = "vm" | "controller";

interface Side {
  state: SessionState;
  decoder: FrameDecoder;
  /** Data messages sent in the present session. */
  sent: number;
  /** Data messages received in the present session. */
  received: number;
}

class Simulation {
  nowMs = 0;
  drawn = 0;
  delivered = 0;
  readonly sides: Record<SideName, Side> = { vm: newSide(), controller: newSide() };
  /** Bytes on their way to each side. */
  readonly pipe: Record<SideName, Buffer> = { vm: Buffer.alloc(0), controller: Buffer.alloc(0) };

  constructor() {
    this.step("vm", { kind: "start" });
    this.step("controller", { kind: "start" });
  }

  step(name: SideName, event: SessionEvent): void {
    const side = this.sides[name];
    const step = stepSession(side.state, event, {
      nowMs: this.nowMs,
      drawSessionId: () => (++this.drawn).toString(16).padStart(16, "0") as SessionId,
      ...(name === "controller" ? { netconfSessionId: 1 } : {}),
    });
    side.state = step.state;
    for (const effect of step.effects) {
      if (effect.kind === "send-marker") this.write(name, encodeMarker(effect.sessionId));
      else if (effect.kind === "send-hello") this.write(name, encodeMessage(effect.bytes));
      else if (effect.kind === "opened") {
        side.sent = 0;
        side.received = 0;
      } else if (effect.kind === "deliver") this.#check(name, effect.bytes.toString());
    }
  }

  /** Law: only messages of exactly this session arrive, in order and without a gap. */
  #check(name: SideName, text: string): void {
    const side = this.sides[name];
    expect(text).toBe(`${side.state.peer}>${side.state.own}:${side.received}`);
    side.received++;
    this.delivered++;
  }

  write(from: SideName, bytes: Buffer): void {
    const to = other(from);
    this.pipe[to] = Buffer.concat([this.pipe[to], bytes]);
  }

  send(name: SideName): void {
    const side = this.sides[name];
    if (side.state.phase !== "open") return;
    const text = `${side.state.own}>${side.state.peer}:${side.sent}`;
    side.sent++;
    this.write(name, encodeMessage(text));
  }

  deliver(to: SideName, bytes: number): void {
    const piece = this.pipe[to].subarray(0, bytes);
    this.pipe[to] = this.pipe[to].subarray(piece.length);
    for (const item of this.sides[to].decoder.push(piece)) this.step(to, item);
  }

  /** Part of what it had written is lost; part of what was to come to it too. */
  crash(name: SideName, lostOut: number, lostIn: number): void {
    const to = other(name);
    this.pipe[to] = this.pipe[to].subarray(0, Math.max(0, this.pipe[to].length - lostOut));
    this.pipe[name] = this.pipe[name].subarray(lostIn);
    this.sides[name] = newSide();
    this.step(name, { kind: "start" });
  }

  /** What the bridge held is lost; the controller sees a new call. */
  crashBridge(lostUp: number, lostDown: number): void {
    this.pipe.controller = this.pipe.controller.subarray(lostUp);
    const down = this.pipe.vm;
    this.pipe.vm = down.subarray(0, Math.max(0, down.length - lostDown));
    this.sides.controller.decoder.reset();
    this.step("controller", { kind: "stop" });
    this.step("controller", { kind: "start" });
  }

  advance(ms: number): void {
    this.nowMs += ms;
    this.step("vm", { kind: "tick" });
    this.step("controller", { kind: "tick" });
  }

  get agreed(): boolean {
    const { vm, controller } = this.sides;
    return (
      vm.state.phase === "open" &&
      controller.state.phase === "open" &&
      vm.state.own === controller.state.peer &&
      vm.state.peer === controller.state.own
    );
  }

  /** Delivers everything, and lets time pass, until both agree; returns whether they do. */
  settle(): boolean {
    for (let round = 0; round < 60; round++) {
      for (let turn = 0; turn < 20; turn++) {
        this.deliver("vm", Number.POSITIVE_INFINITY);
        this.deliver("controller", Number.POSITIVE_INFINITY);
      }
      if (this.agreed && this.pipe.vm.length + this.pipe.controller.length === 0) return true;
      this.advance(1000);
    }
    return false;
  }
}

function newSide(): Side {
  return { state: SESSION_STOPPED, decoder: new FrameDecoder(), sent: 0, received: 0 };
}

function other(name: SideName): SideName {
  return name === "vm" ? "controller" : "vm";
}

const sideName = fc.constantFrom<SideName>("vm", "controller");
/** Enough to tear a hello, a chunk head, a marker. */
const someBytes = fc.oneof(fc.nat(40), fc.nat(900));
const action: fc.Arbitrary<(simulation: Simulation) => void> = fc.oneof(
  {
    weight: 4,
    arbitrary: sideName.map((to) => (s: Simulation) => s.deliver(to, Number.POSITIVE_INFINITY)),
  },
  {
    weight: 6,
    arbitrary: fc.tuple(sideName, someBytes).map(
      ([to, n]) =>
        (s: Simulation) =>
          s.deliver(to, n),
    ),
  },
  { weight: 6, arbitrary: sideName.map((name) => (s: Simulation) => s.send(name)) },
  {
    weight: 1,
    arbitrary: fc.tuple(sideName, someBytes, someBytes).map(
      ([name, out, into]) =>
        (s: Simulation) =>
          s.crash(name, out, into),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(someBytes, someBytes).map(
      ([up, down]) =>
        (s: Simulation) =>
          s.crashBridge(up, down),
    ),
  },
  { weight: 1, arbitrary: fc.nat(9000).map((ms) => (s: Simulation) => s.advance(ms)) },
);

test(
  `two machines agree after any crashes, and no message crosses sessions (${RUNS} cases)`,
  campaignOptions(),
  () => {
    let amidCrashes = 0;
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.array(action, { minLength: 20, maxLength: 80, size: "max" }),
        (isOpen, actions) => {
          const simulation = new Simulation();
          if (isOpen) expect(simulation.settle()).toBe(true);
          for (const act of actions) act(simulation);
          amidCrashes += simulation.delivered;
          expect(simulation.settle()).toBe(true);
          simulation.send("vm");
          simulation.send("controller");
          const before = simulation.delivered;
          expect(simulation.settle()).toBe(true);
          expect(simulation.delivered).toBe(before + 2);
        },
      ),
      { numRuns: RUNS },
    );
    expect(amidCrashes).toBeGreaterThan(300);
  },
);

test("two machines that start together open without a retry", () => {
  const simulation = new Simulation();
  expect(simulation.settle()).toBe(true);
  expect(simulation.nowMs).toBe(0);
});

test("a virtual machine that reboots in the middle of a chunk opens a new session", () => {
  const simulation = new Simulation();
  simulation.settle();
  simulation.send("vm");
  simulation.crash("vm", 9, 0);
  expect(simulation.settle()).toBe(true);
  expect(simulation.nowMs).toBe(0);
});
