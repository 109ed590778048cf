/**
 * One virtual machine's end of the offload protocol: frames in, frames out.
 *
 * Effect: writes to the transport it was given; everything else is the cores'. Answers are written in
 * the order of requests (but for withdrawals, which wait), then events, then statistics, then credit.
 * Limit: while the transport is full nothing but answers is written, and no request is read.
 */
import { randomBytes } from "node:crypto";
import type { Clock } from "../lib/base/clock.ts";
import type { Log } from "../lib/base/log.ts";
import { protocolError, type RpcError } from "../lib/netconf/rpc-error.ts";
import { FlowPlaces } from "../offload-protocol/cbor-decode-request.ts";
import type { SessionId } from "../offload-protocol/framing.ts";
import { codecOf, type MessageCodec } from "../offload-protocol/message-codec.ts";
import type {
  FlowStatistic,
  OffloadNotification,
  OffloadReply,
} from "../offload-protocol/messages.ts";
import {
  SESSION_STOPPED,
  type SessionEffect,
  type SessionEvent,
  type SessionState,
  stepSession,
} from "../offload-protocol/session.ts";
import { creditOf } from "./credit.ts";
import type { HostCore } from "./host-core.ts";
import type { MessageValidator } from "./message-validator.ts";
import { handleRequest, renewLease } from "./vm-requests.ts";
import type { VmState } from "./vm-state.ts";

/** Events in one notification. */
export const EVENTS_PER_MESSAGE_MAX = 1024;
/** A credit that changed is told after this time, and at once while the last one told was low. */
export const CREDIT_PAUSE_MS = 20;
export const CREDIT_LOW = 16_384;
/** Flows in one statistics notification. */
export const STATISTICS_PER_MESSAGE_MAX = 1024;

/** What carries frames to the virtual machine. */
export interface VmTransport {
  sendMarker(sessionId: SessionId): void;
  sendMessage(bytes: Uint8Array): void;
  /** False while it would only queue. */
  readonly isWritable: boolean;
}

export interface VmSessionOptions {
  readonly core: HostCore;
  readonly state: VmState;
  readonly transport: VmTransport;
  readonly validator: MessageValidator;
  readonly clock: Clock;
  readonly log: Log;
  readonly netconfSessionId: number;
  /** Whether CBOR is offered; the VM may still choose XML. */
  readonly offersCbor: boolean;
  /** Returns a token and remembers where the answer goes. */
  readonly drawToken: (answer: (reply: OffloadReply) => void) => number;
  readonly dropToken: (token: number) => void;
  /** The core has effects to carry out. */
  readonly onWork: () => void;
  readonly onRequest: (kind: string) => void;
  readonly onRpcError: (error: RpcError) => void;
}

