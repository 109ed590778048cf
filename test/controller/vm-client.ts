/** The virtual machine's side of the protocol for tests, over a bridge's call or a serial socket. */
import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { Client, credentials, status } from "@grpc/grpc-js";
import type { TlsMaterial } from "../../src/lib/pki/store.ts";
import {
  decodeServerMessage,
  encodeRpc,
  type ServerMessage,
} from "../../src/offload-protocol/codec-xml.ts";
import {
  encodeMarker,
  encodeMessage,
  FrameDecoder,
  type SessionId,
} from "../../src/offload-protocol/framing.ts";
import type {
  FlowEvent,
  FlowStatistic,
  OffloadReply,
  OffloadRequest,
} from "../../src/offload-protocol/messages.ts";
import {
  SESSION_STOPPED,
  type SessionEvent,
  type SessionState,
  stepSession,
} from "../../src/offload-protocol/session.ts";
import {
  ATTACH_PATH,
  stampMetadata,
  UPSTREAM_CHANNEL_OPTIONS,
  UPSTREAM_SERVICE,
  type UpstreamFrame,
} from "../../src/offload-protocol/upstream.ts";

/** Carries frames to the controller. */
export interface VmPort {
  send(frame: UpstreamFrame): void;
  close(): void;
  onFrame: (frame: UpstreamFrame) => void;
  onEnd: (why: string) => void;
}

/** Connects like a bridge does. */
export function connectBridge(
  address: string,
  tls: TlsMaterial | undefined,
  stamp: { readonly tenant: string; readonly vm: string },
): VmPort {
  const identity =
    tls === undefined
      ? credentials.createInsecure()
      : credentials.createSsl(
          Buffer.from(tls.authority),
          Buffer.from(tls.key),
          Buffer.from(tls.certificate),
        );
  const client = new Client(address, identity, {
    ...UPSTREAM_CHANNEL_OPTIONS,
    ...(tls === undefined ? {} : { "grpc.ssl_target_name_override": tls.controllerName }),
  });
  const attach = UPSTREAM_SERVICE["attach"];
  if (attach === undefined) throw new Error("the service has attach");
  const call = client.makeBidiStreamRequest<UpstreamFrame, UpstreamFrame>(
    ATTACH_PATH,
    attach.requestSerialize,
    attach.responseDeserialize,
    stampMetadata(stamp),
  );
  const port: VmPort = {
    send: (frame) => void call.write(frame),
    close: () => {
      call.cancel();
      client.close();
    },
    onFrame: () => {},
    onEnd: () => {},
  };
  call.on("data", (frame: UpstreamFrame) => port.onFrame(frame));
  call.on("error", () => {}); // The status says it too.
  call.on("status", ({ code, details }) => port.onEnd(`${status[code]} ${details}`));
  return port;
}

/** Connects to a mock's serial socket. */
export function connectSerial(path: string): Promise<VmPort> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const decoder = new FrameDecoder();
    const port: VmPort = {
      send: (frame) => {
        if (frame.kind === "marker") socket.write(encodeMarker(frame.sessionId));
        if (frame.kind === "message") socket.write(encodeMessage(frame.bytes));
      },
      close: () => socket.destroy(),
      onFrame: () => {},
      onEnd: () => {},
    };
    socket.on("data", (bytes: Buffer) => {
      for (const item of decoder.push(bytes)) if (item.kind !== "violation") port.onFrame(item);
    });
    socket.once("error", reject);
    socket.on("close", () => port.onEnd("close"));
    socket.once("connect", () => {
      socket.removeListener("error", reject);
      socket.on("error", () => {});
      resolve(port);
    });
  });
}

export type CallResult = OffloadReply | (ServerMessage & { readonly kind: "error" });

