/** A controller at the other end of the serial port: the protocol's own session and codec around the fake. */
import { createServer, type Server, type Socket } from "node:net";
import {
  decodeRpc,
  encodeNotification,
  encodeReply,
} from "../../src/offload-protocol/codec-xml.ts";
import {
  encodeMarker,
  encodeMessage,
  FrameDecoder,
  type SessionId,
} from "../../src/offload-protocol/framing.ts";
import type {
  FlowEvent,
  OffloadNotification,
  OffloadRequest,
} from "../../src/offload-protocol/messages.ts";
import {
  SESSION_STOPPED,
  type SessionEvent,
  stepSession,
} from "../../src/offload-protocol/session.ts";
import { FakeController } from "../offload/fake-controller.ts";

export class OffloadPeer {
  readonly controller: FakeController;
  readonly #server: Server;
  #socket: Socket | undefined;
  #session = SESSION_STOPPED;
  #decoder = new FrameDecoder();
  #drawn = 0;
  /** Answers nothing while true. */
  silent = false;

  constructor(path: string, controller = new FakeController()) {
    this.controller = controller;
    this.#server = createServer((socket) => this.#take(socket)).listen(path);
  }

  close(): void {
    this.#socket?.destroy();
    this.#server.close();
  }

  notify(notification: OffloadNotification): void {
    const text = encodeNotification(new Date(0).toISOString(), notification);
    this.#socket?.write(encodeMessage(text));
  }

  #take(socket: Socket): void {
    this.#socket = socket;
    this.#decoder = new FrameDecoder();
    this.#step({ kind: "stop" });
    this.#step({ kind: "start" });
    socket.on("error", () => {});
    socket.on("data", (bytes: Buffer) => {
      for (const item of this.#decoder.push(bytes)) this.#step(item);
    });
  }

  #step(event: SessionEvent): void {
    const step = stepSession(this.#session, event, {
      nowMs: performance.now(),
      drawSessionId: () => (++this.#drawn).toString(16).padStart(16, "c") as SessionId,
      netconfSessionId: 1,
    });
    this.#session = step.state;
    for (const effect of step.effects) {
      if (effect.kind === "send-marker") this.#socket?.write(encodeMarker(effect.sessionId));
      else if (effect.kind === "send-hello") this.#socket?.write(encodeMessage(effect.bytes));
      else if (effect.kind === "opened") this.#greet();
      else if (effect.kind === "deliver") this.#answer(effect.bytes);
    }
  }

  #greet(): void {
    this.notify({ kind: "credit", flows: this.controller.credit });
    const events = [...this.controller.unacknowledged];
    if (events.length > 0) this.notify({ kind: "flow-events", events });
  }

  #answer(bytes: Buffer): void {
    const rpc = decodeRpc(bytes);
    if (!rpc.ok) throw new Error(rpc.error.error.message);
    if (this.silent) return;
    const { messageId, request } = rpc.value;
    const reply = this.controller.answer(request);
    this.#socket?.write(encodeMessage(encodeReply(messageId, reply)));
    this.notify({ kind: "credit", flows: this.controller.credit });
    if (request.kind === "request-offload") this.#activate(request);
  }

  #activate(request: OffloadRequest & { kind: "request-offload" }): void {
    const events: FlowEvent[] = [];
    for (const { flowId } of request.flows) {
      const holding = this.controller.held.get(`${request.epoch}/${flowId}`);
      if (holding !== undefined) events.push(this.controller.activate(holding));
    }
    if (events.length > 0) this.notify({ kind: "flow-events", events });
  }
}