/** Lives as long as its transport; sessions come and go in it. */
export class VmSession {
  readonly #options: VmSessionOptions;
  #session: SessionState = SESSION_STOPPED;
  /** Of the session that is open. */
  #codec: MessageCodec = codecOf("xml");
  readonly #places = new FlowPlaces();
  #isCreditDue = false;
  #creditTold = 0;
  #creditTimer: NodeJS.Timeout | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: VmSessionOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#session.phase === "open";
  }

  /** Takes what the transport brought. */
  take(event: SessionEvent): void {
    const { clock, netconfSessionId, offersCbor } = this.#options;
    const { state, effects } = stepSession(this.#session, event, {
      nowMs: clock.nowMs(),
      drawSessionId: () => randomBytes(8).toString("hex") as SessionId,
      netconfSessionId,
      offersCbor,
    });
    this.#session = state;
    for (const effect of effects) this.#carryOut(effect);
    this.#scheduleRetry();
  }

  /** The transport is gone. */
  close(): void {
    this.take({ kind: "stop" });
    clearTimeout(this.#timer);
    clearTimeout(this.#creditTimer);
  }

  /** Writes the events and the credit that wait, as far as the transport takes them. */
  flush(): void {
    const { state, transport } = this.#options;
    if (!this.isOpen) return;
    while (state.events.hasUnsent && transport.isWritable) {
      this.#notify({
        kind: "flow-events",
        events: state.events.takeUnsent(EVENTS_PER_MESSAGE_MAX),
      });
      this.#isCreditDue = true;
    }
    if (!this.#isCreditDue) return;
    if (this.#creditTold < CREDIT_LOW) this.#tellCredit();
    else this.#creditTimer ??= setTimeout(() => this.#tellCredit(), CREDIT_PAUSE_MS);
  }

  /** A busy transport gets it with the flush that follows when it drains. */
  #tellCredit(): void {
    const { state, transport, core } = this.#options;
    clearTimeout(this.#creditTimer);
    this.#creditTimer = undefined;
    if (!this.isOpen || !transport.isWritable) return;
    this.#isCreditDue = false;
    this.#creditTold = creditOf(core, state);
    this.#notify({ kind: "credit", flows: this.#creditTold });
  }

  /** Tells counters, unless the transport is busy: they may be lost. */
  tellStatistics(flows: readonly FlowStatistic[]): void {
    const { transport } = this.#options;
    for (let at = 0; at < flows.length; at += STATISTICS_PER_MESSAGE_MAX) {
      if (!this.isOpen || !transport.isWritable) return;
      const part = flows.slice(at, at + STATISTICS_PER_MESSAGE_MAX);
      this.#notify({ kind: "flow-statistics", flows: part });
    }
  }

  #carryOut(effect: SessionEffect): void {
    const { transport, core, state, clock, log, onWork } = this.#options;
    switch (effect.kind) {
      case "send-marker":
        transport.sendMarker(effect.sessionId);
        return;
      case "send-hello":
        transport.sendMessage(effect.bytes);
        return;
      case "opened":
        this.#codec = codecOf(effect.encoding);
        log.info("session opened", {
          vm: state.vm.key,
          session: effect.own,
          encoding: effect.encoding,
        });
        state.isConnected = true;
        state.events.rewind();
        this.#isCreditDue = true;
        this.#creditTold = 0;
        // Whoever speaks is alive: flows of before keep their lease until it renews by itself.
        renewLease({ core, state, nowMs: clock.nowMs() });
        onWork();
        return;
      case "closed":
        state.isConnected = false;
        log.info("session closed", { vm: state.vm.key, why: effect.why });
        return;
      case "deliver":
        this.#takeMessage(effect.bytes);
    }
  }

  #takeMessage(bytes: Buffer): void {
    const { core, state, validator, clock, drawToken, dropToken, onWork, onRequest } =
      this.#options;
    const receivedMs = clock.nowMs();
    const { encoding } = this.#codec;
    const places = encoding === "cbor" ? this.#places : undefined;
    const decoded = validator.decode(bytes, encoding, places);
    if (!decoded.ok) {
      this.#refuse(decoded.error.messageId, decoded.error.error);
      return;
    }
    const { messageId, request } = decoded.value;
    onRequest(request.kind);
    const { own } = this.#session;
    const token = drawToken((reply) => {
      // A later session knows nothing of this question.
      if (this.#session.own === own && this.isOpen) this.#answer(messageId, reply);
    });
    const { flowBytesMax } = this.#codec;
    const context = { core, state, token, receivedMs, nowMs: clock.nowMs(), flowBytesMax, places };
    const outcome = handleRequest(context, request);
    if (outcome.kind !== "later") dropToken(token);
    if (outcome.kind === "reply") this.#answer(messageId, outcome.reply);
    else if (outcome.kind === "too-many") {
      this.#refuse(messageId, protocolError("resource-denied", outcome.message));
    }
    onWork();
  }

  #answer(messageId: string, reply: OffloadReply): void {
    this.#options.transport.sendMessage(this.#codec.encodeReply(messageId, reply));
    if (reply.kind !== "get-flows") this.#isCreditDue = true;
  }

  #refuse(messageId: string | undefined, error: RpcError): void {
    this.#options.onRpcError(error);
    this.#options.transport.sendMessage(this.#codec.encodeErrorReply(messageId, [error]));
  }

  #notify(notification: OffloadNotification): void {
    const eventTime = new Date().toISOString();
    this.#options.transport.sendMessage(this.#codec.encodeNotification(eventTime, notification));
  }

  #scheduleRetry(): void {
    clearTimeout(this.#timer);
    const { retryAtMs } = this.#session;
    if (retryAtMs === undefined) return;
    const delayMs = Math.max(1, Math.ceil(retryAtMs - this.#options.clock.nowMs()));
    this.#timer = setTimeout(() => this.take({ kind: "tick" }), delayMs);
  }
}
