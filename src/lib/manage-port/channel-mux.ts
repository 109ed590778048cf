/**
 * Several byte streams over one management port, on either side of it.
 *
 *          up, retry              marker(p), p new            hello(own = p, peer = mine)
 *   down ────────────► greeting ──────────────────► greeting ─────────────────────────────► open
 *     ▲    M(mine)                M(mine), H(mine, p)             │ marker(p), p new: mine anew
 *     └── down                                                    ▼ every channel ends; greeting
 *
 * Pure but for the streams it makes: bytes, time and random ids come from its owner.
 * Invariant: nothing is taken before the peer named our current id, so bytes of an earlier boot, migration or
 * relay, however long they lay in a queue, reach no channel.
 * Limit: CHANNELS_MAX at once; each has its window (channel-stream.ts).
 */
import type { Duplex } from "node:stream";
import { assert } from "../base/assert.ts";
import { ChannelStream } from "./channel-stream.ts";
import {
  encodeFrame,
  encodeMarker,
  type FrameType,
  ManageDecoder,
  type ManageItem,
} from "./frames.ts";

export const CHANNELS_MAX = 32;
export const RETRY_MIN_MS = 500;
export const RETRY_MAX_MS = 4_000;
const VERSION = 1;
const CHANNEL_MAX = 0xffff;
const NOTHING: Buffer = Buffer.alloc(0);

/** What a channel carries: the tenant's SSH, or one request to install the first key. */
export type ChannelService = "ssh" | "install-key";
const SERVICES: readonly ChannelService[] = ["ssh", "install-key"];

export interface ChannelMuxOptions {
  /** Takes all bytes, or none and returns false. */
  readonly write: (bytes: Buffer) => boolean;
  /** 16 lower-case hex digits. */
  readonly drawId: () => string;
  /** The other side opened a channel; absent: this side alone opens. */
  readonly onChannel?: (stream: Duplex, service: ChannelService) => void;
  /** A session has begun. */
  readonly onOpen?: () => void;
  /** Why the session ended, for the log. */
  readonly onClosed?: (why: string) => void;
}

export class ChannelMux {
  readonly #options: ChannelMuxOptions;
  readonly #decoder = new ManageDecoder();
  readonly #channels = new Map<number, ChannelStream>();
  #phase: "down" | "greeting" | "open" = "down";
  #own = "";
  #peer: string | undefined;
  #retries = 0;
  #retryAtMs = 0;
  #lastChannel = 0;

  constructor(options: ChannelMuxOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#phase === "open";
  }

  get channelCount(): number {
    return this.#channels.size;
  }

  /** The port has a peer, or may have. */
  up(nowMs: number): void {
    this.#endSession("the port was opened again");
    this.#peer = undefined;
    this.#retries = 0;
    this.#decoder.reset();
    this.#greet(nowMs);
  }

  /** The port has no peer. */
  down(): void {
    this.#endSession("the port has no peer");
    this.#phase = "down";
  }

