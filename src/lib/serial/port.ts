/**
 * A serial port: bytes both ways, a peer that may come and go, and writes that never block.
 *
 * Pure: the interface and its bounds. `open-port.ts` opens one.
 * Limit: WRITE_QUEUE_BYTES_MAX waiting; a write that does not fit is refused whole.
 */

/** Bytes that wait for the peer to read them. */
export const WRITE_QUEUE_BYTES_MAX: number = 16 * 1024 * 1024;
export const BACKOFF_MIN_MS = 20;
export const BACKOFF_MAX_MS = 1_000;

/** Where a port is. `listen`: a Unix socket of ours; its newest connection is the port. */
export type SerialAddress =
  | { readonly kind: "unix"; readonly path: string; readonly mode?: "connect" | "listen" }
  /** A character device (virtio-serial port) or a pty. */
  | { readonly kind: "device"; readonly path: string };

export interface SerialPort {
  /** Called with bytes that the port gives away for good. */
  onData: (bytes: Buffer) => void;
  /** The port has a peer. Bytes of an earlier peer may still come, so speak the session protocol. */
  onUp: () => void;
  onDown: () => void;
  readonly isUp: boolean;
  /** Takes all bytes, or none and returns false: no peer, or they do not fit the queue. */
  write(bytes: Uint8Array): boolean;
  readonly queuedBytes: number;
  /** Resolves when nothing of the port is left. Idempotent. */
  close(): Promise<void>;
}

/** Returns how long to wait after `failures` failures in a row. */
export function backoffMs(failures: number): number {
  return Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** Math.min(failures, 16));
}