/** One virtual machine. */
export class VmClient {
  readonly #port: VmPort;
  #session: SessionState = SESSION_STOPPED;
  #nextId = 1;
  readonly #pending = new Map<
    string,
    { readonly kind: OffloadRequest["kind"]; readonly resolve: (result: CallResult) => void }
  >();
  readonly events: FlowEvent[] = [];
  readonly statistics: FlowStatistic[] = [];
  credit: number | undefined;
  ended: string | undefined;
  decodeFailures: string[] = [];
  onEvent: (event: FlowEvent) => void = () => {};
  readonly #waiting: { readonly until: () => boolean; readonly resolve: () => void }[] = [];

  constructor(port: VmPort) {
    this.#port = port;
    port.onFrame = (frame) => this.#take(frame);
    port.onEnd = (why) => {
      this.ended = why;
      this.#wake();
    };
    port.send({ kind: "serial-up" });
    this.#step({ kind: "start" });
  }

  get isOpen(): boolean {
    return this.#session.phase === "open";
  }

  /** Resolves when the condition holds; looked at after each frame. */
  until(condition: () => boolean, timeoutMs = 10_000): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`not within ${timeoutMs} ms: ${condition}`)),
        timeoutMs,
      );
      this.#waiting.push({
        until: condition,
        resolve: () => {
          clearTimeout(timer);
          resolve();
        },
      });
    });
  }

  call(request: OffloadRequest): Promise<CallResult> {
    const messageId = String(this.#nextId++);
    return this.callText(messageId, request.kind, encodeRpc(messageId, request));
  }

  /** Sends a request written by hand; the answer is awaited under its message-id. */
  callText(messageId: string, kind: OffloadRequest["kind"], text: string): Promise<CallResult> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const failures = this.decodeFailures.join("; ");
        reject(new Error(`no answer to ${kind} ${messageId}; ${failures}`));
      }, 10_000);
      const settle = (result: CallResult): void => {
        clearTimeout(timer);
        resolve(result);
      };
      this.#pending.set(messageId, { kind, resolve: settle });
      this.sendText(text);
    });
  }

  sendText(text: string): void {
    this.#port.send({ kind: "message", bytes: Buffer.from(text) });
  }

  close(): void {
    this.#port.close();
  }

  #take(frame: UpstreamFrame): void {
    if (frame.kind === "marker") this.#step(frame);
    else if (frame.kind === "message") {
      this.#step({ kind: "message", bytes: Buffer.from(frame.bytes) });
    }
    this.#wake();
  }

  #wake(): void {
    for (const waiter of [...this.#waiting]) {
      if (!waiter.until()) continue;
      this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
      waiter.resolve();
    }
  }

  #step(event: SessionEvent): void {
    const { state, effects } = stepSession(this.#session, event, {
      nowMs: performance.now(),
      drawSessionId: () => randomBytes(8).toString("hex") as SessionId,
    });
    this.#session = state;
    for (const effect of effects) {
      if (effect.kind === "send-marker") {
        this.#port.send({ kind: "marker", sessionId: effect.sessionId });
      } else if (effect.kind === "send-hello") {
        this.#port.send({ kind: "message", bytes: effect.bytes });
      } else if (effect.kind === "deliver") this.#deliver(effect.bytes);
    }
  }

  #deliver(bytes: Buffer): void {
    const message = decodeServerMessage(bytes, (id) => this.#pending.get(id)?.kind);
    if (!message.ok) {
      this.decodeFailures.push(message.error.message);
      return;
    }
    const { value } = message;
    if (value.kind === "notification") {
      const { notification } = value;
      if (notification.kind === "credit") this.credit = notification.flows;
      else if (notification.kind === "flow-statistics") this.statistics.push(...notification.flows);
      else {
        this.events.push(...notification.events);
        for (const event of notification.events) this.onEvent(event);
      }
      return;
    }
    const pending = this.#pending.get(value.messageId ?? "");
    this.#pending.delete(value.messageId ?? "");
    pending?.resolve(value.kind === "reply" ? value.reply : value);
  }
}
