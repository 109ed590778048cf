/**
 * The bridge's call for its placements, made again with back-off whenever it ends.
 *
 * Effect: a gRPC call on the shared channel. While it is away, what was placed stays.
 */
import { type ClientDuplexStream, type ServiceError, status } from "@grpc/grpc-js";
import type { Log } from "../lib/base/log.ts";
import {
  encodeProblems,
  PLACEMENT_SERVICE,
  type Placement,
  type PlacementProblem,
  WATCH_PATH,
} from "../offload-protocol/placements.ts";
import type { ClientSource } from "./channel.ts";
import { RETRY_MAX_MS, RETRY_MIN_MS } from "./upstream-call.ts";

/** A controller that knows no placements is asked again after this long. */
export const UNKNOWN_RETRY_MS = 30_000;

type Call = ClientDuplexStream<readonly PlacementProblem[], readonly Placement[]>;

export interface PlacementWatchOptions {
  readonly source: ClientSource;
  readonly log: Log;
  readonly onPlacements: (placements: readonly Placement[]) => void;
  /** What is told when a call begins. */
  readonly problems: () => readonly PlacementProblem[];
}

/** Keeps the call open. */
export class PlacementWatch {
  readonly #options: PlacementWatchOptions;
  #call: Call | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #isStopped = false;

  constructor(options: PlacementWatchOptions) {
    this.#options = options;
  }

  start(): void {
    const { source, onPlacements, problems } = this.#options;
    const decode = PLACEMENT_SERVICE["watch"]?.responseDeserialize as (
      bytes: Buffer,
    ) => readonly Placement[];
    const call: Call = source.client.makeBidiStreamRequest(WATCH_PATH, encodeProblems, decode, {});
    this.#call = call;
    call.on("data", (placements: readonly Placement[]) => {
      this.#failures = 0;
      onPlacements(placements);
    });
    call.on("error", (error: ServiceError) => this.#end(call, error));
    call.on("end", () => this.#end(call, undefined));
    if (problems().length > 0) call.write(problems());
  }

  /** Tells the controller what cannot be opened. */
  report(problems: readonly PlacementProblem[]): void {
    this.#call?.write(problems);
  }

  /** Ends the call; the next one follows at once. */
  callAgain(): void {
    this.#call?.cancel();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#call?.cancel();
  }

  #end(call: Call, error: ServiceError | undefined): void {
    if (this.#call !== call) return;
    this.#call = undefined;
    call.cancel();
    if (this.#isStopped) return;
    const isUnknown = error?.code === status.UNIMPLEMENTED;
    if (this.#failures === 0) {
      const reason = error?.details ?? "the controller ended the call";
      this.#options.log.warn("no placements from the controller", { reason });
    }
    const delayMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(this.#failures, 16));
    this.#failures++;
    this.#timer = setTimeout(() => this.start(), isUnknown ? UNKNOWN_RETRY_MS : delayMs);
  }
}
