/** What of a direction must be unique in a fast path. Pure. */
import type { FastPathDirection } from "../fast-path/driver.ts";

/** Returns whether two directions match the same packets. */
export function matchSame(a: FastPathDirection, b: FastPathDirection): boolean {
  return (
    a.sourcePort === b.sourcePort &&
    a.destinationPort === b.destinationPort &&
    a.segmentId === b.segmentId &&
    a.destinationMac === b.destinationMac &&
    a.protocol === b.protocol &&
    a.sourceAddress === b.sourceAddress &&
    a.destinationAddress === b.destinationAddress
  );
}
