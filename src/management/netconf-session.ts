/**
 * One NETCONF session over a byte stream, whatever carries it.
 *
 * Effect: reads and writes the stream. Requests run one after the other; a reply must be taken
 * before the next request is looked at, so a slow reader holds up only itself.
 * Source: RFC 6241 §8.1, RFC 6242 §4. Limit: MESSAGE_BYTES_MAX, QUEUED_MESSAGES_MAX, and the times.
 */
import { EndOfMessageDecoder, encodeEndOfMessage } from "../lib/netconf/end-of-message.ts";
import {
  ChunkDecoder,
  encodeChunked,
  type FramingError,
  MANAGEMENT_LIMITS,
  type MessageDecoder,
} from "../lib/netconf/framing.ts";
import { formatHello, HELLO_BYTES_MAX, parseClientHello } from "../lib/netconf/hello.ts";
import type { RpcError } from "../lib/netconf/rpc-error.ts";
import { formatBareErrorReply, inBase10, malformedMessage } from "../lib/netconf/rpc-error.ts";
import { PRIVATE_CANDIDATE } from "./capabilities.ts";
import type { SessionEnd } from "./core/base-events.ts";
import { RpcAnswerer } from "./rpc-answerer.ts";
import type { SessionBounds, SessionOptions } from "./session-options.ts";
import type { RpcCounters, SessionEntry } from "./session-registry.ts";
import { waitForDrain } from "./stream-drain.ts";

/** Requests that wait before the stream is paused. */
export const QUEUED_MESSAGES_MAX = 16;
export const HELLO_TIMEOUT_MS = 30_000;
/** A peer that takes nothing of a reply for so long is gone. */
export const WRITE_STALL_MS = 120_000;
/** A session that asks for nothing so long ends, unless it has subscribed to events. */
export const IDLE_TIMEOUT_MS = 3_600_000;
/** Bytes of events that may wait for a peer that does not read. */
export const EVENT_BYTES_MAX: number = 4 * 1024 * 1024;
/** Bytes that may wait in a stream that is paused; SSH's window allows 2 MiB. */
export const PAUSED_BYTES_MAX: number = 4 * 1024 * 1024;

const BOUNDS: SessionBounds = {
  helloTimeoutMs: HELLO_TIMEOUT_MS,
  helloBytesMax: HELLO_BYTES_MAX,
  writeStallMs: WRITE_STALL_MS,
  pausedBytesMax: PAUSED_BYTES_MAX,
};

export class NetconfSession implements SessionEntry {
  readonly id: number;
  readonly transport: string;
  readonly username: string;
  readonly sourceHost: string;
  readonly loginTime: Date = new Date();
  readonly counters: RpcCounters = {
    inRpcs: 0,
    inBadRpcs: 0,
    outRpcErrors: 0,
    outNotifications: 0,
  };
  readonly #options: SessionOptions;
  readonly #bounds: SessionBounds;
  readonly #answerer: RpcAnswerer;
  readonly #helloTimer: NodeJS.Timeout;
  #decoder: MessageDecoder | undefined;
  #head: Buffer = Buffer.alloc(0);
  #base: "1.0" | "1.1" | undefined;
  #queue: Buffer[] = [];
  #isBusy = false;
  /** Set: the session ends when the requests before are answered. */
  #failure: FramingError | undefined;
  #isOver = false;
  #isHalfClosed = false;
  #stopWaiting: (() => void) | undefined;
  #stopEvents: (() => void) | undefined;
  #idleTimer: NodeJS.Timeout | undefined;
  #why: SessionEnd = "dropped";
  #killedBy: number | undefined;
  hasPrivateCandidate = false;
  readonly groups: readonly string[];

