/**
 * Holds a virtual machine's serial port and writes there what it is told: `node hostile.js SOCKET`.
 *
 * Effect: a Unix socket, standard input and output. Lines of JSON in: {"write": base64 of a message} and
 * {"reopen": true}; out: {"kind": "open" | "closed"} and {"kind": "message", "bytes": base64}.
 * It does the handshake and the framing, and looks into no message: whoever drives it decides every byte.
 */
import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import {
  encodeMarker,
  encodeMessage,
  FrameDecoder,
  type SessionId,
} from "../../offload-protocol/framing.ts";
import {
  SESSION_STOPPED,
  type SessionEffect,
  type SessionEvent,
  stepSession,
} from "../../offload-protocol/session.ts";

/** How often it is looked whether the handshake has to be repeated. */
const TICK_MS = 100;

interface Order {
  readonly write?: string;
  readonly reopen?: boolean;
}

const socket = connect(process.argv[2] ?? "");
const decoder = new FrameDecoder();
let session = SESSION_STOPPED;

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function take(event: SessionEvent): void {
  const step = stepSession(session, event, {
    nowMs: performance.now(),
    drawSessionId: () => randomBytes(8).toString("hex") as SessionId,
  });
  session = step.state;
  for (const effect of step.effects) carryOut(effect);
}

function carryOut(effect: SessionEffect): void {
  switch (effect.kind) {
    case "send-marker":
      socket.write(encodeMarker(effect.sessionId));
      return;
    case "send-hello":
      socket.write(encodeMessage(effect.bytes));
      return;
    case "opened":
      say({ kind: "open" });
      return;
    case "closed":
      say({ kind: "closed" });
      return;
    case "deliver":
      say({ kind: "message", bytes: effect.bytes.toString("base64") });
  }
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

socket.on("connect", () => take({ kind: "start" }));
socket.on("data", (bytes) => {
  for (const item of decoder.push(bytes)) take(item);
});
socket.on("error", (error) => fail(error.message));
socket.on("close", () => fail("the serial port was closed"));
setInterval(() => take({ kind: "tick" }), TICK_MS);

const orders = createInterface({ input: process.stdin });
orders.on("line", (line) => {
  const order = JSON.parse(line) as Order;
  if (order.write !== undefined) socket.write(encodeMessage(Buffer.from(order.write, "base64")));
  if (order.reopen === true) take({ kind: "start" });
});
orders.on("close", () => process.exit(0));
