/** Bounded writing to a stream socket. Effect: writes. */
import type { Socket } from "node:net";
import { WRITE_QUEUE_BYTES_MAX } from "./port.ts";

/** Writes all bytes, or none and returns false. */
export function writeBounded(socket: Socket | undefined, bytes: Uint8Array): boolean {
  if (socket === undefined || socket.destroyed) return false;
  if (socket.writableLength + bytes.length > WRITE_QUEUE_BYTES_MAX) return false;
  socket.write(bytes);
  return true;
}
