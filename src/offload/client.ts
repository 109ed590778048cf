/**
 * The engine's side of the serial port: sessions, messages, and which answer belongs to which question.
 *
 * Effect: writes to the port, timers. It knows no flows.
 * Invariant: an answer of an earlier session is never delivered; `onUp` and `onDown` alternate.
 */
import type { Clock } from "../lib/base/clock.ts";
import type { Log } from "../lib/base/log.ts";
import type { SerialPort } from "../lib/serial/port.ts";
import {
  encodeMarker,
  encodeMessage,
  FrameDecoder,
  type SessionId,
} from "../offload-protocol/framing.ts";
import { codecOf, type MessageCodec } from "../offload-protocol/message-codec.ts";
import type {
  OffloadNotification,
  OffloadReply,
  OffloadRequest,
} from "../offload-protocol/messages.ts";
import {
  SESSION_STOPPED,
  type SessionEffect,
  type SessionEvent,
  type SessionState,
  stepSession,
} from "../offload-protocol/session.ts";

export interface OffloadClientHandlers {
  onUp(): void;
  onDown(): void;
  onReply(requestId: number, reply: OffloadReply): void;
  /** The controller answered with an rpc-error. */
  onFailed(requestId: number): void;
  onNotification(notification: OffloadNotification): void;
}

export interface OffloadClientOptions {
  readonly port: SerialPort;
  readonly clock: Clock;
  readonly log: Log;
  drawSessionId(): SessionId;
  /** Whether CBOR is offered; used when the controller offers it too. */
  readonly offersCbor: boolean;
}

export class OffloadClient {
  readonly #options: OffloadClientOptions;
  readonly #handlers: OffloadClientHandlers;
  readonly #decoder = new FrameDecoder();
  #session: SessionState = SESSION_STOPPED;
  /** Of the session that is open. */
  #codec: MessageCodec = codecOf("xml");
  readonly #asked = new Map<string, OffloadRequest["kind"]>();
  #retryTimer: NodeJS.Timeout | undefined;

  constructor(options: OffloadClientOptions, handlers: OffloadClientHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    const { port } = options;
    port.onUp = () => {
      this.#decoder.reset();
      this.#step({ kind: "start" });
    };
    port.onDown = () => this.#step({ kind: "stop" });
    port.onData = (bytes) => {
      for (const item of this.#decoder.push(bytes)) this.#step(item);
    };
    if (port.isUp) port.onUp();
  }

  /** How requests are written now; a caller asks it for sizes. */
  get codec(): MessageCodec {
    return this.#codec;
  }

  /** Sends a request; without a session it is dropped, and `onDown` was or will be called. */
  send(requestId: number, request: OffloadRequest): void {
    if (this.#session.phase !== "open") return;
    const messageId = String(requestId);
    this.#asked.set(messageId, request.kind);
    this.#write(encodeMessage(this.#codec.encodeRpc(messageId, request)));
  }

  /** Ends the session and begins a new one. */
  reset(why: string): void {
    this.#options.log.warn("the offload session starts anew", { why });
    this.#step({ kind: "lost" });
  }

  async close(): Promise<void> {
    this.#step({ kind: "stop" });
    clearTimeout(this.#retryTimer);
    await this.#options.port.close();
  }

  #step(event: SessionEvent): void {
    const { clock, drawSessionId, offersCbor } = this.#options;
    const nowMs = clock.nowMs();
    const step = stepSession(this.#session, event, { nowMs, drawSessionId, offersCbor });
    this.#session = step.state;
    for (const effect of step.effects) this.#carryOut(effect);
    this.#armRetry();
  }

  #carryOut(effect: SessionEffect): void {
    switch (effect.kind) {
      case "send-marker":
        this.#write(encodeMarker(effect.sessionId));
        break;
      case "send-hello":
        this.#write(encodeMessage(effect.bytes));
        break;
      case "opened":
        this.#codec = codecOf(effect.encoding);
        this.#options.log.info("the offload session is open", { encoding: effect.encoding });
        this.#handlers.onUp();
        break;
      case "closed":
        this.#asked.clear();
        this.#options.log.info("the offload session is over", { why: effect.why });
        this.#handlers.onDown();
        break;
      case "deliver":
        this.#deliver(effect.bytes);
        break;
    }
  }

  #deliver(bytes: Buffer): void {
    const message = this.#codec.decodeServerMessage(bytes, (messageId) =>
      this.#asked.get(messageId),
    );
    if (!message.ok) {
      this.reset(`a message cannot be read: ${message.error.message}`);
      return;
    }
    const { value } = message;
    if (value.kind === "notification") {
      this.#handlers.onNotification(value.notification);
      return;
    }
    if (value.messageId === undefined) {
      this.reset("the controller could not read a message's id");
      return;
    }
    this.#asked.delete(value.messageId);
    const requestId = Number(value.messageId);
    if (value.kind === "reply") this.#handlers.onReply(requestId, value.reply);
    else {
      const why = value.errors.map((error) => error.message ?? error.tag).join("; ");
      this.#options.log.warn("the controller refused a message", { why });
      this.#handlers.onFailed(requestId);
    }
  }

  /** A queue that is full has lost this message, and so the session. */
  #write(bytes: Uint8Array): void {
    if (this.#options.port.write(bytes) || this.#session.phase !== "open") return;
    setImmediate(() => this.#step({ kind: "lost" }));
  }

  #armRetry(): void {
    clearTimeout(this.#retryTimer);
    const { retryAtMs } = this.#session;
    if (retryAtMs === undefined) return;
    const delayMs = Math.max(0, retryAtMs - this.#options.clock.nowMs());
    this.#retryTimer = setTimeout(() => this.#step({ kind: "tick" }), delayMs);
  }
}
