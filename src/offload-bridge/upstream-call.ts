/**
 * One virtual machine's call to the controller, made again with back-off whenever it ends.
 *
 * Effect: a gRPC call on a shared channel. Limit: one call at a time; RETRY_MAX_MS between two.
 */
import { type ClientDuplexStream, type ServiceError, status } from "@grpc/grpc-js";
import type { Log } from "../lib/base/log.ts";
import {
  ATTACH_PATH,
  encodeFrame,
  stampMetadata,
  UPSTREAM_SERVICE,
  type UpstreamFrame,
  type VmStamp,
} from "../offload-protocol/upstream.ts";
import type { ClientSource } from "./channel.ts";

export const RETRY_MIN_MS = 100;
export const RETRY_MAX_MS = 2_000;
/** A call that lasted this long was a good one: the next attempt comes soon. */
const GOOD_CALL_MS = 5_000;

type Call = ClientDuplexStream<UpstreamFrame, UpstreamFrame>;

/** Keeps a call open. */
export class UpstreamCall {
  onOpen: () => void = () => {};
  onFrame: (frame: UpstreamFrame) => void = () => {};
  onClose: () => void = () => {};
  readonly #source: ClientSource;
  readonly #stamp: VmStamp;
  readonly #log: Log;
  #call: Call | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #lastReason = "";
  #stopped = false;

  constructor(source: ClientSource, stamp: VmStamp, log: Log) {
    this.#source = source;
    this.#stamp = stamp;
    this.#log = log;
  }

  /** Bytes that the channel has not taken yet. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  #queuedBytes = 0;

  start(): void {
    const decode = UPSTREAM_SERVICE["attach"]?.responseDeserialize as (
      bytes: Buffer,
    ) => UpstreamFrame;
    const call: Call = this.#source.client.makeBidiStreamRequest(
      ATTACH_PATH,
      encodeFrame,
      decode,
      stampMetadata(this.#stamp),
      {},
    );
    const startedMs = performance.now();
    this.#call = call;
    this.#queuedBytes = 0;
    call.on("data", (frame: UpstreamFrame) => this.onFrame(frame));
    call.on("error", (error: ServiceError) => this.#end(call, startedMs, error));
    call.on("end", () => this.#end(call, startedMs, undefined));
    this.onOpen();
  }

  send(frame: UpstreamFrame): void {
    const call = this.#call;
    if (call === undefined) return;
    const cost = frame.kind === "message" ? frame.bytes.length : 0;
    this.#queuedBytes += cost;
    call.write(frame, () => {
      if (this.#call === call) this.#queuedBytes -= cost;
    });
  }

  /** Ends the call; the next one follows at once. */
  callAgain(): void {
    this.#call?.cancel();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#call?.cancel();
  }

  #end(call: Call, startedMs: number, error: ServiceError | undefined): void {
    if (this.#call !== call) return;
    this.#call = undefined;
    this.#queuedBytes = 0;
    call.cancel();
    this.onClose();
    if (this.#stopped) return;
    if (performance.now() - startedMs > GOOD_CALL_MS) this.#failures = 0;
    this.#tell(error);
    const delayMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(this.#failures, 16));
    this.#failures++;
    this.#timer = setTimeout(() => this.start(), delayMs);
  }

  /** One line for each reason, not one for each attempt. */
  #tell(error: ServiceError | undefined): void {
    const name = error === undefined ? "ended" : (status[error.code] ?? String(error.code));
    const reason = error === undefined ? name : `${name}: ${error.details}`;
    if (reason === this.#lastReason) return;
    this.#lastReason = reason;
    this.#log.warn("the controller's call ended", { ...this.#stamp, reason });
  }
}
