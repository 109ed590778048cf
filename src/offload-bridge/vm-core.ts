/**
 * The bridge's part for one virtual machine: frames between a serial port and an upstream, and limits.
 *
 *   serial bytes ─► FrameDecoder ─► limits ─► upstream frames
 *   serial bytes ◄──────────────────────────── upstream frames
 *
 * Pure: each input comes with the time and the fill of both queues; what to do comes back.
 * Invariant: after anything of a direction was dropped, everything is dropped until its next marker, so
 * a receiver never takes the rest for the whole; the controller is told once, and shows a new marker.
 * Limit: VmLimits; UPSTREAM_QUEUE_BYTES_MAX; the serial port's own queue.
 */
import {
  encodeMarker,
  encodeMessage,
  FrameDecoder,
  type FrameItem,
} from "../offload-protocol/framing.ts";
import type { BridgeLimit, UpstreamFrame } from "../offload-protocol/upstream.ts";
import { chunkBytesMaxOf, TokenBucket, type VmLimits } from "./limits.ts";

/** Bytes of one virtual machine that wait for the controller. */
export const UPSTREAM_QUEUE_BYTES_MAX: number = 8 * 1024 * 1024;
/** What a marker costs in bytes. */
const MARKER_COST_BYTES = 18;

export interface VmCounters {
  readonly messagesUp: number;
  readonly bytesUp: number;
  readonly messagesDown: number;
  readonly bytesDown: number;
  /** Messages and markers that were dropped: at a limit, or after one until the next marker. */
  readonly droppedUp: number;
  readonly droppedDown: number;
  /** How often each limit was met. */
  readonly refusals: Readonly<Record<BridgeLimit, number>>;
}

/** What the shell knows when something happens. */
export interface VmSurroundings {
  readonly nowMs: number;
  /** Bytes that wait for the upstream; 0 when there is none. */
  readonly upstreamQueuedBytes: number;
}

/** What the shell does for the core. */
export interface VmOutputs {
  /** Sends a frame upstream; called only while the upstream is open. */
  sendUpstream(frame: UpstreamFrame): void;
  /** Writes to the serial port whole, or returns false. */
  writeSerial(bytes: Uint8Array): boolean;
}

type MutableCounters = { -readonly [K in keyof VmCounters]: VmCounters[K] } & {
  refusals: Record<BridgeLimit, number>;
};