  constructor(options: SessionOptions) {
    this.id = options.id;
    this.transport = options.transport;
    this.username = options.username;
    this.sourceHost = options.sourceHost;
    this.groups = options.groups ?? [];
    this.#options = options;
    this.#bounds = options.bounds ?? BOUNDS;
    this.#answerer = new RpcAnswerer(this, options.handlers, options.registry, options.log);
    this.#helloTimer = setTimeout(
      () => this.#drop("No hello came in time"),
      this.#bounds.helloTimeoutMs,
    );
    options.registry.add(this);
    options.registry.inSessions++;
    const { stream } = options;
    stream.on("data", (chunk: Buffer) => this.#receive(chunk));
    stream.on("end", () => {
      this.#isHalfClosed = true; // What was asked before is still answered.
      void this.#work();
    });
    stream.on("close", () => this.#finish(false));
    stream.on("error", () => this.#finish(false));
    stream.write(encodeEndOfMessage(formatHello(options.capabilities, this.id)));
  }

  get isSubscribed(): boolean {
    return this.#stopEvents !== undefined;
  }

  subscriptionStarts(stop: () => void): void {
    if (this.#isOver) stop();
    else this.#stopEvents = stop;
  }

  subscriptionEnds(): void {
    this.#stopEvents = undefined;
    this.#startIdleTimer();
  }

  /** A peer that lets too many events wait is gone. */
  notify(text: string): void {
    if (this.#isOver) return;
    this.counters.outNotifications++;
    this.#options.registry.totals.outNotifications++;
    this.#write(text);
    const bytesMax = this.#bounds.eventBytesMax ?? EVENT_BYTES_MAX;
    if (this.#options.stream.writableLength > bytesMax) {
      this.#drop("The peer does not read its events");
    }
  }

  #startIdleTimer(): void {
    clearTimeout(this.#idleTimer);
    if (this.#isOver) return;
    this.#idleTimer = setTimeout(() => {
      if (this.isSubscribed) return;
      this.#why = "timeout";
      this.#drop("Nothing was asked for too long");
    }, this.#bounds.idleTimeoutMs ?? IDLE_TIMEOUT_MS);
  }

  terminate(reason: string, killedBy?: number): void {
    this.#options.log.info("A session was ended", { session: this.id, reason });
    this.#why = killedBy === undefined ? "other" : "killed";
    this.#killedBy = killedBy;
    this.#finish(true);
  }

  /** The peer is gone: nothing can be written any more. */
  abandon(): void {
    if (!this.#isOver) this.#options.registry.droppedSessions++;
    this.#finish(false);
  }

  #drop(reason: string): void {
    this.#options.log.warn("A session was dropped", { session: this.id, reason });
    this.#options.registry.droppedSessions++;
    this.#finish(true);
  }

  #finish(isOurs: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#helloTimer);
    clearTimeout(this.#idleTimer);
    this.#stopEvents?.();
    this.#queue = [];
    this.#stopWaiting?.();
    this.#options.registry.delete(this.id);
    // Ends after what was written; a peer that reads nothing is cut by the transport's own timer.
    if (isOurs) this.#options.stream.end();
    this.#options.stream.resume(); // What still comes is dropped; a paused stream would never close.
    this.#options.onEnd(this.#why, this.#killedBy);
  }

  #receive(chunk: Buffer): void {
    if (this.#isOver) return;
    const decoder = this.#decoder ?? this.#startDecoder(chunk);
    if (decoder === undefined) return;
    const bytes = this.#head.length > 0 ? this.#head : chunk;
    this.#head = Buffer.alloc(0);
    const pushed = decoder.push(bytes);
    this.#failure ??= decoder.failure;
    for (const message of pushed.ok ? pushed.value : []) {
      if (this.#base === undefined) this.#takeHello(message);
      else this.#queue.push(message);
      if (this.#isOver) return;
    }
    if (this.#queue.length >= QUEUED_MESSAGES_MAX) this.#options.stream.pause();
    void this.#work();
  }

  /** The hello has an end mark, but some clients send it in chunks when ours came first. */
  #startDecoder(chunk: Buffer): MessageDecoder | undefined {
    this.#head = Buffer.concat([this.#head, chunk]);
    if (this.#head.length < 2) return undefined;
    const { helloBytesMax } = this.#bounds;
    const limits = { chunkBytesMax: helloBytesMax, messageBytesMax: helloBytesMax };
    const isChunked = this.#head[0] === 10 && this.#head[1] === 35;
    this.#decoder = isChunked
      ? new ChunkDecoder(this.#options.limits ?? MANAGEMENT_LIMITS)
      : new EndOfMessageDecoder(limits, true);
    return this.#decoder;
  }

  #takeHello(message: Buffer): void {
    const hello = parseClientHello(message);
    if (!hello.ok) {
      this.#options.registry.inBadHellos++;
      this.#why = "bad-hello";
      this.#drop(hello.error.message);
      return;
    }
    clearTimeout(this.#helloTimer);
    this.#base = hello.value.base;
    this.hasPrivateCandidate = hello.value.capabilities.includes(PRIVATE_CANDIDATE);
    this.#startIdleTimer();
    this.#options.onStart?.();
    this.#options.log.info("A session began", { session: this.id, base: this.#base });
    if (this.#decoder instanceof ChunkDecoder) return;
    const rest = this.#decoder?.takeRest();
    const limits = this.#options.limits ?? MANAGEMENT_LIMITS;
    this.#decoder =
      this.#base === "1.1" ? new ChunkDecoder(limits) : new EndOfMessageDecoder(limits);
    if (rest !== undefined && rest.length > 0) this.#receive(rest);
  }

  /** The stream has no boundary any more: say why, and end (RFC 6242 §4.2). */
  #refuseFraming(problem: FramingError): void {
    if (this.#base === undefined) this.#options.registry.inBadHellos++;
    else {
      const error: RpcError =
        problem.kind === "framing-malformed"
          ? malformedMessage(problem.message)
          : { type: "transport", tag: "too-big", message: problem.message };
      this.#options.registry.totals.inBadRpcs++;
      this.counters.inBadRpcs++;
      const told = this.#base === "1.0" ? inBase10(error) : error;
      this.#write(formatBareErrorReply(told, this.#options.handlers.namespaceOf));
    }
    this.#drop(problem.message);
  }

  async #work(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    for (let message = this.#queue.shift(); message !== undefined; message = this.#queue.shift()) {
      const answer = await this.#answerer.answer(message, this.#base ?? "1.0");
      if (this.#isOver) break;
      const isTaken = this.#write(answer.text);
      this.#startIdleTimer();
      if (answer.closes) {
        this.#why = "closed";
        this.#finish(true);
        break;
      }
      if (!isTaken && !(await this.#drained())) this.#drop("The peer does not read its replies");
      if (this.#isOver) break;
      if (this.#queue.length < QUEUED_MESSAGES_MAX) this.#options.stream.resume();
    }
    this.#isBusy = false;
    if (this.#isOver) return;
    if (this.#failure !== undefined) this.#refuseFraming(this.#failure);
    else if (this.#isHalfClosed) this.#finish(true);
  }

  #write(text: string): boolean {
    const bytes = this.#base === "1.1" ? encodeChunked(text) : encodeEndOfMessage(text);
    return this.#options.stream.write(bytes);
  }

  /** Waits for the peer; false when it took nothing for WRITE_STALL_MS. */
  #drained(): Promise<boolean> {
    const { pausedBytesMax, writeStallMs } = this.#bounds;
    const { isDrained, stop } = waitForDrain(this.#options.stream, writeStallMs, pausedBytesMax);
    this.#stopWaiting = stop;
    return isDrained;
  }
}
