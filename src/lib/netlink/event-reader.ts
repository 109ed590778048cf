/**
 * Reads the events of one netlink socket in the calling thread and hands them on in batches.
 *
 * Effect: a socket, read when epoll says so. For slow streams (links, neighbours) use it directly; for fast
 * ones (conntrack) `event-stream.ts` runs it in a worker thread.
 * Limit: TURN_BATCHES_MAX batches before the event loop gets its turn.
 */
import { type EventBatch, NetlinkSocket } from "./socket.ts";

const TURN_BATCHES_MAX = 16;

export interface EventSource {
  readonly protocol: number;
  readonly groups: readonly number[];
  readonly receiveBytes: number;
  /** What this port's requests caused is not wanted. */
  readonly ignoredPort?: number;
}

export interface EventReader {
  close(): void;
}

/** Starts reading; `mayRead` is asked before each batch, so that a slow consumer leaves events in the kernel. */
export function readEvents(
  source: EventSource,
  onBatch: (batch: EventBatch) => void,
  mayRead: () => boolean = () => true,
): EventReader {
  const socket = new NetlinkSocket(source.protocol, {
    groups: source.groups,
    receiveBytes: source.receiveBytes,
    ...(source.ignoredPort === undefined ? {} : { ignoredPort: source.ignoredPort }),
  });
  let closed = false;
  socket.onReadable(() => {
    for (let batches = 0; batches < TURN_BATCHES_MAX && !closed && mayRead(); batches++) {
      const batch = socket.receiveBatch();
      if (batch.bytes.byteLength > 0 || batch.overrun) onBatch(batch);
      if (batch.drained) return;
    }
  });
  return {
    close() {
      closed = true;
      socket.close();
    },
  };
}
