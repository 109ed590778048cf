/** What of a direction must be unique in a fast path. Pure. */
import type { FastPathDirection } from "../fast-path/driver.ts";

export type TupleKey = string & { readonly brand: "TupleKey" };

/** Returns the key; two directions with the same key match the same packets. */
export function tupleKey(direction: FastPathDirection): TupleKey {
  const { segmentId, destinationMac, protocol, sourceAddress, destinationAddress } = direction;
  const ports = `${direction.sourcePort} ${direction.destinationPort}`;
  return `${segmentId} ${destinationMac} ${protocol} ${sourceAddress} ${destinationAddress} ${ports}` as TupleKey;
}

/** Returns whether both have the same key, without making it. */
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
