/**
 * Netlink events read in a worker thread of their own.
 *
 * Effect: starts one worker; batches arrive in the calling thread as bytes to be parsed there.
 */
import { Worker } from "node:worker_threads";
import { FlowliftError } from "../base/errors.ts";
import type { EventSource } from "./event-reader.ts";
import type { EventWorkerData, EventWorkerMessage } from "./event-worker.ts";

export interface EventStream {
  stop(): Promise<void>;
}

export interface EventStreamHandlers {
  /** Bytes hold whole messages behind each other; `overrun`: events before these were lost. */
  onBatch(bytes: DataView, overrun: boolean): void;
  /** The worker died; nothing more arrives. */
  onFailed(error: FlowliftError): void;
}

/** Resolves when the socket is open and its groups are joined. Throws NETLINK_REQUEST_FAILED. */
export function startEventStream(
  source: EventSource,
  handlers: EventStreamHandlers,
): Promise<EventStream> {
  const taken = new SharedArrayBuffer(4);
  const takenCount = new Int32Array(taken);
  const data: EventWorkerData = { source, taken };
  const worker = new Worker(new URL("./event-worker.js", import.meta.url), { workerData: data });
  let stopping = false;
  const stream: EventStream = {
    async stop() {
      stopping = true;
      const ended = new Promise((resolve) => worker.once("exit", resolve));
      worker.postMessage("stop");
      await ended;
    },
  };
  return new Promise((resolve, reject) => {
    const fail = (message: string): void => {
      const error = new FlowliftError("NETLINK_REQUEST_FAILED", message);
      reject(error);
      if (!stopping) handlers.onFailed(error);
    };
    worker.on("message", (message: EventWorkerMessage) => {
      if (message.kind === "ready") resolve(stream);
      else if (message.kind === "failed") fail(message.message);
      else {
        if (!stopping) handlers.onBatch(new DataView(message.bytes), message.overrun);
        // Confirmed in the next turn, so that a flood of events leaves room for other work.
        setImmediate(() => {
          Atomics.add(takenCount, 0, 1);
          Atomics.notify(takenCount, 0);
        });
      }
    });
    worker.on("error", (error) => fail(error.message));
    worker.on("exit", () => fail("The thread that reads netlink events ended"));
  });
}
