/**
 * The worker thread that reads netlink events and posts them, without copying, to the thread that parses.
 *
 * Effect: one socket, and the port to its parent. Started only by `event-stream.ts`.
 * Invariant: at most BATCHES_IN_FLIGHT_MAX batches are on their way; beyond that the events wait in the
 * socket's buffer, whose overflow the kernel reports.
 */
import { parentPort, workerData } from "node:worker_threads";
import { assert } from "../base/assert.ts";
import { describeError } from "../base/errors.ts";
import { type EventSource, readEvents } from "./event-reader.ts";

/** Batches that the parent has not confirmed; it confirms once in a turn of its event loop. */
export const BATCHES_IN_FLIGHT_MAX = 4;

/** What the parent shares: how many batches it has taken. */
export interface EventWorkerData {
  readonly source: EventSource;
  readonly taken: SharedArrayBuffer;
}

export type EventWorkerMessage =
  | { readonly kind: "ready" }
  | { readonly kind: "batch"; readonly bytes: ArrayBuffer; readonly overrun: boolean }
  | { readonly kind: "failed"; readonly message: string };

/** How long the worker sleeps when the parent is behind; a confirmation wakes it at once. */
const WAIT_MS = 1_000;

function run(): void {
  const port = parentPort;
  assert(port !== null, "the event worker runs in a worker thread");
  const { source, taken } = workerData as EventWorkerData;
  const takenCount = new Int32Array(taken);
  let sent = 0;
  const post = (message: EventWorkerMessage, transfer: ArrayBuffer[] = []): void =>
    port.postMessage(message, transfer);
  const mayRead = (): boolean => {
    const seen = Atomics.load(takenCount, 0);
    if (((sent - seen) | 0) < BATCHES_IN_FLIGHT_MAX) return true;
    Atomics.wait(takenCount, 0, seen, WAIT_MS);
    return ((sent - Atomics.load(takenCount, 0)) | 0) < BATCHES_IN_FLIGHT_MAX;
  };
  try {
    const reader = readEvents(
      source,
      ({ bytes, overrun }) => {
        sent = (sent + 1) | 0;
        post({ kind: "batch", bytes, overrun }, [bytes]);
      },
      mayRead,
    );
    port.once("message", () => {
      reader.close();
      port.close();
    });
    post({ kind: "ready" });
  } catch (error) {
    post({ kind: "failed", message: describeError(error) });
  }
}

if (parentPort !== null) run();