/** State of one virtual machine. */
export class VmCore {
  readonly #outputs: VmOutputs;
  readonly #decoder: FrameDecoder;
  readonly #messages: TokenBucket;
  readonly #bytes: TokenBucket;
  #serialIsUp = false;
  #upstreamIsOpen = false;
  /** Dropping until the virtual machine's next marker. */
  #upIsMuted = true;
  /** Dropping until the controller's next marker. */
  #downIsMuted = true;
  readonly #counters: MutableCounters = {
    messagesUp: 0,
    bytesUp: 0,
    messagesDown: 0,
    bytesDown: 0,
    droppedUp: 0,
    droppedDown: 0,
    refusals: {
      "message-bytes": 0,
      "message-rate": 0,
      "byte-rate": 0,
      framing: 0,
      "upstream-queue": 0,
      "downstream-queue": 0,
    },
  };

  constructor(limits: VmLimits, outputs: VmOutputs, nowMs: number) {
    this.#outputs = outputs;
    this.#decoder = new FrameDecoder({
      messageBytesMax: limits.messageBytesMax,
      chunkBytesMax: chunkBytesMaxOf(limits),
    });
    this.#messages = new TokenBucket(limits.messagesPerSec, limits.messagesBurst, nowMs);
    this.#bytes = new TokenBucket(limits.bytesPerSec, limits.bytesBurst, nowMs);
  }

  get counters(): VmCounters {
    return this.#counters;
  }

  /** The serial port has a peer: what came before is nobody's. */
  serialUp(): void {
    this.#serialIsUp = true;
    this.#decoder.reset();
    this.#upIsMuted = true;
    this.#downIsMuted = true;
    if (this.#upstreamIsOpen) this.#outputs.sendUpstream({ kind: "serial-up" });
  }

  serialDown(): void {
    this.#serialIsUp = false;
    if (this.#upstreamIsOpen) this.#outputs.sendUpstream({ kind: "serial-down" });
  }

  /** A call to the controller is open: it knows nothing of the session before. */
  upstreamOpened(): void {
    this.#upstreamIsOpen = true;
    this.#upIsMuted = true;
    this.#downIsMuted = true;
    if (this.#serialIsUp) this.#outputs.sendUpstream({ kind: "serial-up" });
  }

  upstreamClosed(): void {
    this.#upstreamIsOpen = false;
    this.#upIsMuted = true;
  }

  /** Takes bytes of the virtual machine; they are always taken. */
  serialBytes(bytes: Uint8Array, around: VmSurroundings): void {
    let queued = around.upstreamQueuedBytes;
    this.#decoder.decode(bytes, (item) => {
      queued += this.#takeItem(item, { ...around, upstreamQueuedBytes: queued });
      // What will be dropped is not worth reading: a flood costs a search, not a decoder.
      if (this.#upIsMuted) this.#decoder.skipToMarker();
    });
  }

  /** Returns the bytes that were sent. */
  #takeItem(item: FrameItem, around: VmSurroundings): number {
    if (item.kind === "violation") {
      const tooBig = item.what === "message-too-big" || item.what === "chunk-too-big";
      this.#refuseUp(tooBig ? "message-bytes" : "framing");
      return 0;
    }
    const cost = item.kind === "marker" ? MARKER_COST_BYTES : item.bytes.length;
    if (!this.#upstreamIsOpen || (this.#upIsMuted && item.kind === "message")) {
      this.#counters.droppedUp++;
      return 0;
    }
    const limit = this.#exceeded(cost, around);
    if (limit !== undefined) {
      this.#refuseUp(limit);
      return 0;
    }
    if (item.kind === "marker") {
      this.#upIsMuted = false;
      this.#outputs.sendUpstream(item);
    } else {
      this.#counters.messagesUp++;
      this.#counters.bytesUp += cost;
      this.#outputs.sendUpstream(item);
    }
    return cost;
  }

  /** Pays for the item, or returns the limit that forbids it. */
  #exceeded(cost: number, around: VmSurroundings): BridgeLimit | undefined {
    if (!this.#messages.has(1, around.nowMs)) return "message-rate";
    if (!this.#bytes.has(cost, around.nowMs)) return "byte-rate";
    if (around.upstreamQueuedBytes + cost > UPSTREAM_QUEUE_BYTES_MAX) return "upstream-queue";
    this.#messages.take(1);
    this.#bytes.take(cost);
    return undefined;
  }

  /** Drops until the next marker; tells the controller the first time. */
  #refuseUp(what: BridgeLimit): void {
    this.#counters.refusals[what]++;
    this.#counters.droppedUp++;
    if (this.#upIsMuted) return;
    this.#upIsMuted = true;
    if (this.#upstreamIsOpen) this.#outputs.sendUpstream({ kind: "refused-by-limit", what });
  }

  /** Takes a frame of the controller. */
  upstreamFrame(frame: UpstreamFrame): void {
    if (frame.kind !== "marker" && frame.kind !== "message") return; // Only bridges send the others.
    if (!this.#serialIsUp || (this.#downIsMuted && frame.kind === "message")) {
      this.#counters.droppedDown++;
      return;
    }
    const isMarker = frame.kind === "marker";
    const bytes = isMarker ? encodeMarker(frame.sessionId) : encodeMessage(frame.bytes);
    if (this.#outputs.writeSerial(bytes)) {
      this.#downIsMuted = false;
      this.#counters.messagesDown += isMarker ? 0 : 1;
      this.#counters.bytesDown += isMarker ? 0 : frame.bytes.length;
      return;
    }
    this.#counters.droppedDown++;
    this.#counters.refusals["downstream-queue"]++;
    if (this.#downIsMuted) return;
    this.#downIsMuted = true;
    if (this.#upstreamIsOpen) {
      this.#outputs.sendUpstream({ kind: "refused-by-limit", what: "downstream-queue" });
    }
  }
}