  /** Time passes: a greeting without answer is repeated, with a fresh id. */
  tick(nowMs: number): void {
    if (this.#phase !== "greeting" || nowMs < this.#retryAtMs) return;
    this.#retries++;
    this.#greet(nowMs);
  }

  receive(bytes: Uint8Array, nowMs: number): void {
    if (this.#phase === "down") return;
    this.#decoder.push(bytes, (item) => this.#take(item, nowMs));
  }

  /** Opens a channel; undefined when there is no session, or there are too many. */
  open(service: ChannelService): Duplex | undefined {
    if (this.#phase !== "open" || this.#channels.size >= CHANNELS_MAX) return undefined;
    do this.#lastChannel = (this.#lastChannel % CHANNEL_MAX) + 1;
    while (this.#channels.has(this.#lastChannel));
    const stream = this.#makeChannel(this.#lastChannel);
    this.#send("open", this.#lastChannel, Buffer.from([SERVICES.indexOf(service)]));
    return stream;
  }

  #greet(nowMs: number): void {
    this.#phase = "greeting";
    this.#own = this.#options.drawId();
    this.#retryAtMs =
      nowMs + Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(this.#retries, 8));
    this.#sayGreeting();
  }

  #sayGreeting(): void {
    this.#options.write(encodeMarker(this.#own));
    if (this.#peer === undefined) return;
    const names = Buffer.from(`${this.#own}${this.#peer}`, "latin1");
    this.#options.write(encodeFrame("hello", 0, Buffer.concat([Buffer.from([VERSION]), names])));
  }

  #take(item: ManageItem, nowMs: number): void {
    if (item.kind === "marker") this.#takeMarker(item.id, nowMs);
    else if (item.kind === "violation") this.#lose(item.what, nowMs);
    else if (item.type === "hello") this.#takeHello(item.payload);
    else if (this.#phase === "open") this.#takeFrame(item.type, item.channel, item.payload, nowMs);
  }

  #takeMarker(id: string, nowMs: number): void {
    if (id === this.#peer) return;
    this.#peer = id;
    if (this.#phase !== "open") {
      this.#sayGreeting();
      return;
    }
    this.#endSession("the other side began anew");
    this.#greet(nowMs);
  }

  #takeHello(payload: Buffer): void {
    const names = payload.toString("latin1", 1);
    if (payload[0] !== VERSION || names !== `${this.#peer ?? ""}${this.#own}`) return;
    if (this.#phase === "open") return;
    this.#phase = "open";
    this.#retries = 0;
    this.#options.onOpen?.();
  }

  #takeFrame(type: FrameType, id: number, payload: Buffer, nowMs: number): void {
    const channel = this.#channels.get(id);
    if (type === "open") {
      this.#takeOpen(id, payload, nowMs);
      return;
    }
    // A channel that this side has closed: the rest of it is on its way.
    if (channel === undefined) return;
    if (type === "close") {
      channel.takeClose();
      this.#channels.delete(id);
      return;
    }
    const isWindow = type === "window" && payload.length === 4;
    const isFine = isWindow
      ? channel.takeWindow(payload.readUInt32BE(0))
      : type === "data" && channel.takeData(payload);
    if (!isFine) this.#lose("a channel's window was not kept", nowMs);
  }

  #takeOpen(id: number, payload: Buffer, nowMs: number): void {
    const service = SERVICES[payload[0] ?? SERVICES.length];
    const { onChannel } = this.#options;
    if (onChannel === undefined || this.#channels.has(id)) {
      this.#lose("a channel was opened that may not be", nowMs);
      return;
    }
    if (service === undefined || this.#channels.size >= CHANNELS_MAX) {
      this.#send("close", id, NOTHING);
      return;
    }
    onChannel(this.#makeChannel(id), service);
  }

  #makeChannel(id: number): ChannelStream {
    assert(!this.#channels.has(id), "a channel's number is free");
    const stream: ChannelStream = new ChannelStream({
      sendData: (bytes) => this.#sendFor(stream, id, "data", bytes),
      sendWindow: (count) => {
        const payload = Buffer.alloc(4);
        payload.writeUInt32BE(count);
        this.#sendFor(stream, id, "window", payload);
      },
      closed: () => {
        if (this.#channels.get(id) !== stream) return;
        this.#channels.delete(id);
        this.#send("close", id, NOTHING);
      },
    });
    stream.on("error", () => {}); // The stream closes; its owner sees that.
    this.#channels.set(id, stream);
    return stream;
  }

  #sendFor(stream: ChannelStream, id: number, type: FrameType, payload: Buffer): void {
    if (this.#channels.get(id) === stream) this.#send(type, id, payload);
  }

  /** A port that takes no more has lost bytes of a session: it begins anew at the next tick. */
  #send(type: FrameType, channel: number, payload: Buffer): void {
    if (this.#phase !== "open") return;
    if (this.#options.write(encodeFrame(type, channel, payload))) return;
    this.#endSession("the port's queue is full");
    this.#phase = "greeting";
    this.#retryAtMs = 0;
  }

  #lose(why: string, nowMs: number): void {
    if (this.#phase !== "open") return;
    this.#endSession(why);
    this.#greet(nowMs);
  }

  #endSession(why: string): void {
    const wasOpen = this.#phase === "open";
    const channels = [...this.#channels.values()];
    this.#channels.clear();
    this.#phase = "greeting";
    for (const channel of channels) channel.destroy();
    if (wasOpen) this.#options.onClosed?.(why);
  }
}
