/**
 * The offload engine at work in the appliance: conntrack events, routes, the serial port and timers around
 * the pure core.
 *
 * Effect: starts threads and sockets; everything it decides is decided in `engine.ts`.
 */
import { FlowliftError } from "../lib/base/errors.ts";
import type { OffloadHandle, OffloadOptions } from "./handle.ts";

/** Starts following flows and asking for their offload. Resolves when events are being followed. */
export function startOffload(_options: OffloadOptions): Promise<OffloadHandle> {
  return Promise.reject(
    new FlowliftError("SERIAL_PORT_FAILED", "The offload engine is not wired up yet"),
  );
}
